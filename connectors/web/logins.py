"""Whether an address that a site leads strangers to is its login, told by the address alone. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

ADVICE = "send what the site asks for: --header 'Cookie: …' or 'Authorization: …'"
_LOGIN = re.compile(r"(?:(?:log|sign)[_-]?(?:in|on)|wp-login|anmelden|connexion)(?:\.\w{2,5})?", re.IGNORECASE)
"""A whole segment of a path, so that a page on "login-problems" is none."""
_HANDOVERS = ({"redirect_uri", "client_id"}, {"samlrequest"})
"""Parameters by which one site asks another to log somebody in (OpenID Connect, SAML)."""


def names_login(uri: str) -> bool:
    """Say whether the address is a login's by its name: a segment of its path, or what it asks another site for."""
    parts = urlsplit(uri)
    if any(_LOGIN.fullmatch(segment) for segment in parts.path.split("/")):
        return True
    given = {name.lower() for name, _ in parse_qsl(parts.query)}
    return any(asked <= given for asked in _HANDOVERS)


def brings_back(uri: str, asked: str) -> bool:
    """Say whether the address' query holds the one that was asked for, to lead back there after a login."""
    path = urlsplit(asked).path
    held = (value for _, value in parse_qsl(urlsplit(uri).query) if value.startswith(("/", "http://", "https://")))
    return len(path) > 1 and any(urlsplit(value).path == path for value in held)


def wants_login(uri: str, asked: str) -> bool:
    """Say whether who asked for ``asked`` and was sent to ``uri`` is to log in first."""
    return names_login(uri) and not names_login(asked)
