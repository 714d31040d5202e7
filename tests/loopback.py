"""A programmable HTTP server on loopback: real sockets, and every request remembered."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; with ``chunks`` the body is sent piece by piece, with ``raw`` these very bytes are."""

    body: str | bytes = b""
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    media_type: str = "text/html; charset=utf-8"
    delay_s: float = 0.0
    chunks: Callable[[], AsyncIterator[bytes]] | None = None
    raw: bytes | None = None


@dataclass(slots=True)
class Site:
    """Routes by target (``/a?b=1``) or else by path; a route is a Reply or a function of the request."""

    routes: dict[str, Reply | Callable[[Asked], Reply | Awaitable[Reply]]] = field(default_factory=dict)
    fallback: Callable[[Asked], Reply] = lambda _: Reply("not here", 404)
    asked: list[Asked] = field(default_factory=list)
    host: str = "127.0.0.1"
    connections: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def start(self, *, tls: ssl.SSLContext | None = None) -> Site:
        self._server = await asyncio.start_server(self._serve, self.host, 0, ssl=tls)
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        return self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def page(self, path: str, *links: str, title: str = "", **reply: Any) -> None:
        """Add an HTML page with these links."""
        anchors = "".join(f'<p><a href="{link}">{link}</a></p>' for link in links)
        self.routes[path] = Reply(f"<title>{title or path}</title><main>Text of {path}. {anchors}</main>", **reply)

    def targets(self, *, pages: bool = True) -> list[str]:
        """Return the targets asked for, in order; robots.txt and sitemaps aside when ``pages``."""
        return [a.target for a in self.asked if not pages or a.path not in {"/robots.txt", "/sitemap.xml"}]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while (asked := await self._read(reader)) is not None:
                self.asked.append(asked)
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    keep = await self._answer(asked, writer)
                finally:
                    self.in_flight -= 1
                if not keep:
                    break
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Asked | None:
        line = await reader.readline()
        if not line.strip():
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers: dict[str, str] = {}
        while (line := await reader.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        if length := int(headers.get("content-length", "0")):
            await reader.readexactly(length)
        return Asked(method=method, target=target, headers=headers)

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        route = self.routes.get(asked.target) or self.routes.get(asked.path) or self.fallback
        reply = route(asked) if callable(route) else route
        if not isinstance(reply, Reply):
            reply = await reply
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if reply.raw is not None:
            writer.write(reply.raw)
            await writer.drain()
            return False
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
        names = {name.lower() for name, _ in reply.headers}
        head = [f"HTTP/1.1 {reply.status} X"]
        if reply.media_type and "content-type" not in names:
            head.append(f"Content-Type: {reply.media_type}")
        head += [f"{name}: {value}" for name, value in reply.headers]
        if reply.chunks is None:
            if "content-length" not in names:
                head.append(f"Content-Length: {len(body)}")
        else:
            head.append("Transfer-Encoding: chunked")
        writer.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n")
        if reply.chunks is None:
            writer.write(body if asked.method != "HEAD" else b"")
        else:
            async for chunk in reply.chunks():
                writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


@contextlib.asynccontextmanager
async def listening(
    speak: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve each connection by ``speak`` on a free port, which is given; at the end no connection or task is left."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        # Python 3.11 logs an error for a connection whose task was cancelled: it ends by itself.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await speak(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def free_port() -> int:
    """Return a port for a program that must be told one: below those that the system gives to whoever asks for any."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def redirect(to: str, status: int = 302) -> Reply:
    return Reply("", status, [("Location", to)])
