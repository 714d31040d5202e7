"""TLS through the guard, and httpx's interface to it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess

import httpx
import pytest
from loopback import Reply, Site, listening

from connectors.models import Resource
from connectors.web.address_book import AddressBook, GuardError, UnresolvedError, place_of
from connectors.web.door import Door, _socket_for
from connectors.web.fetcher import Fetcher, Limits
from connectors.web.guard import open_client


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=good.test",
            "-addext", "subjectAltName=DNS:good.test", "-keyout", folder / "key.pem", "-out", folder / "cert.pem",
        ],
        capture_output=True,
        check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl makes no certificate here")
    return folder


@pytest.fixture
async def secure(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    made = await Site(fallback=lambda _: Reply("over TLS")).start(tls=context)
    yield made
    await made.stop()


async def to_loopback(host, port):
    return ["127.0.0.1"]


@pytest.mark.parametrize(("host", "reached"), [("good.test", True), ("other.test", False)])
async def test_tls_proves_the_hosts_name_though_we_dial_an_address(secure, certificate, host, reached):
    url = f"https://{host}:{secure.port}/x"
    trust = ssl.create_default_context(cafile=certificate / "cert.pem")
    door = Door(AddressBook((url,), resolver=to_loopback), tls=trust)
    fetcher = Fetcher(user_agent="x/1", door=door, limits=Limits(attempts=1))
    got = await fetcher.fetch(url)
    await fetcher.aclose()
    if reached:
        assert isinstance(got, Resource)
        assert secure.asked[0].headers["host"] == f"good.test:{secure.port}"
    else:
        assert (got.rule, got.fault) == ("tls", True)
        assert secure.asked == []


async def test_an_unknown_authority_is_refused(secure):
    url = f"https://good.test:{secure.port}/x"
    fetcher = Fetcher(user_agent="x/1", allowed=(url,), resolver=to_loopback, limits=Limits(attempts=1))
    assert (await fetcher.fetch(url)).rule == "tls"
    await fetcher.aclose()
    assert secure.asked == []


async def test_httpx_sends_a_body_and_reads_an_answer_through_the_door(site):
    site.routes["/post"] = lambda asked: Reply(asked.headers["content-type"], 201, [("X-A", "1"), ("X-A", "2")])
    async with open_client([site.url], base_url=site.url) as client:
        answer = await client.post("/post", json={"a": 1}, headers={"Authorization": "secret"})
        assert (answer.status_code, answer.text) == (201, "application/json")
        assert answer.headers.get_list("x-a") == ["1", "2"]
        assert site.asked[0].headers["authorization"] == "secret"
        assert site.asked[0].headers["content-length"] == "7"


async def test_httpx_follows_no_redirect_and_keeps_no_cookie_of_ours(site):
    site.routes["/a"] = Reply("", 302, [("Location", "/b"), ("Set-Cookie", "a=b")])
    async with open_client([site.url]) as client:
        assert (await client.get(f"{site.url}/a")).status_code == 302
    assert [asked.target for asked in site.asked] == ["/a"]


async def test_an_answer_over_the_cap_is_a_decoding_error(site):
    site.routes["/big"] = Reply("x" * 2000)
    async with open_client([site.url], max_bytes=1000) as client:
        with pytest.raises(httpx.DecodingError):
            await client.get(f"{site.url}/big")


async def test_what_never_left_us_says_so(site):
    gone = site.url
    await site.stop()
    async with open_client([gone]) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(gone)
        with pytest.raises(UnresolvedError):
            await client.get("http://does-not-exist.invalid/")
        with pytest.raises(GuardError) as caught:
            await client.get("http://10.0.0.1/")
        assert caught.value.request.url.host == "10.0.0.1"
    await site.start()


async def test_a_connection_that_breaks_in_the_answer_is_no_connect_error(site):
    site.routes["/half"] = Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    site.routes["/none"] = Reply(raw=b"")
    async with open_client([site.url]) as client:
        for path in ("/half", "/none"):
            with pytest.raises(httpx.RequestError) as caught:
                await client.get(site.url + path)
            assert not isinstance(caught.value, (httpx.ConnectError, httpx.ConnectTimeout, GuardError))


async def test_a_silence_is_a_read_timeout(site):
    site.routes["/slow"] = Reply("x", delay_s=30)
    async with open_client([site.url], timeout_s=0.5) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"{site.url}/slow")


async def test_a_socket_is_opened_for_decided_addresses_only():
    """The last check: whatever is made of a host on the way, the address to dial was decided or is refused."""
    book = AddressBook(("http://127.0.0.1:8000",))
    with pytest.raises(OSError, match="not decided"):
        _socket_for(book, "127.0.0.1", 8000)
    await book.addresses("127.0.0.1", 8000)
    _socket_for(book, "127.0.0.1", 8000).close()
    with pytest.raises(OSError, match="not decided"):
        _socket_for(book, "127.0.0.1", 8001)


@pytest.fixture
async def door(site):
    made = Door(AddressBook((site.url,)), connections=2)
    yield made
    await made.aclose()


async def ask(door, site, target="/", method="GET", **options):
    """Return status and body; the answer is given back."""
    answer = await door.send(method, place_of(site.url), target, {}, **options)
    try:
        return answer.status, await answer.whole()
    finally:
        await answer.aclose()


async def test_one_connection_carries_many_requests_also_those_whose_body_nobody_read(site, door):
    site.page("/a")
    for _ in range(3):
        assert (await ask(door, site, "/a"))[0] == 200
        missing = await door.send("GET", place_of(site.url), "/missing", {})
        await asyncio.sleep(0.01)
        await missing.aclose()
    assert site.connections == 1


async def test_a_connection_whose_answer_was_left_in_the_middle_is_closed(site, door):
    endless = asyncio.Event()

    async def pieces():
        yield b"x"
        await endless.wait()

    site.routes["/endless"] = Reply(chunks=pieces)
    site.page("/a")
    answer = await door.send("GET", place_of(site.url), "/endless", {})
    await answer.aclose()
    endless.set()
    assert (await ask(door, site, "/a"))[0] == 200
    assert site.connections == 2


async def test_a_cancelled_request_leaves_no_connection_and_no_turn_behind(site, door):
    site.routes["/slow"] = Reply("x", delay_s=30)
    site.page("/a")
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ask(door, site, "/slow")
    assert (await ask(door, site, "/a"))[0] == 200


async def test_no_more_connections_are_open_than_were_allowed(site, door):
    site.routes["/slow"] = Reply("x", delay_s=0.05)
    answers = await asyncio.gather(*(ask(door, site, "/slow") for _ in range(6)))
    assert [status for status, _ in answers] == [200] * 6
    assert (site.most_in_flight, site.connections) == (2, 2)
    with pytest.raises(httpx.ConnectTimeout):
        await asyncio.gather(*(ask(door, site, "/slow", timeout={"pool": 0.01, "read": 5}) for _ in range(3)))


@pytest.mark.parametrize(("method", "again"), [("GET", True), ("DELETE", True), ("POST", False)])
async def test_a_connection_that_was_closed_while_it_rested_costs_no_page(method, again):
    """The server ends it at the moment of the second request; only what may be sent twice is."""
    asked = []

    async def serve(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        await reader.read(1)

    async with listening(serve) as port:
        place = f"http://127.0.0.1:{port}"
        door = Door(AddressBook((place,)))
        first = await door.send("GET", place_of(place), "/", {})
        assert await first.whole() == b"ok"
        await first.aclose()
        with contextlib.nullcontext() if again else pytest.raises(httpx.RemoteProtocolError):
            await (await door.send(method, place_of(place), "/", {})).aclose()
        assert len(asked) == 1 + again
        await door.aclose()


async def test_a_large_body_is_not_read_ahead_of_who_takes_it(site, door):
    sent = 0

    async def pieces():
        nonlocal sent
        for _ in range(400):
            sent += 65536
            yield b"x" * 65536

    site.routes["/large"] = Reply(chunks=pieces)
    answer = await door.send("GET", place_of(site.url), "/large", {})
    chunks = answer.chunks()
    await anext(chunks)
    await asyncio.sleep(0.3)
    assert sent < 20 * 1024**2, "what waits is bounded by us and by the system's buffers"
    assert 1 + sum([len(chunk) async for chunk in chunks]) > sent - 300_000
    assert sent == 400 * 65536
    await answer.aclose()
    assert (await ask(door, site, "/missing"))[0] == 404
    assert site.connections == 1


async def test_who_takes_a_body_slowly_is_not_told_that_the_server_is_silent(site, door):
    async def pieces():
        for _ in range(30):
            yield b"x" * 65536

    site.routes["/large"] = Reply(chunks=pieces)
    answer = await door.send("GET", place_of(site.url), "/large", {}, timeout={"read": 0.5})
    size = 0
    async for chunk in answer.chunks():
        if not size:
            await asyncio.sleep(1.2)
        size += len(chunk)
    assert size == 30 * 65536
    await answer.aclose()


async def test_an_address_that_does_not_answer_does_not_keep_us_from_the_next(site):
    async def two(host, port):
        return ["127.0.0.2", "127.0.0.1"]  # nobody listens at the first

    door = Door(AddressBook((f"http://two.test:{site.port}",), resolver=two))
    site.page("/a")
    answer = await door.send("GET", place_of(f"http://two.test:{site.port}"), "/a", {})
    assert answer.status == 200
    await answer.aclose()
    await door.aclose()


async def test_what_a_server_sends_unasked_is_nobodys_answer():
    async def serve(reader, writer):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" * 2)
            await writer.drain()

    async with listening(serve) as port:
        place = f"http://127.0.0.1:{port}"
        door = Door(AddressBook((place,)))
        for _ in range(3):
            answer = await door.send("GET", place_of(place), "/", {})
            assert await answer.whole() == b"ok"
            await answer.aclose()
            assert door._resting == {}
        await door.aclose()
