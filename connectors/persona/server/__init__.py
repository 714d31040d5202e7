"""The embedded Persona server: the same API over a folder, in this process or on a port, with a page to look at."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from connectors.persona.client import PersonaClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastapi import FastAPI
    from pydantic import SecretStr
    from starlette.types import ASGIApp, Receive, Scope, Send

    from connectors.persona.server.store import Store

MAX_BODY_BYTES = 64 * 1024**2
STOP_S = 10
ADDRESS = "http://localhost/"


def create_app(
    state: Path,
    *,
    secret: SecretStr | None,
    max_item_chars: int | None = None,
    hosts: frozenset[str] | None = frozenset(),
    max_body_bytes: int = MAX_BODY_BYTES,
) -> FastAPI:
    """Return the server as an ASGI application.

    Args:
        state: the folder that keeps everything.
        secret: what clients must send; None lets in whoever reaches the loopback address.
        max_item_chars: the longest item that a page becomes, as a vendor may cut it; None keeps pages whole.
        hosts: names beside the loopback ones that a ``Host`` header may hold; None takes any name.
        max_body_bytes: the largest request.

    Raises:
        FatalError: the folder cannot be written.
    """
    from connectors.persona.server.application import build
    from connectors.persona.server.store import Store

    store = Store(state, max_item_chars=max_item_chars)
    return build(store, secret=secret, hosts=hosts, max_body_bytes=max_body_bytes)


def embedded(
    state: Path, *, secret: SecretStr | None = None, max_item_chars: int | None = None, timeout_s: float = 60.0
) -> PersonaClient:
    """Return a client of the server in this process, over no port; it closes the server with itself.

    Raises:
        FatalError: the folder cannot be written.
    """
    from connectors.persona.server.inprocess import InProcess
    from connectors.persona.server.store import Store

    store = Store(state, max_item_chars=max_item_chars)
    app = _shortcut(store, secret=secret)
    return PersonaClient(
        base_url=f"{ADDRESS}persona/",
        voice_base_url=ADDRESS,
        secret=secret,
        timeout_s=timeout_s,
        transport=InProcess(app, close=store.close),
    )


def _shortcut(store: Store, *, secret: SecretStr | None) -> ASGIApp:
    """Return an application that imports no web framework before somebody asks for more than an import does."""

    def whole() -> ASGIApp:
        from connectors.persona.server.application import build

        return build(store, secret=secret, hosts=frozenset(), max_body_bytes=MAX_BODY_BYTES)

    def gate() -> ASGIApp:
        from connectors.persona.server.gate import LOOPBACK, Gate
        from connectors.persona.server.shortcut import Shortcut

        shortcut = Shortcut(store, _when_asked(whole))
        return Gate(shortcut, secret=secret, hosts=LOOPBACK, max_body_bytes=MAX_BODY_BYTES)

    return _when_asked(gate)


def _when_asked(build: Callable[[], ASGIApp]) -> ASGIApp:
    """Return an application that its first request builds: a crawl does not wait for its imports."""
    building: asyncio.Future[ASGIApp] | None = None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal building
        if building is None:
            building = asyncio.ensure_future(asyncio.to_thread(build))
        await (await asyncio.shield(building))(scope, receive, send)

    return app


def serve(state: Path, *, host: str, port: int, secret: SecretStr | None, max_item_chars: int | None = None) -> None:
    """Serve on a port until SIGTERM or SIGINT; prints the address when it is ready.

    Raises:
        FatalError: the folder cannot be written.
        UsageError: the address cannot be bound, or is open to others without a secret.
    """
    from connectors.persona.server.listen import run

    run(state, host=host, port=port, secret=secret, max_item_chars=max_item_chars, stop_s=STOP_S)


__all__ = ["create_app", "embedded", "serve"]
