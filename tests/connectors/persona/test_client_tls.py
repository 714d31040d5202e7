"""TLS that fails before the request is sent surely left nothing; TLS that breaks after it is unknown."""

import contextlib
import shutil
import socket
import ssl
import struct
import subprocess
import threading

import httpx
import pytest

from connectors.errors import RetryableError
from connectors.web.address_book import AddressBook, TlsError, place_of
from connectors.web.door import Door
from tests.connectors.persona.serving import client_of, page

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run(["openssl", *words.split(), *files], capture_output=True, check=True)
    return folder


def closed(raw, secure):
    """The connection ends without TLS's goodbye."""


def reset(raw, secure):
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def garbage(raw, secure):
    raw.send(b"this is no TLS record, and it comes in the middle of one\r\n" * 4)


def damaged(raw, secure):
    """A record that looks right and was made with no key."""
    raw.send(b"\x17\x03\x03\x00\x40" + b"\x55" * 0x40)


def half_an_answer(raw, secure):
    secure.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 400\r\n\r\n{")
    push(raw, secure)
    damaged(raw, secure)


def push(raw, secure):
    raw.sendall(secure.outgoing.read())


class _Wire:
    """A server's end of TLS over bytes in memory, so that the test may write beside it."""

    def __init__(self, context):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._inner = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def write(self, data):
        self._inner.write(data)

    def step(self, raw, work):
        """Do what TLS wants until ``work`` is done; False when the other side went away."""
        while True:
            try:
                done = work(self._inner)
            except ssl.SSLWantReadError:
                done = None
            finally:
                raw.sendall(self.outgoing.read())
            if done is not None:
                return done
            data = raw.recv(65536)
            if not data:
                return b""
            self.incoming.write(data)


@contextlib.contextmanager
def breaking(certificate, how, *, context=None):
    """Answer each connection with ``how`` once its request has come; yields the address and the requests."""
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    requests = []

    def serve():
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            raw.settimeout(5)
            with contextlib.suppress(OSError), raw:
                wire = _Wire(context)
                wire.step(raw, lambda inner: inner.do_handshake() or b"done")
                requests.append(wire.step(raw, lambda inner: inner.read(65536)))
                how(raw, wire)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/", requests
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.parametrize("how", [closed, reset, garbage, damaged, half_an_answer])
async def test_tls_that_breaks_after_the_request_is_unknown(certificate, how, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    with breaking(certificate, how) as (url, requests):
        async with client_of(url) as client:
            with pytest.raises(RetryableError) as caught:
                await client.store_pages([page()])
    assert requests
    assert requests[0].startswith(b"POST /persona/api/kb/store-pages"), "the request did arrive"
    assert len(requests) == 1
    assert caught.value.applied == "unknown"


@pytest.mark.parametrize("how", [closed, reset, garbage, damaged, half_an_answer])
async def test_the_door_says_that_tls_kept_a_request_back_only_when_it_did(certificate, how):
    """`open_client` promises it of `TlsError`, whoever asks."""
    trust = ssl.create_default_context(cafile=certificate / "cert.pem")
    with breaking(certificate, how) as (url, requests):
        door = Door(AddressBook((url,)), tls=trust)

        async def asked():
            return await (await door.send("POST", place_of(url), "/x", {}, body=b"page")).whole()

        with pytest.raises(httpx.RequestError) as caught:
            await asked()
        await door.aclose()
    assert requests
    assert not isinstance(caught.value, TlsError)


async def test_a_certificate_that_nobody_vouches_for_surely_kept_the_request_back(certificate):
    with breaking(certificate, closed) as (url, requests):
        async with client_of(url) as client:
            with pytest.raises(RetryableError) as caught:
                await client.store_pages([page()])
    assert caught.value.applied == "no"
    assert not any(requests)


async def test_a_server_that_asks_for_a_certificate_of_ours_is_unknown(certificate, monkeypatch):
    """With TLS 1.3 its refusal comes after the request is on its way: the client cannot know."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate / "cert.pem")
    with breaking(certificate, closed, context=context) as (url, _):
        async with client_of(url) as client:
            with pytest.raises(RetryableError) as caught:
                await client.store_pages([page()])
    assert caught.value.applied == "unknown"
