"""Who may ask the embedded server, and how much: the host, the origin, the secret and the body of every request."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pydantic import SecretStr
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
BODY_S = 300.0
API = ("/persona/", "/api/")
HANG_UP = ((b"connection", b"close"),)
POLICY = (
    b"default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; form-action 'self'; "
    b"base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not "no-referrer": with that a browser posts our own forms with "Origin: null".
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", POLICY),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class No:
    """Why a request is not let in."""

    status: int
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Gate:
    """Lets in who may come in, with a body of bounded size; everything else gets a JSON error.

    Args:
        app: what is behind the gate.
        secret: what the API's ``Authorization`` and the page's password must be; None lets everybody in who reaches
            the loopback address.
        hosts: names that a ``Host`` header may hold; None takes any (only with a secret).
        max_body_bytes: the largest body.
    """

    def __init__(
        self, app: ASGIApp, *, secret: SecretStr | None, hosts: frozenset[str] | None, max_body_bytes: int
    ) -> None:
        self._app = app
        self._secret = secret
        self._hosts = hosts
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        no = self._host(headers) or self._origin(scope, headers) or self._who(scope, headers)
        no = no or self._media(scope, headers)
        body = b""
        if no is None:
            body, no = await self._body(headers, receive)
        if no is not None:
            await _refuse(no, send)
            return
        await self._app(scope, _replay(body, receive), _hardened(send))

    def _host(self, headers: dict[bytes, bytes]) -> No | None:
        # A web page of a stranger reaches us under the stranger's name (DNS rebinding).
        host = _hostname(headers.get(b"host", b""))
        if self._hosts is None or host in self._hosts:
            return None
        return No(status=421, message="Host: this server does not answer to this name")

    def _origin(self, scope: Scope, headers: dict[bytes, bytes]) -> No | None:
        if scope["method"] in {"GET", "HEAD"}:
            return None
        origin = headers.get(b"origin")
        own = origin is None or urlsplit(origin.decode("latin-1")).netloc.encode("latin-1") == headers.get(b"host")
        if own and headers.get(b"sec-fetch-site", b"none") in {b"none", b"same-origin"}:
            return None
        return No(status=403, message="Origin: another site's page may not ask for this")

    def _who(self, scope: Scope, headers: dict[bytes, bytes]) -> No | None:
        # A file's name is unguessable and is the key to it: the voice host fetches it without our secret.
        if self._secret is None or scope["path"].startswith("/files/"):
            return None
        secret = self._secret.get_secret_value().encode()
        given = headers.get(b"authorization", b"")
        if scope["path"].startswith(API):
            if hmac.compare_digest(given, secret):
                return None
            return No(status=401, message="Authorization: the client secret is missing or wrong")
        if hmac.compare_digest(_password(given), secret):
            return None
        ask = ((b"www-authenticate", b'Basic realm="persona-ingest: any name, the client secret as password"'),)
        return No(status=401, message="The password is the client secret", headers=ask)

    def _media(self, scope: Scope, headers: dict[bytes, bytes]) -> No | None:
        # A form of another site can send text/plain without asking, but not JSON.
        has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
        essence = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if scope["path"].startswith(API) and has_body and essence != b"application/json":
            return No(status=415, message="Content-Type: send application/json")
        return None

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> tuple[bytes, No | None]:
        too_large = No(status=413, message=f"The body is over {self._max_body_bytes} bytes", headers=HANG_UP)
        announced = headers.get(b"content-length", b"0")
        if not announced.isdigit():
            return b"", No(status=400, message="Content-Length: is no number")
        parts, size = [], 0
        try:
            async with asyncio.timeout(BODY_S):
                while True:
                    message = await receive()
                    part = message.get("body", b"")
                    size += len(part)
                    if size <= self._max_body_bytes:
                        parts.append(part)
                    else:
                        parts.clear()
                    # Read on for a while: who still sends does not hear an answer.
                    if not message.get("more_body", False) or size > 4 * self._max_body_bytes:
                        break
        except TimeoutError:
            return b"", No(status=408, message="The body did not arrive in time", headers=HANG_UP)
        return b"".join(parts), too_large if size > self._max_body_bytes else None


def _hostname(host: bytes) -> str:
    try:
        return (urlsplit(f"//{host.decode('ascii')}").hostname or "").lower().rstrip(".")
    except ValueError:
        return ""


def _password(authorization: bytes) -> bytes:
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2]
    except (ValueError, binascii.Error):
        return b""


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _hardened(send: Send) -> Send:
    async def hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *HEADERS]
        await send(message)

    return hardened


async def _refuse(no: No, send: Send) -> None:
    body = json.dumps({"status": "error", "message": no.message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *no.headers]
    await _hardened(send)({"type": "http.response.start", "status": no.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
