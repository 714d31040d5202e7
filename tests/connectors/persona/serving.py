"""Servers and clients that the tests of this room share."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import uvicorn
from pydantic import SecretStr

from connectors.models import Outgoing
from connectors.persona.client import PersonaClient
from connectors.persona.server import create_app
from tests.loopback import listening

SECRET = "canary-3f9c-secret"


def page(number: int = 1, *, content: str | None = None, title: str | None = None, **metadata) -> Outgoing:
    """Return a page with a source of its own."""
    uri = f"https://docs.example.com/page-{number}.html"
    title = title or f"Page {number}"
    return Outgoing(
        version_id=number,
        uri=uri,
        title=title,
        content=content or f"Source: {uri}\n\n# {title}\n\nText number {number}.\n",
        metadata={"url": uri} | metadata,
    )


@contextlib.contextmanager
def served(state, **options) -> Iterator[str]:
    """Serve the embedded API on a real port for as long as the block lasts; yields ``http://127.0.0.1:PORT/``."""
    app = create_app(state, **({"secret": None} | options))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(10)
            app.state.store.close()


@contextlib.asynccontextmanager
async def answering(*parts: bytes, reset: bool = False, pause_s: float = 0.0) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answer every connection with these bytes, whatever is asked; yields the address and the requests as sent."""
    requests: list[bytes] = []

    async def talk(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        requests.append(head + await reader.readexactly(length))
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
        if reset:
            writer.transport.abort()

    async with listening(talk) as port:
        yield f"http://127.0.0.1:{port}/persona/", requests


def http(body: bytes, *, status: str = "200 OK", media: str = "application/json", head: str = "") -> bytes:
    """Return an HTTP answer's bytes."""
    lines = (
        f"HTTP/1.1 {status}\r\ncontent-type: {media}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{head}\r\n"
    )
    return lines.encode() + body


def client_of(url: str, *, secret: str | None = SECRET, timeout_s: float = 5.0) -> PersonaClient:
    """Return a client of a server at ``url`` (its root)."""
    return PersonaClient(
        base_url=url if url.endswith("/persona/") else f"{url}persona/",
        voice_base_url=url.removesuffix("persona/"),
        secret=SecretStr(secret) if secret else None,
        timeout_s=timeout_s,
    )
