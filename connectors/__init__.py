"""Everything between a source and the persona, in plain async Python."""

import sys

# httpx imports its own command line, and with it rich, pygments and click: 0.27 s of CPU, and nobody calls it here.
# None makes that import fail, which httpx allows for.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
