"""Facts of public standards, transcribed; nothing is fetched."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
