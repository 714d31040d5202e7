"""Who may ask the embedded server, and how much."""

import asyncio
import base64
import contextlib
import http.client
import socket

import httpx
import pytest
from pydantic import SecretStr

from connectors.errors import UsageError
from connectors.persona.server import serve
from tests.connectors.persona.serving import SECRET, served

DATA = "persona/api/kb/training-data"
JSON = {"content-type": "application/json"}
CHAT = b'{"chat_data":{"user_id":"u","message":"hello?"}}'


@pytest.fixture(scope="module")
def open_server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("state"), max_body_bytes=100_000) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    with (
        served(tmp_path_factory.mktemp("state"), secret=SecretStr(SECRET)) as url,
        httpx.Client(base_url=url) as client,
    ):
        yield client


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::2]", "a@b", "["]
)
def test_another_name_is_not_answered(open_server, host):
    answer = open_server.get(DATA, headers={"host": host})
    assert answer.status_code in {400, 421}
    assert "training_data" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:1234", "[::1]:80", "localhost."])
def test_loopback_names_are_answered(open_server, host):
    assert open_server.get(DATA, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_sites_page_can_change_nothing(open_server, headers):
    answer = open_server.post("persona/api/kb/v2/chat", content=CHAT, headers=JSON | headers)
    assert answer.status_code == 403
    assert open_server.get("persona/api/persona/chats").json()["chats"] == []


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_a_form_of_another_site_can_send_is_not_taken(open_server, media):
    answer = open_server.post("persona/api/kb/v2/chat", content=CHAT, headers={"content-type": media})
    assert answer.status_code == 415


def test_no_answer_invites_other_sites(open_server):
    answer = open_server.options(
        DATA, headers={"origin": "https://evil.example", "access-control-request-method": "PUT"}
    )
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert not [name for name in open_server.get(DATA).headers if name.startswith("access-control")]


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_limit_is_413(open_server, announced):
    body = b'{"pages":[' + b" " * 100_000 + b"]}"
    content = body if announced else (body[at : at + 10_000] for at in range(0, len(body), 10_000))
    answer = open_server.post("persona/api/kb/store-pages", content=content, headers=JSON)
    assert answer.status_code == 413
    assert answer.json() == {"status": "error", "message": "The body is over 100000 bytes"}


def test_a_body_far_over_the_limit_does_not_fill_memory(open_server):
    connection = http.client.HTTPConnection(open_server.base_url.host, open_server.base_url.port, timeout=10)
    connection.putrequest("POST", "/persona/api/kb/store-pages")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(10**12))
    connection.endheaders()
    sent = 0
    with contextlib.suppress(ConnectionError):  # it answers and hangs up long before the end
        while sent < 1_000_000_000:
            connection.send(b" " * 100_000)
            sent += 100_000
    connection.close()
    assert sent < 100_000_000


@pytest.mark.parametrize("given", ["", "wrong", SECRET + "x", SECRET[:-1], f"Bearer {SECRET}", SECRET.upper()])
@pytest.mark.parametrize("where", [DATA, "persona/voice/x", "api/v2/voice/generate", "persona/api/nothing"])
def test_the_api_wants_exactly_the_secret(locked, given, where):
    answer = locked.get(where, headers={"authorization": given} if given else {})
    assert answer.status_code == 401
    assert answer.json()["status"] == "error"
    assert SECRET not in answer.text


def test_the_secret_opens_the_api(locked):
    assert locked.get(DATA, headers={"authorization": SECRET}).status_code == 200


def basic(password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


@pytest.mark.parametrize("where", ["", "docs", "openapi.json", "chats", "review", "prompts", "pages", "personas"])
def test_the_pages_want_the_secret_as_password(locked, where):
    for headers in ({}, basic("wrong"), {"authorization": "Basic %%%"}, {"authorization": "Basic"}):
        answer = locked.get(where, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
    assert locked.get(where, headers=basic(SECRET)).status_code == 200


def test_every_answer_carries_the_safe_headers(open_server):
    for where in ("", DATA, "nothing", "persona/api/nothing"):
        headers = open_server.get(where).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /persona/api/kb/store-pages HTTP/1.1\r\nhost: localhost\r\ncontent-length: abc\r\n\r\n",
        b"POST /persona/api/kb/store-pages HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /%ff%fe HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET //evil.example/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
    ],
)
def test_bytes_that_are_no_request_never_give_a_5xx(open_server, raw):
    answer = b""
    with (
        socket.create_connection((open_server.base_url.host, open_server.base_url.port), timeout=60) as line,
        contextlib.suppress(ConnectionError),  # it hangs up while we still talk
    ):
        line.sendall(raw)
        line.shutdown(socket.SHUT_WR)
        answer = line.recv(65_536)
    assert answer == b"" or answer.split(b" ")[1][:1] in b"234"


def test_a_server_open_to_others_without_a_secret_does_not_start(tmp_path):
    with pytest.raises(UsageError, match="PERSONA_CLIENT_SECRET"):
        serve(tmp_path, host="0.0.0.0", port=0, secret=None)


def test_an_address_that_is_taken_is_a_usage_error(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="--port"):
            serve(tmp_path, host="127.0.0.1", port=taken.getsockname()[1], secret=None)


async def test_readers_and_writers_at_once_get_whole_answers(open_server):
    body = {"pages": [{"title": f"t{n}", "content": f"c{n}"} for n in range(20)]}
    async with httpx.AsyncClient(base_url=open_server.base_url, timeout=30) as client:
        answers = await asyncio.gather(
            *(client.post("persona/api/kb/store-pages", json=body) for _ in range(10)),
            *(client.get(DATA) for _ in range(10)),
        )
        assert {answer.status_code for answer in answers} == {200}
        assert all(len(answer.json()["training_data"]) % 20 == 0 for answer in answers[10:]), (
            "a batch is all or nothing"
        )
        assert len((await client.get(DATA)).json()["training_data"]) == 200
