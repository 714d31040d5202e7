"""A Persona server for tests: real HTTP on loopback, and every way of answering badly, by script."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field

POST_FAULTS = (
    "refuse",
    "reset before",
    "reset during",
    "reset after",
    "applied 500",
    "half 500",
    "500",
    "late",
    "429",
    "503 retry",
    "applied 503",
    "unreadable 200",
    "truncated 200",
    "html 200",
    "html 200 unapplied",
    "status error 200",
    "drip",
    "413",
    "half 422",
    "lost 200",
)
"""What may go wrong with store-pages and stream-pages; each is named for what was applied and what was answered."""
READ_FAULTS = ("reset before", "500", "truncated 200", "html 200", "429")
EDIT_FAULTS = ("reset before", "reset after", "applied 500", "500", "429", "html 200", "truncated 200", "drip")
_OK = {"status": "success", "message": "done"}


@dataclass
class Script:
    """Which call is answered how: by its number among the calls of its kind, from 0.

    ``pieces`` cuts each page into items of about so many characters; ``most`` is the largest batch it takes;
    ``poison`` is a text that no page may hold.
    """

    posts: dict[int, str] = field(default_factory=dict)
    reads: dict[int, str] = field(default_factory=dict)
    edits: dict[int, str] = field(default_factory=dict)
    pieces: int = 0
    most: int = 0
    poison: str = ""
    late_s: float = 0.15
    drip_s: float = 2.0
    down_s: float = 0.08
    appears_s: float = 0.0


class Server:
    """The knowledge base and its API. ``items`` is what it holds: id to content."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.items: dict[str, str] = {}
        self.calls: Counter[str] = Counter()
        self.streams: set[str] = set()
        self.given: Counter[str] = Counter()
        self.heard = asyncio.Event()
        self.slow_s = (0.0, 0.0)  # how long a post takes before it is applied, and after
        self._hidden: dict[str, float] = {}
        self._next = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/persona/"

    def reset(self, script: Script) -> None:
        """Begin anew, empty, on the same port."""
        self.script = script
        self.slow_s = (0.0, 0.0)
        self.items.clear()
        self.calls.clear()
        self.given.clear()
        self.streams.clear()
        self._hidden.clear()
        self._next = 0
        for task in self._tasks:
            task.cancel()

    async def __aenter__(self):
        await self._listen()
        return self

    async def __aexit__(self, *_):
        for task in self._tasks:
            task.cancel()
        await self._deafen()

    async def quiet(self) -> None:
        """Wait for what is still being applied late, or still down."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def add(self, content: str) -> str:
        """Put an item in as somebody else would."""
        self._next += 1
        self.items[f"item{self._next}"] = content
        return f"item{self._next}"

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 24)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _deafen(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    def go_down(self) -> None:
        """Refuse connections for a while."""
        self._later(self._outage())

    async def _outage(self) -> None:
        await self._deafen()
        await asyncio.sleep(self.script.down_s)
        await self._listen()

    def _later(self, work) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader, writer) -> None:
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader, writer) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split(" ", 2)
        length = 0
        for line in head.split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
        kind = "read" if method == "GET" else "post" if method == "POST" else "edit"
        number = self.calls[kind]
        self.calls[kind] += 1
        table = {"read": self.script.reads, "post": self.script.posts, "edit": self.script.edits}[kind]
        fault = table.get(number, "")
        if kind != "read":
            self.heard.set()
        if fault:
            self.given[f"{kind} {fault}"] += 1
        if fault == "reset before":
            writer.transport.abort()
            return False
        body = json.loads(await reader.readexactly(length)) if length else {}
        before_s, after_s = self.slow_s if kind == "post" else (0, 0)
        await asyncio.sleep(before_s)
        answer = self._answer(kind, method, path, body, fault)
        await asyncio.sleep(after_s)
        going_on = await self._write(writer, *answer, fault=fault)
        if kind == "post" and table.get(number + 1) == "refuse":
            self.given["post refuse"] += 1
            self.go_down()
        return going_on

    def _answer(self, kind: str, method: str, path: str, body: dict, fault: str) -> tuple[int, object, dict]:
        if kind == "post":
            return self._stored(path, body, fault)
        refused = {"500": 500, "429": 429}.get(fault)
        if refused:
            return refused, {"status": "error", "message": "no"}, {"Retry-After": "0"} if refused == 429 else {}
        if kind == "read":
            now = asyncio.get_running_loop().time()
            shown = [(i, c) for i, c in self.items.items() if self._hidden.get(i, 0) <= now]
            return 200, _OK | {"training_data": [{"id": i, "content": c} for i, c in shown]}, {}
        if method == "DELETE":
            item = path.rpartition("/")[2]
            if self.items.pop(item, None) is None:
                return 404, {"status": "error", "message": "no such item"}, {}
        else:
            data = body["training_data"]
            if data["id"] not in self.items:
                return 404, {"status": "error", "message": "no such item"}, {}
            self.items[data["id"]] = data["content"]
        return (500, {"status": "error"}, {}) if fault == "applied 500" else (200, _OK, {})

    def _stored(self, path: str, body: dict, fault: str) -> tuple[int, object, dict]:  # noqa: PLR0911 - a table
        if "stream" in path:
            self.streams.add(body["stream_data"]["stream_id"])
            body = body["stream_data"]
        pages = body["pages"]
        if fault in {"429", "503 retry"}:
            return int(fault[:3]), {"status": "error", "message": "later"}, {"Retry-After": "0"}
        if (self.script.most and len(pages) > self.script.most) or (fault == "413" and len(pages) > 1):
            return 413, {"status": "error", "message": "too many pages"}, {}
        if self.script.poison and any(self.script.poison in page["content"] for page in pages):
            return 422, {"status": "error", "message": "a page holds poison"}, {}
        if fault in {"500", "html 200 unapplied", "refuse"}:
            return 500 if fault == "500" else 200, {"status": "error"}, {}
        if fault == "late":
            self._later(self._apply_late(pages))
            return 500, {"status": "error"}, {}
        half = fault in {"reset during", "half 500", "half 422"}
        if fault != "lost 200":
            self._apply(pages[: (len(pages) + 1) // 2] if half else pages)
        if fault in {"applied 500", "half 500", "half 422", "applied 503"}:
            return int(fault[-3:]), {"status": "error", "message": "something broke"}, {}
        return 200, ({"status": "error"} if fault == "status error 200" else _OK), {}

    async def _apply_late(self, pages: list[dict]) -> None:
        await asyncio.sleep(self.script.late_s)
        self._apply(pages)

    def _apply(self, pages: list[dict]) -> None:
        seen_at = asyncio.get_running_loop().time() + self.script.appears_s
        for page in pages:
            for piece in self.cut(page["content"]):
                self._hidden[self.add(piece)] = seen_at

    def cut(self, content: str) -> list[str]:
        """Return the items that a content becomes."""
        if not self.script.pieces:
            return [content]
        pieces, words, size = [], [], 0
        for word in content.split(" "):
            words.append(word)
            size += len(word) + 1
            if size >= self.script.pieces:
                pieces.append(" ".join(words))
                words, size = [], 0
        return [*pieces, *([" ".join(words)] if words else [])]

    async def _write(self, writer, status: int, value: object, headers: dict, *, fault: str) -> bool:
        if fault in {"reset during", "reset after"}:
            writer.transport.abort()
            return False
        body = json.dumps(value).encode()
        media = "application/json"
        if fault.startswith("html 200"):
            body, media = b"<html><body>Welcome to our proxy</body></html>", "text/html"
        elif fault == "unreadable 200":
            body = b"\x00\xff not json"
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {media}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {text}" for name, text in headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        if fault == "truncated 200":
            writer.write(body[: len(body) // 2])
            await writer.drain()
            writer.transport.abort() if len(body) < 40 else writer.close()
            return False
        if fault == "drip":
            for index in range(len(body)):
                writer.write(body[index : index + 1])
                await writer.drain()
                await asyncio.sleep(self.script.drip_s / 8)
                if index >= 8:
                    writer.transport.abort()
                    return False
        writer.write(body)
        await writer.drain()
        return True
