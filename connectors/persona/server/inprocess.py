"""The way to the embedded server without a port: an httpx transport that streams, with bounded memory."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import ASGIApp, Message

QUEUED = 4


class InProcess(httpx.AsyncBaseTransport):
    """Calls an ASGI app in this event loop; its answer is read while it is written.

    httpx's own ASGI transport collects the whole answer first, which a knowledge base does not fit.

    Args:
        app: the server.
        close: called when the client closes.
    """

    def __init__(self, app: ASGIApp, *, close: Callable[[], None]) -> None:
        self._app = app
        self._close = close

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Start the app on the request and return as soon as the answer's head is there."""
        body = await request.aread()
        exchange = _Exchange(body)
        exchange.task = asyncio.ensure_future(exchange.run(self._app, _scope(request)))
        try:
            start = await exchange.take()
        except BaseException:
            await exchange.aclose()
            raise
        return httpx.Response(start["status"], headers=start["headers"], stream=exchange)

    async def aclose(self) -> None:
        """Close what is behind the app."""
        await asyncio.to_thread(self._close)


class _Exchange(httpx.AsyncByteStream):
    """One request and its answer."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(QUEUED)
        self._closed = asyncio.Event()
        self.task: asyncio.Future[None] | None = None

    async def run(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        # The server has logged its failure; the reader learns that the answer broke off.
        with contextlib.suppress(Exception):
            await app(scope, self._receive, self._messages.put)
        await self._messages.put(None)

    async def take(self) -> Message:
        message = await self._messages.get()
        if message is None:
            raise httpx.RemoteProtocolError("The embedded server broke off its answer.")
        return message

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            message = await self.take()
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body", False):
                return

    async def aclose(self) -> None:
        self._closed.set()
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self.task

    async def _receive(self) -> Message:
        if self._body is None:
            await self._closed.wait()
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _scope(request: httpx.Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": ("127.0.0.1", 0),
        "root_path": "",
    }
