"""One URL, fetched: politely, within bounds, redirects by hand, every failure an item with its rule."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING

import httpx

from connectors.errors import UsageError
from connectors.models import Resource, Skipped
from connectors.web import robots, urls
from connectors.web.address_book import AddressBook, GuardError, TlsError, UnresolvedError, place_of, resolve
from connectors.web.deadline import Deadline
from connectors.web.decode import BoundedDecoder, DecodeError, TooLargeError
from connectors.web.door import Door
from connectors.web.politeness import Lane, seconds_until_retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from connectors.web.address_book import Resolver
    from connectors.web.door import Answer
    from connectors.web.http2 import Http2Answer, Http2Door

ACCEPT = "text/html,application/xhtml+xml,text/markdown;q=0.9,text/plain;q=0.9,application/pdf;q=0.8,*/*;q=0.5"
_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_.:+-]{1,40})""", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LONGEST_VALIDATOR = 500
_ESSENCE = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,80}")
_CANONICAL = re.compile(r"""<([^>]{1,2000})>\s*;[^,<]*\brel\s*=\s*"?[^",;]*\bcanonical\b""", re.IGNORECASE)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_NOT_THEIRS = frozenset({"user-agent", "accept-encoding", "range", "if-none-match", "if-modified-since"})
_OVERLOADED = frozenset({429, 503})
_OK, _NOT_OK, _SERVERS_FAULT = 200, 300, 500
_HOSTS_REMEMBERED = 10_000
_SMALL = 256 * 1024
_SECRET = 6  # shorter words of a header are no secrets
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one fetch may cost.

    Attributes:
        whole_s: from sending to the body's end; waiting for our turn does not count.
        idle_s: the longest silence.
        min_rate: bytes a second that a body must bring, once it took ``rate_after_s``.
        max_bytes: of a body, on the wire and decoded.
        attempts: how often one address is asked before its failure counts.
        patience: how often it is asked while the answer is "not now" (429, 503).
        backoff_s: the first wait before asking again; it doubles, with full jitter.
        in_vain_s: how long a host's refused addresses are waited for while that helps none; then each is asked once.
    """

    connect_s: float = 10.0
    idle_s: float = 20.0
    whole_s: float = 60.0
    min_rate: int = 512
    rate_after_s: float = 10.0
    max_bytes: int = 32 * 1024 * 1024
    max_redirects: int = 10
    attempts: int = 3
    patience: int = 6
    backoff_s: float = 0.5
    in_vain_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """The address answered that it is elsewhere; ``to`` is in normal form."""

    uri: str
    to: str
    status: int
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """How one URI is asked for.

    Attributes:
        wanted: says of a media type whether the body is worth reading; None reads all.
        cut: a body over ``max_bytes`` is cut there instead of refused.
        depth: goes along into the Resource.
    """

    etag: str = ""
    last_modified: str = ""
    accept: str = ACCEPT
    max_bytes: int = 0
    cut: bool = False
    wanted: Callable[[str], bool] | None = None
    depth: int = 0


PLAIN = Ask()


class _PassingError(Exception):
    """It may go better next time."""

    def __init__(self, outcome: Skipped, *, waits: bool = False) -> None:
        super().__init__(outcome.rule)
        self.outcome = outcome
        self.waits = waits  # the whole lane does, so that this address need not by itself


class Fetcher:
    """A polite client of other people's sites.

    Args:
        user_agent: the honest one, with a contact.
        headers: sent to the operator's own origins and to nobody else.
        concurrency: the most requests in flight to one host.
        delay_s: between the starts of two requests to one host; None: what `ask_delay` was told.
        allowed: URLs or origins that the operator named; all others must have public addresses.
        resolver: how names become addresses.
        door: another one than our own, with its own idea of what is allowed: `http2.Http2Door`, or a test's.

    Raises:
        UsageError: the user agent or a header cannot be sent.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        headers: Mapping[str, str] | None = None,
        concurrency: int = 8,
        delay_s: float | None = None,
        allowed: Iterable[str] = (),
        limits: Limits | None = None,
        resolver: Resolver = resolve,
        door: Door | Http2Door | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.user_agent = user_agent
        self.agent = robots.product_token(user_agent)
        self.concurrency = concurrency
        self._delay_s = delay_s
        self._door = door or Door(
            AddressBook(allowed, resolver=resolver), connect_s=self.limits.connect_s, idle_s=self.limits.idle_s
        )
        self._ours = {"User-Agent": _sendable("User-Agent", user_agent), "Accept-Encoding": "gzip, deflate, br, zstd"}
        self._operators = {
            name: _sendable(name, value) for name, value in (headers or {}).items() if name.lower() not in _NOT_THEIRS
        }
        self._lanes: dict[str, Lane] = {}
        self._deadline = Deadline(self.limits.whole_s)
        self.requests = 0

    async def aclose(self) -> None:
        """Close every connection."""
        self._deadline.close()
        await self._door.aclose()

    def ask_delay(self, uri: str, seconds: float | None) -> None:
        """Keep what a site's robots.txt asks for; a delay that the operator set stands above it."""
        if self._delay_s is None and seconds:
            self._lane(urls.origin(uri)).delay_s = seconds

    async def fetch(
        self,
        uri: str,
        *,
        etag: str = "",
        last_modified: str = "",
        accept: str = ACCEPT,
        max_bytes: int = 0,
        cut: bool = False,
        wanted: Callable[[str], bool] | None = None,
    ) -> Resource | Skipped:
        """Fetch what is at ``uri`` (normal form) and wherever it leads; each hop is checked as the first was.

        The validators are for ``uri`` itself and go nowhere else. See `Ask` for the rest.
        """
        ask = Ask(etag=etag, last_modified=last_modified, accept=accept, max_bytes=max_bytes, cut=cut, wanted=wanted)
        passed: list[str] = []
        at = uri
        while True:
            got = await self.fetch_once(at, ask)
            if isinstance(got, Skipped):
                return replace(got, uri=uri, detail=f"{urls.redact(at)}: {got.detail}" if passed else got.detail)
            if isinstance(got, Resource):
                return replace(got, requested_uri=uri, redirects=tuple(passed))
            passed.append(at)
            if got.to in passed:
                return _failed(uri, "redirect-loop", f"{urls.redact(at)} leads back to {urls.redact(got.to)}")
            if len(passed) > self.limits.max_redirects:
                return _failed(uri, "redirect-loop", f"it was redirected more than {self.limits.max_redirects} times")
            at, ask = got.to, replace(ask, etag="", last_modified="")

    async def fetch_once(self, uri: str, ask: Ask = PLAIN) -> Resource | Redirect | Skipped:
        """Fetch what is at ``uri`` (normal form), asking again when that may help, following nothing."""
        origin = urls.origin(uri)
        lane = self._lane(origin)
        failures = refusals = 0
        while True:
            await lane.enter()
            try:
                got = await self._attempt(uri, origin, ask, lane)
            except _PassingError as error:
                if error.outcome.status in _OVERLOADED:
                    refusals += 1  # "not now" is no failure of the page: it has more patience, and the lane slows down
                else:
                    failures += 1
                if failures >= self.limits.attempts or refusals >= self.limits.patience or lane.in_vain:
                    return error.outcome
                waited = error.waits
            else:
                if failures or refusals:
                    lane.helped()
                return got
            finally:
                lane.leave()
            if not waited:
                rounds = min(failures + refusals, 6)
                await asyncio.sleep(random.uniform(0.1, 1.0) * self.limits.backoff_s * 2 ** (rounds - 1))  # noqa: S311

    def _lane(self, origin: str) -> Lane:
        lane = self._lanes.get(origin)
        if lane is None:
            if len(self._lanes) >= _HOSTS_REMEMBERED:
                self._lanes = {key: kept for key, kept in self._lanes.items() if not kept.idle}
            lane = self._lanes[origin] = Lane(
                concurrency=self.concurrency, delay_s=self._delay_s or 0.0, in_vain_s=self.limits.in_vain_s
            )
        return lane

    async def _attempt(self, uri: str, origin: str, ask: Ask, lane: Lane) -> Resource | Redirect | Skipped:
        began = monotonic()
        try:
            with self._deadline:
                return await self._exchange(uri, origin, ask, began, lane)
        except GuardError as error:
            return Skipped(uri=uri, rule="private-address", detail=str(error))
        except TlsError as error:
            return _failed(uri, "tls", f"no safe connection: {self._said(error)}", fault=True)
        except TimeoutError:
            lane.overloaded()
            raise _PassingError(
                _failed(uri, "timeout", f"no end within {self.limits.whole_s:g} s", fault=True)
            ) from None
        except httpx.TimeoutException:
            lane.overloaded()
            raise _PassingError(_failed(uri, "timeout", "it does not answer in time", fault=True)) from None
        except UnresolvedError as error:
            raise _PassingError(_failed(uri, "dns", str(error), fault=True)) from error
        except httpx.ConnectError as error:
            raise _PassingError(_failed(uri, "refused", f"no connection: {self._said(error)}", fault=True)) from error
        except httpx.UnsupportedProtocol as error:
            return _failed(uri, "bad-url", self._said(error))
        except httpx.RequestError as error:
            raise _PassingError(
                _failed(uri, "broken-answer", f"the connection broke: {self._said(error)}", fault=True)
            ) from error

    def _said(self, error: Exception) -> str:
        """Return an error's text as one short line: a server's own bytes may be quoted in it, and in them ours."""
        text = " ".join(str(error).split())
        for value in self._operators.values():
            for secret in sorted({value, *value.split()}, key=len, reverse=True):
                text = text.replace(secret, "***") if len(secret) >= _SECRET else text
        return "".join(
            character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:200]
        )

    async def _exchange(
        self, uri: str, origin: str, ask: Ask, began: float, lane: Lane
    ) -> Resource | Redirect | Skipped:
        self.requests += 1
        answer = await self._door.send("GET", place_of(origin), urls.target_of(uri), self._headers(origin, ask))
        try:
            status = answer.status
            if status in _PASSING:
                self._slow_down(answer, uri, lane)
            lane.good(monotonic() - began)
            if status in _REDIRECTS:
                return self._redirected(uri, answer, began)
            if status == HTTPStatus.NOT_MODIFIED and (ask.etag or ask.last_modified):
                return self._resource(uri, answer, None, began, ask)
            if refused := self._refused(uri, answer, ask):
                return refused
            body = await self._read(answer, ask)
            return self._resource(uri, answer, body, began, ask)
        except TooLargeError as error:
            return Skipped(uri=uri, rule=error.rule, detail=str(error), status=answer.status)
        except DecodeError as error:
            return _failed(uri, "bad-encoding", str(error), status=answer.status)
        finally:
            await answer.aclose()

    def _refused(self, uri: str, answer: Answer | Http2Answer, ask: Ask) -> Skipped | None:
        """Return why the body is not worth reading; None when it is."""
        status = answer.status
        if not _OK <= status < _NOT_OK:
            return _failed(uri, f"http-{status}", f"it answers {status}", status=status, fault=status >= _SERVERS_FAULT)
        media_type = essence(answer.headers.get("content-type", ""))
        if ask.wanted is not None and not ask.wanted(media_type):
            return Skipped(uri=uri, rule="media", detail=f"{media_type} is no page and no document", status=status)
        return None

    def _headers(self, origin: str, ask: Ask) -> dict[str, str]:
        headers = {**self._ours, "Accept": ask.accept}
        if self._operators and self._door.book.is_operators(origin):
            headers |= self._operators
        if ask.etag:
            headers["If-None-Match"] = ask.etag
        if ask.last_modified:
            headers["If-Modified-Since"] = ask.last_modified
        return headers

    def _slow_down(self, answer: Answer | Http2Answer, uri: str, lane: Lane) -> None:
        status = answer.status
        outcome = _failed(uri, f"http-{status}", f"it answers {status} each time", status=status, fault=True)
        waits = False
        if status in _OVERLOADED:
            lane.overloaded()
            with contextlib.suppress(ValueError):
                lane.pause(seconds_until_retry(answer.headers.get("retry-after", ""), now=datetime.now(UTC)))
                waits = True
        raise _PassingError(outcome, waits=waits)

    def _redirected(self, uri: str, answer: Answer | Http2Answer, began: float) -> Redirect | Skipped:
        to = urls.normalise(answer.headers.get("location", ""), uri) if "location" in answer.headers else ""
        if not to:
            return _failed(uri, "bad-redirect", "it redirects to nowhere", status=answer.status)
        return Redirect(uri=uri, to=to, status=answer.status, seconds=monotonic() - began)

    async def _read(self, answer: Answer | Http2Answer, ask: Ask) -> bytes:
        max_bytes = ask.max_bytes or self.limits.max_bytes
        declared = answer.headers.get("content-length", "")
        length = int(declared[:15]) if declared.isascii() and declared.isdigit() else None
        if length is not None and length > max_bytes and not ask.cut:
            raise TooLargeError("too-large", f"it is {length} bytes; the most is {max_bytes}")
        coding = answer.headers.get("content-encoding", "")
        if not coding and length is not None and length <= min(max_bytes, _SMALL):
            return await answer.whole()
        # A cut body goes over by less than a piece, and is cut to size then.
        decoder = BoundedDecoder(coding, max_bytes=max_bytes + _PIECE if ask.cut else max_bytes)
        pieces: list[bytes] = []
        began = monotonic()
        try:
            async for chunk in answer.chunks():
                for at in range(0, len(chunk), _PIECE):
                    pieces.extend(decoder.feed(chunk[at : at + _PIECE]))
                spent = monotonic() - began
                if spent > self.limits.rate_after_s and decoder.raw < self.limits.min_rate * spent:
                    raise httpx.ReadTimeout("it sends too slowly")
            decoder.finish()
        except TooLargeError:
            if not ask.cut:
                raise
        return b"".join(pieces)[:max_bytes]

    def _resource(self, uri: str, answer: Answer | Http2Answer, body: bytes | None, began: float, ask: Ask) -> Resource:
        headers = answer.headers
        content_type = headers.get("content-type", "")
        charset = _CHARSET.search(content_type)
        link = _CANONICAL.search(", ".join(headers.getall("link"))) if "link" in headers else None
        tags = headers.getall("x-robots-tag") if "x-robots-tag" in headers else ()
        return Resource(
            uri=uri,
            requested_uri=uri,
            media_type=essence(content_type),
            body=body,
            charset=charset[1].lower() if charset else "",
            etag=_validator(headers.get("etag", "")) or (ask.etag if body is None else ""),
            last_modified=_validator(headers.get("last-modified", "")) or (ask.last_modified if body is None else ""),
            robots=robots.x_robots(tags, agent=self.agent) if tags else (),
            link_canonical=urls.normalise(link[1], uri) if link else "",
            status=answer.status,
            depth=ask.depth,
            seconds=monotonic() - began,
        )


def _sendable(name: str, value: str) -> str:
    if not value.strip() or not value.isprintable() or not value.isascii() or not _NAME.fullmatch(name):
        raise UsageError(f"The header {name[:40]!r} is empty or holds characters that cannot be sent.")
    return value.strip()


def _validator(value: str) -> str:
    """Return an ETag or a date that we can keep and send back; anything odd is as good as none."""
    return value if value.isascii() and value.isprintable() and len(value) <= _LONGEST_VALIDATOR else ""


def essence(content_type: str) -> str:
    """Return ``type/subtype`` in lower case; empty when the header holds none."""
    found = content_type.partition(";")[0].strip().lower()
    return found if _ESSENCE.fullmatch(found) else ""


def _failed(uri: str, rule: str, detail: str, *, status: int = 0, fault: bool = False) -> Skipped:
    return Skipped(uri=uri, rule=rule, outcome="failed", detail=detail, status=status, fault=fault)
