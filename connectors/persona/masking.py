"""Takes the client secret out of a text, in whatever letters a server wrote it. Pure."""

from __future__ import annotations

import base64
from urllib.parse import quote

_SHORTEST_CUT = 6
_SHORTEST_FORM = 8  # shorter ones stand in ordinary words
_MASK = "***"


def masked(text: str, secret: str) -> str:
    """Return the text without the secret: plain, percent-encoded or base64, whole or cut off at the text's end."""
    if not secret:
        return text
    forms = sorted(_forms(secret), key=len, reverse=True)
    for form in forms:
        text = text.replace(form, _MASK)
    bare = text.rstrip(" .…'\"")
    for form in forms:
        for length in range(len(form) - 1, _SHORTEST_CUT - 1, -1):
            if bare.endswith(form[:length]):
                return bare[:-length] + _MASK
    return text


def _forms(secret: str) -> set[str]:
    data = secret.encode()
    forms = {secret, quote(secret, safe=""), quote(secret), quote(secret, safe="").lower()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            # Only the letters that no neighbour of the secret has a share in.
            letters = encode(b"\0" * before + data).decode().rstrip("=")
            whole = (len(data) + before) * 8 // 6
            forms.add(letters[-(-before * 8 // 6) : whole])
    return {secret} | {form for form in forms if len(form) >= _SHORTEST_FORM}
