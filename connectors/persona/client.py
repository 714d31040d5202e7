"""The Persona API over HTTP: a thin adapter that carries out the calls of `wire`."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
import time
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self, TypeVar
from urllib.parse import urlsplit

import httpx

from connectors.errors import FatalError, IngestError, RefusedError, RetryableError, UsageError
from connectors.persona import skimming, training, wire
from connectors.persona.masking import masked
from connectors.settings import PERSONA_BASE_URL, PERSONA_VOICE_BASE_URL
from connectors.web.address_book import GuardError
from connectors.web.guard import open_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Container, Iterable, Iterator, Mapping, Sequence

    from pydantic import SecretStr

    from connectors.models import Item, Outgoing
    from connectors.persona.wire import Call, Chat, ChatAnswer

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

CONNECT_S = 15.0
TRAINING_DATA_S = 4 * 3600.0
CONNECTIONS = 32


class _Reads(Protocol[T_co]):
    """What makes items of the training data's bytes: a `training.Reader` or a `skimming.Skimmer`."""

    def feed(self, data: bytes) -> Iterable[T_co]: ...

    def finish(self) -> Iterable[T_co]: ...


class PersonaClient:
    """One account of the Persona API.

    Each method raises `FatalError` (401, 403), `RefusedError` (400, 404, 413, 422), and for anything else that is not
    the documented success `RetryableError`, whose ``applied`` is ``"no"`` only when no byte of the request left.

    Args:
        base_url: with its path (``https://persona.bhuman.ai/persona/``).
        voice_base_url: of the host that generates voices.
        secret: sent bare in ``Authorization``; None sends none.
        timeout_s: how long one call may take, from the connection to the answer's last byte.
        transport: another way to the server than TCP; closed with the client.
    """

    def __init__(
        self,
        *,
        base_url: str = PERSONA_BASE_URL,
        voice_base_url: str = PERSONA_VOICE_BASE_URL,
        secret: SecretStr | None = None,
        timeout_s: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._bases = {"persona": _base(base_url), "voice": _base(voice_base_url)}
        self._secret = secret
        self._timeout_s = timeout_s
        self._authorization = _authorization(secret)
        connect_s = min(timeout_s / 2, CONNECT_S)
        self._timeout = httpx.Timeout(timeout_s, connect=connect_s, pool=connect_s)
        self._http = _open(transport, bases=self._bases.values(), connect_s=connect_s)
        self.answers_cut = 0
        """How many answers were larger than their call allows, and were not read to their end."""

    def __repr__(self) -> str:
        return f"PersonaClient({self._bases['persona']!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    # The knowledge base.

    async def store_pages(self, pages: Sequence[Outgoing]) -> None:
        """Store a batch of pages; asking twice stores them twice."""
        await self._call(wire.store_pages(pages))

    async def stream_pages(self, stream_id: str, pages: Sequence[Outgoing]) -> None:
        """Send one more batch of a stream; asking twice stores them twice."""
        await self._call(wire.stream_pages(stream_id, pages))

    def training_data(self) -> AsyncIterator[Item]:
        """Yield every item of the knowledge base; it ends without an error only after the last one."""
        return self._training_data(training.Reader())

    def training_data_but(self, known: Container[bytes]) -> AsyncIterator[Item | bytes]:
        """Yield the same, each item with its mark; of those whose marks are ``known`` only the marks."""
        return self._training_data(skimming.Skimmer(known))

    async def _training_data(self, reader: _Reads[T]) -> AsyncIterator[T]:
        call = wire.training_data()
        with self._failures(call):
            async with asyncio.timeout(self._timeout_s):
                response = await self._send(call)
            try:
                answer = _head(response)
                if not response.is_success:
                    wire.refuse_bad_status(call, await self._whole(call, response))
                wire.refuse_other_media(call, answer)
                # No asyncio.timeout around a yield: it would cancel the reader's task. Each read has a time-out.
                ends_at = time.monotonic() + TRAINING_DATA_S
                async for data in self._bounded(call, response):
                    if time.monotonic() > ends_at:
                        raise TimeoutError
                    for item in reader.feed(data):
                        yield item
                for item in reader.finish():
                    yield item
            except training.BrokenStreamError as error:
                wire.unknown(call, response.status_code, f"{error}")
            finally:
                await _let_go(response)

    async def update_training_data(self, item_id: str, content: str) -> None:
        """Replace the content of one item."""
        await self._call(wire.update_training_data(item_id, content))

    async def delete_training_data(self, item_id: str) -> None:
        """Delete one item; `RefusedError` with status 404 when it is not there."""
        await self._call(wire.delete_training_data(item_id))

    async def auto_generate_prompts(self, topics: Sequence[str], context: str = "") -> list[str]:
        """Ask for questions about topics."""
        call = wire.auto_generate_prompts(topics, context)
        prompts = wire.texts(call, await self._call(call), "prompts")
        told = "\n".join(prompts)
        return prompts if self._masked(told) == told else [self._masked(prompt) for prompt in prompts]

    async def review_data(self, articles: Sequence[str], notes: Sequence[str]) -> None:
        """Submit findings for review; articles and notes are pairs by position."""
        await self._call(wire.review_data(articles, notes))

    # Chats.

    async def chat(self, user_id: str, message: str, context: str = "") -> ChatAnswer:
        """Ask the persona."""
        call = wire.chat(user_id=user_id, message=message, context=context)
        return wire.chat_answer(call, await self._call(call))

    async def chats(self) -> list[Chat]:
        """Read the chat history."""
        call = wire.chats()
        return wire.chat_list(call, await self._call(call))

    async def messages(self, chat_id: str) -> list[str]:
        """Read the messages of one chat, user and persona in turn."""
        call = wire.messages(chat_id)
        return wire.texts(call, await self._call(call), "messages")

    # Personas.

    async def add_voice(self, *, language: str, tone: str, pitch: str, sample_audio: str) -> str:
        """Add a voice and return its id; ``sample_audio`` is base64."""
        call = wire.add_voice(language=language, tone=tone, pitch=pitch, sample_audio=sample_audio)
        return wire.text(call, await self._call(call), "voice_id")

    async def voice_training_url(self, embed_name: str) -> str:
        """Return the absolute URL of an embed's recording."""
        call = wire.voice_training_url(embed_name)
        return wire.training_url(call, await self._call(call))

    async def generate_voice(
        self, training_urls: Sequence[str], *, names: Sequence[str] = (), use_prosody: bool = False
    ) -> str:
        """Make a voice of recordings and return its id."""
        call = wire.generate_voice(training_urls, names=names, use_prosody=use_prosody)
        return wire.text(call, await self._call(call), "voice_id")

    async def admin_instance(self, *, name: str, description: str, configuration: Mapping[str, Any]) -> str:
        """Create an instance as an administrator and return its id."""
        call = wire.create_instance(name=name, description=description, configuration=configuration, admin=True)
        return wire.text(call, await self._call(call), "instance_id")

    async def instance(self, *, name: str, description: str, configuration: Mapping[str, Any]) -> str:
        """Create an instance and return its id."""
        call = wire.create_instance(name=name, description=description, configuration=configuration, admin=False)
        return wire.text(call, await self._call(call), "instance_id")

    async def delete_instance(self, instance_id: str) -> None:
        """Delete an instance; `RefusedError` with status 404 when it is not there."""
        await self._call(wire.delete_instance(instance_id))

    async def add_video(self, *, file: str, title: str, duration: int, resolution: str, description: str = "") -> str:
        """Add a video and return its id; ``file`` is base64, ``duration`` whole seconds."""
        call = wire.add_video(file=file, title=title, duration=duration, resolution=resolution, description=description)
        return wire.text(call, await self._call(call), "video_id")

    # The wire.

    async def _call(self, call: Call) -> dict[str, Any]:
        with self._failures(call):
            async with asyncio.timeout(self._timeout_s):
                response = await self._send(call)
                try:
                    answer = await self._whole(call, response)
                finally:
                    await _let_go(response)
            return wire.read(call, answer)

    async def _send(self, call: Call) -> httpx.Response:
        body = wire.encode(call)
        headers = {"accept": "application/json", "accept-encoding": "identity"} | self._authorization
        if body is not None:
            headers["content-type"] = "application/json"
        url = self._bases[call.host] + call.path
        request = self._http.build_request(call.method, url, content=body, headers=headers, timeout=self._timeout)
        return await self._http.send(request, stream=True)

    async def _whole(self, call: Call, response: httpx.Response) -> wire.Answer:
        """Read the answer; of one whose status is no success only what is readable, for the status decides."""
        parts: list[bytes] = []
        try:
            async for data in self._bounded(call, response):
                parts.append(data)  # noqa: PERF401 - what came before a failure counts
        except (RetryableError, httpx.HTTPError):
            if response.is_success:
                raise
        return dataclasses.replace(_head(response), body=b"".join(parts))

    async def _bounded(self, call: Call, response: httpx.Response) -> AsyncIterator[bytes]:
        """Yield the body as sent: we ask for no coding, so that no answer can inflate."""
        if response.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            wire.unknown(call, response.status_code, "it is compressed, which we did not ask for")
        size = 0
        async for data in response.aiter_raw():
            size += len(data)
            if size > call.max_bytes:
                self.answers_cut += 1
                wire.unknown(call, response.status_code, f"it is over {call.max_bytes} bytes")
            yield data

    @contextlib.contextmanager
    def _failures(self, call: Call) -> Iterator[None]:
        """Turn every failure of the wire into one of ours, and keep the secret out of all."""
        try:
            yield
        except IngestError as error:
            raise self._without_secret(error) from None
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, TimeoutError, OSError) as error:
            self._raise_for(call, error)

    def _raise_for(self, call: Call, error: Exception) -> NoReturn:
        # The cause stays out of every traceback: it may quote the server, and the server what we sent.
        where = urlsplit(self._bases[call.host]).netloc
        name = f"{call.method} {call.path[:120]}"
        if _never_left(error):
            raise RetryableError(
                f"{where} cannot be reached ({type(error).__name__}): check PERSONA_BASE_URL and the network.",
                applied="no",
            ) from None
        slow = isinstance(error, (TimeoutError, httpx.TimeoutException))
        what = f"took longer than {self._timeout_s:g} s" if slow else f"broke off ({type(error).__name__})"
        raise RetryableError(f"{name} to {where} {what}.", applied="unknown") from None

    def _masked(self, text: str) -> str:
        return masked(text, self._secret.get_secret_value() if self._secret else "")

    def _without_secret(self, error: IngestError) -> IngestError:
        # A server may repeat what we sent in its message.
        said = self._masked(str(error))
        if said == str(error):
            return error
        if isinstance(error, RetryableError):
            return RetryableError(said, applied=error.applied, retry_after_s=error.retry_after_s, status=error.status)
        return RefusedError(said, status=error.status) if isinstance(error, RefusedError) else FatalError(said)


def _open(transport: httpx.AsyncBaseTransport | None, *, bases: Iterable[str], connect_s: float) -> httpx.AsyncClient:
    if transport is not None:
        return httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False)
    # Answers are bounded call by call; one of them is a whole knowledge base.
    largest = wire.training_data().max_bytes
    return open_client(bases, timeout_s=connect_s, max_bytes=largest, connections=CONNECTIONS)


def _never_left(error: Exception) -> bool:
    """Say whether no byte of the request can have left us."""
    return isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, GuardError))


def _base(url: str) -> str:
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise UsageError("The Persona API's address holds a user name: use PERSONA_CLIENT_SECRET instead.")
    if parts.query or parts.fragment:
        raise UsageError("The Persona API's address ends with its path: leave '?' and '#' out.")
    return url if url.endswith("/") else url + "/"


def _authorization(secret: SecretStr | None) -> dict[str, str]:
    # Checked here, because a header library's own complaint would quote the secret.
    value = secret.get_secret_value() if secret else ""
    if not value:
        return {}
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise UsageError("PERSONA_CLIENT_SECRET holds a space, a line break or a character that no header may hold.")
    return {"authorization": value}


async def _let_go(response: httpx.Response) -> None:
    """Close a response, and break its circle of references: a batch's body would wait for the cycle collector."""
    await response.aclose()
    response.stream = httpx.ByteStream(b"")


def _head(response: httpx.Response) -> wire.Answer:
    headers = response.headers
    return wire.Answer(
        status=response.status_code,
        content_type=headers.get("content-type", ""),
        retry_after=headers.get("retry-after", ""),
    )
