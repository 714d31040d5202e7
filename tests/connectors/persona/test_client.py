"""The client on real sockets: what surely did not leave, what may have arrived, and what counts as an answer."""

import contextlib
import gc
import logging
import socket
import traceback

import httpx
import pytest
from pydantic import SecretStr

from connectors.errors import FatalError, RefusedError, RetryableError, UsageError
from connectors.persona.client import PersonaClient
from tests.connectors.persona.serving import SECRET, answering, client_of, http, page

OK = http(b'{"status":"success","message":"Pages stored successfully"}')


async def test_the_secret_goes_bare_in_authorization_and_the_page_as_documented():
    async with answering(OK) as (url, requests), client_of(url) as client:
        await client.store_pages([page(content="c", title="t")])
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert f"authorization: {SECRET}".encode() in head.lower()
    assert head.startswith(b"POST /persona/api/kb/store-pages HTTP/1.1")
    assert b"bearer" not in head.lower()
    assert body == b'{"pages":[{"title":"t","content":"c","metadata":{"url":"https://docs.example.com/page-1.html"}}]}'


async def test_a_batch_that_was_sent_is_freed_without_the_cycle_collector(kb):
    await kb.store_pages([page()])
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            await kb.store_pages([page()])
        assert not [found for found in gc.get_objects() if isinstance(found, httpx.Request)]
    finally:
        gc.enable()


async def test_without_a_secret_nothing_is_sent_in_its_place():
    async with answering(OK) as (url, requests), client_of(url, secret=None) as client:
        await client.store_pages([page()])
    assert b"authorization" not in requests[0].lower()


async def test_a_delete_carries_its_body():
    async with answering(OK) as (url, requests), client_of(url) as client:
        await client.delete_instance("67890")
    assert requests[0].startswith(b"DELETE /persona/api/instance ")
    assert requests[0].endswith(b'{"instance_id":"67890"}')


async def test_a_refused_connection_surely_left_nothing():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        async with client_of(url) as client:
            with pytest.raises(RetryableError, match="cannot be reached") as caught:
                await client.store_pages([page()])
    assert caught.value.applied == "no"


async def test_a_name_that_does_not_resolve_surely_left_nothing():
    async with client_of("http://nobody.invalid/") as client:
        with pytest.raises(RetryableError) as caught:
            await client.store_pages([page()])
    assert caught.value.applied == "no"


async def test_a_server_that_cannot_speak_tls_surely_got_nothing():
    async with answering(OK) as (url, requests), client_of(url.replace("http:", "https:")) as client:
        with pytest.raises(RetryableError) as caught:
            await client.store_pages([page()])
    assert caught.value.applied == "no"
    assert requests == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((), id="the connection closes without a word"),
        pytest.param((b"HTTP/1.1 200 OK\r\ncontent-type: appl",), id="half a head"),
        pytest.param((OK[:-5],), id="a body that is cut off"),
        pytest.param((b"SSH-2.0-OpenSSH\r\n",), id="another protocol"),
        pytest.param((http(b"<html>login</html>", media="text/html"),), id="a login page"),
        pytest.param((http(b"", status="204 No Content"),), id="204"),
        pytest.param((http(b"", status="307 Temporary Redirect", head="location: /elsewhere\r\n"),), id="a redirect"),
        pytest.param((http(b'{"status":"error","message":"queue full"}'),), id="200 with an error"),
        pytest.param((http(OK.partition(b"\r\n\r\n")[2], head="content-encoding: gzip\r\n"),), id="a false coding"),
        pytest.param((http(b'{"status":"success","x":"' + b"x" * 2_000_000 + b'"}'),), id="2 MB to a store-pages"),
        pytest.param((http(b"", status="503 Busy", head="retry-after: 7\r\n"),), id="503"),
    ],
)
async def test_an_answer_that_proves_nothing_is_unknown(answer):
    async with answering(*answer) as (url, requests), client_of(url) as client:
        with pytest.raises(RetryableError) as caught:
            await client.store_pages([page()])
    assert caught.value.applied == "unknown"
    assert len(requests) == 1, "a creation is never sent twice by the client"


async def test_a_reset_in_the_middle_is_unknown():
    async with answering(OK[:20], reset=True) as (url, _), client_of(url) as client:
        with pytest.raises(RetryableError) as caught:
            await client.store_pages([page()])
    assert caught.value.applied == "unknown"


async def test_an_answer_that_trickles_is_cut_off_by_the_time_out_of_the_whole_call():
    parts = [OK[at : at + 1] for at in range(len(OK))]
    async with answering(*parts, pause_s=0.1) as (url, _), client_of(url, timeout_s=0.6) as client:
        with pytest.raises(RetryableError, match=r"took longer than 0\.6 s") as caught:
            await client.store_pages([page()])
    assert caught.value.applied == "unknown"


async def test_retry_after_arrives():
    answer = http(b"", status="429 Slow down", head="retry-after: 7\r\n")
    async with answering(answer) as (url, _), client_of(url) as client:
        with pytest.raises(RetryableError) as caught:
            await client.store_pages([page()])
    assert caught.value.retry_after_s == 7.0


async def test_401_is_fatal_even_when_its_body_cannot_be_read():
    answer = http(b"not gzip", status="401 No", head="content-encoding: gzip\r\n")
    async with answering(answer) as (url, _), client_of(url) as client:
        with pytest.raises(FatalError):
            await client.store_pages([page()])


@pytest.mark.parametrize("cut", [1, 30, 60])
async def test_training_data_that_ends_early_raises_after_what_came(cut):
    body = b'{"status":"success","training_data":[{"id":"1","content":"a"},{"id":"2","content":"b"}]}'
    async with answering(http(body)[:-cut]) as (url, _), client_of(url) as client:
        with pytest.raises(RetryableError):
            _ = [item async for item in client.training_data()]


async def test_training_data_whose_json_ends_early_raises_though_http_is_whole():
    body = b'{"status":"success","training_data":[{"id":"1","content":"a"}'
    async with answering(http(body)) as (url, _), client_of(url) as client:
        with pytest.raises(RetryableError, match="ends too early"):
            _ = [item async for item in client.training_data()]


@pytest.mark.parametrize(
    ("status", "error"), [("401 No", FatalError), ("404 No", RefusedError), ("500 No", RetryableError)]
)
async def test_training_data_with_a_bad_status_is_the_same_error_tree(status, error):
    async with answering(http(b"{}", status=status)) as (url, _), client_of(url) as client:
        with pytest.raises(error):
            _ = [item async for item in client.training_data()]


async def test_a_reader_who_stops_early_leaves_a_client_that_works(kb):
    await kb.store_pages([page(n) for n in range(1, 60)])
    async with contextlib.aclosing(kb.training_data()) as items:
        async for _ in items:
            break
    assert len([item async for item in kb.training_data()]) == 59


@pytest.mark.parametrize("secret", ["has space", "line\nbreak", "tab\t", "umläut", "\u200b", "nul\x00"])
def test_a_secret_that_no_header_may_hold_is_a_usage_error_that_does_not_show_it(secret):
    with pytest.raises(UsageError) as caught:
        client_of("http://127.0.0.1:1/", secret=secret)
    shown = "".join(traceback.format_exception(caught.value))
    assert secret not in shown.replace("secret", "")


@pytest.mark.parametrize("url", ["http://me:pw-canary@127.0.0.1/persona/", "http://127.0.0.1/?key=pw-canary"])
def test_an_address_that_holds_a_password_is_refused_and_not_shown(url):
    with pytest.raises(UsageError) as caught:
        PersonaClient(base_url=url)
    assert "canary" not in str(caught.value)


async def test_the_secret_is_in_no_repr_log_or_error(caplog):
    caplog.set_level(logging.DEBUG)
    echo = http(b'{"status":"error","message":"bad key %s"}' % SECRET.encode(), status="422 No")
    seen = []
    for answer in (echo, echo.replace(b"422", b"500"), http(b"{}", status="401 No"), b""):
        async with answering(answer) as (url, _), client_of(url) as client:
            seen += [repr(client), repr(vars(client) | {"_authorization": ""})]
            try:
                await client.store_pages([page()])
            except (RefusedError, RetryableError, FatalError) as error:
                seen += ["".join(traceback.format_exception(error)), repr(error)]
    assert "***" in "".join(seen)
    assert SECRET not in "".join(seen) + caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 %s\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 500 No\r\nX-Echo\x00: %s\r\n\r\n",
        b"HTTP/1.1 500 No\r\ncontent-length: %s\r\n\r\n",
        b"HTTP/1.1 500 No\r\ncontent-encoding: %s\r\ncontent-length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: %s\r\ncontent-length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/%s\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n%s\r\n",
        b"HTTP/1.1 302 No\r\nlocation: /%s\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 429 No\r\nretry-after: %s\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 500 No\r\nset-cookie: a=%s\r\ncontent-length: 0\r\n\r\n",
        b"%s\r\n\r\n",
    ],
)
async def test_a_secret_that_is_repeated_outside_the_body_is_in_no_traceback_or_log(answer, caplog):
    caplog.set_level(logging.DEBUG)
    async with answering(answer % SECRET.encode()) as (url, _), client_of(url) as client:
        with pytest.raises((RefusedError, RetryableError, FatalError)) as caught:
            await client.store_pages([page()])
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert SECRET.lower() not in told.lower()


async def test_a_secret_among_prompts_is_masked():
    told = b'{"status":"success","prompts":["What is it?","Is it %s?"]}' % SECRET.upper().encode()
    async with answering(http(told)) as (url, _), client_of(url) as client:
        assert await client.auto_generate_prompts(["t"]) == ["What is it?", "***"]


async def test_a_base_url_keeps_its_path():
    async with (
        answering(OK) as (url, requests),
        PersonaClient(base_url=url + "deep/er", secret=SecretStr("x")) as client,
    ):
        await client.store_pages([page()])
    assert requests[0].startswith(b"POST /persona/deep/er/api/kb/store-pages ")


async def test_answers_over_their_cap_are_counted():
    big = http(b'{"status":"success","x":"' + b"x" * 2_000_000 + b'"}')
    async with answering(big) as (url, _), client_of(url) as client:
        for _ in range(2):
            with pytest.raises(RetryableError, match="over 1048576 bytes"):
                await client.store_pages([page()])
    assert client.answers_cut == 2
