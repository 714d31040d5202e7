"""What the proofs on several hosts share."""

import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS / "crash"), str(_TESTS / "scale")]
