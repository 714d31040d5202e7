"""Fails when something we install is under the GPL or AGPL (the LGPL and dual licences with a free choice are fine)."""

import re
import sys
from importlib.metadata import distributions

STRONG = re.compile(r"(?<!L)(?<!Lesser )\bA?GPL|GNU (Affero )?General Public", re.IGNORECASE)
FREE = re.compile(r"\b(?:MIT\b|BSD|Apache|MPL|LGPL|Lesser|Artistic|PSF|ISC\b|Unlicense)", re.IGNORECASE)


def terms(meta) -> str:
    """Return every word a distribution says about its licence."""
    classifiers = [line for line in meta.get_all("Classifier") or [] if line.startswith("License")]
    return " / ".join([meta.get("License-Expression") or "", (meta.get("License") or "")[:200], *classifiers])


def is_forbidden(text: str) -> bool:
    """Say whether these terms are the GPL or AGPL and leave no other choice: ``AND`` is none."""
    return bool(STRONG.search(text)) and (" AND " in text or not FREE.search(text))


def main() -> int:
    """Print each forbidden distribution; return 1 when there is one."""
    found = {dist.metadata["Name"]: terms(dist.metadata) for dist in distributions()}
    bad = {name: text for name, text in found.items() if is_forbidden(text)}
    for name, text in sorted(bad.items()):
        print(f"{name}: {text}", file=sys.stderr)
    print(f"licences: {len(found)} distributions, {len(bad)} forbidden")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
