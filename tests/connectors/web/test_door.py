"""TLS through the guard, and httpx's interface to it."""

from __future__ import annotations

import ssl
import subprocess

import httpx
import pytest
from loopback import Reply, Site

from connectors.models import Resource
from connectors.web.door import Door
from connectors.web.fetcher import Fetcher, Limits
from connectors.web.guard import AddressBook, GuardError, UnresolvedError, open_client


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
    async with open_client([site.url], timeout_s=0.1) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"{site.url}/slow")


async def test_a_socket_is_opened_for_decided_addresses_only():
    """The last check: whatever a library makes of a host, the address it wants to dial was decided or is refused."""
    import socket

    from connectors.web.door import _socket_for

    book = AddressBook(("http://127.0.0.1:8000",))
    wanted = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 8000))
    with pytest.raises(OSError, match="not decided"):
        _socket_for(book, wanted)
    await book.addresses("127.0.0.1", 8000)
    _socket_for(book, wanted).close()
    with pytest.raises(OSError, match="not decided"):
        _socket_for(book, (*wanted[:4], ("127.0.0.1", 8001)))
