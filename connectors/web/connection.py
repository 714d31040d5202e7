"""One connection of the door: a request goes out, its answer comes in; silence and crowding are bounded."""

from __future__ import annotations

import asyncio
import math
import ssl
from typing import TYPE_CHECKING, cast

import httpx

from connectors.web.http1 import ProtocolError, Reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_HIGH_WATER = 256 * 1024
"""Bytes of a body that may wait to be taken; then nothing more is read from the socket."""
KEPT_S = 15.0
"""How long a connection that nobody uses is kept."""


class UnansweredError(httpx.RemoteProtocolError):
    """The connection ended before one byte of the answer: as a rule the other side had closed an idle one."""


class Connection(asyncio.Protocol):
    """One request at a time; whoever asked reads the answer to its end, or closes the connection.

    Args:
        gone: is told once that it is closed.
    """

    def __init__(self, gone: Callable[[Connection], None]) -> None:
        self.closed = False
        self._gone = gone
        self.reader: Reader | None = None
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._whole = False  # the waiter wants the end, and not what comes until then
        self._error: httpx.RequestError | None = None
        self._paused = False
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._silence_s = KEPT_S
        self._clock: asyncio.TimerHandle | None = None
        self._rings_at = math.inf

    async def ask(self, request: bytes, *, silence_s: float | None, bodyless: bool) -> Reader:
        """Send a request and wait for its answer's head.

        Raises:
            httpx.RequestError: there is none; `UnansweredError` when nothing at all came.
        """
        if self.closed or self._transport is None:
            raise UnansweredError("the connection is closed")
        self.reader = reader = Reader(bodyless=bodyless)
        self._listen(math.inf if silence_s is None else silence_s)
        self._transport.write(request)
        while not reader.status:
            await self._wait(whole=False)
        return reader

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the answer's body as it comes."""
        reader = self._reading()
        while True:
            for piece in self._taken(reader):
                yield piece
            if reader.complete and not reader.waiting:
                return
            if not reader.waiting:
                await self._wait(whole=False)

    async def whole(self) -> bytes:
        """Return the answer's body in one piece."""
        reader = self._reading()
        pieces = self._taken(reader)
        while not reader.complete:
            await self._wait(whole=True)
            pieces += self._taken(reader)
        return b"".join(pieces) if len(pieces) != 1 else pieces[0]

    def rest(self) -> bool:
        """The answer was read as far as it is wanted; say whether the connection can be kept for another request."""
        reader, self.reader = self.reader, None
        if self.closed or reader is None or not reader.complete or not reader.keeps:
            self.close()
            return False
        self._resume()
        self._listen(KEPT_S)
        return True

    def close(self) -> None:
        """Let go of it at once."""
        if self.closed:
            return
        self.closed = True
        self._gone(self)
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
        if self._transport is not None:
            self._transport.abort()

    def _reading(self) -> Reader:
        if self.reader is None:
            raise httpx.ReadError("the answer was closed")
        return self.reader

    def _taken(self, reader: Reader) -> list[bytes]:
        pieces = reader.take()
        if self._paused:
            self._resume()
        return pieces

    def _resume(self) -> None:
        if self._paused and self._transport is not None and not self.closed:
            self._paused = False
            self._heard = self._loop.time()
            self._transport.resume_reading()

    async def _wait(self, *, whole: bool) -> None:
        if self._error is not None:
            raise self._error
        self._whole = whole
        self._waiter = waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self, error: httpx.RequestError | None = None) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            if error is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(None)

    def _fail(self, error: httpx.RequestError) -> None:
        if self._error is None:
            self._error = error
        self._wake(self._error)
        self.close()

    # -- the clock: one timer that looks now and then, instead of one for each read ------------------------------------

    def _listen(self, silence_s: float) -> None:
        self._heard = now = self._loop.time()
        self._silence_s = silence_s
        if now + silence_s < self._rings_at:
            self._set_clock(silence_s)

    def _set_clock(self, seconds: float) -> None:
        if self._clock is not None:
            self._clock.cancel()
        self._clock = self._loop.call_later(seconds, self._look) if math.isfinite(seconds) else None
        self._rings_at = self._clock.when() if self._clock is not None else math.inf

    def _look(self) -> None:
        left = self._heard + self._silence_s - self._loop.time()
        if left > 0 or self._paused:
            self._set_clock(max(left, 0.01) if not self._paused else self._silence_s)
        elif self.reader is None:
            self.close()
        else:
            self._fail(httpx.ReadTimeout("it does not answer in time"))

    # -- what asyncio calls -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)  # another loop's is none by its class

    def data_received(self, data: bytes) -> None:
        """Some of an answer came."""
        self._heard = self._loop.time()
        reader = self.reader
        if reader is None:
            self.close()  # what comes unasked is nobody's answer
            return
        try:
            reader.feed(data)
        except ProtocolError as error:
            self._fail(httpx.RemoteProtocolError(str(error)))
            return
        if reader.waiting > _HIGH_WATER and not reader.complete and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        if reader.complete or (reader.status and (not self._whole or self._paused)):
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, in order or not."""
        reader = self.reader
        if reader is not None and not reader.complete:
            self._lost(reader, exc)
        self.close()

    def _lost(self, reader: Reader, exc: Exception | None) -> None:
        said = str(exc) if exc is not None else ""
        if not reader.started:
            self._fail(UnansweredError(said or "the server closed the connection and did not answer"))
            return
        if exc is not None and not isinstance(exc, ssl.SSLEOFError):
            self._fail(httpx.ReadError(said or type(exc).__name__))
            return
        try:
            reader.end()
        except ProtocolError as error:
            self._fail(httpx.RemoteProtocolError(str(error)))
        else:
            self._wake()
