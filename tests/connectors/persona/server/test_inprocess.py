"""The embedded server without a port: the same answers, streamed."""

import asyncio
import contextlib
import json
import tracemalloc

import httpx
import pytest

from connectors.errors import RefusedError, RetryableError
from connectors.persona.client import PersonaClient
from connectors.persona.server import embedded
from connectors.persona.server.inprocess import InProcess
from tests.connectors.persona.serving import page


def client_over(app) -> PersonaClient:
    return PersonaClient(
        base_url="http://localhost/persona/", timeout_s=2, transport=InProcess(app, close=lambda: None)
    )


def answering_app(*, items, failing=False):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b'{"status":"success","training_data":[', "more_body": True})
        for number in range(items):
            body = json.dumps({"id": str(number), "content": "x" * 1000}).encode()
            await send({"type": "http.response.body", "body": (b"," if number else b"") + body, "more_body": True})
        if failing:
            raise RuntimeError("the disk is gone")
        await send({"type": "http.response.body", "body": b"]}"})

    return app


async def test_200_000_items_do_not_sit_in_memory():
    async with client_over(answering_app(items=20_000)) as client:
        tracemalloc.start()
        count = 0
        async for _ in client.training_data():
            count += 1
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 2_000_000, "20,000 items are 20 MB"


@pytest.mark.parametrize("items", [0, 1, 3, 50])
async def test_a_server_that_fails_in_the_middle_never_gives_a_short_list(items):
    async with client_over(answering_app(items=items, failing=True)) as client:
        with pytest.raises(RetryableError):
            _ = [item async for item in client.training_data()]


async def test_a_server_that_fails_before_its_answer_is_an_error():
    async def app(scope, receive, send):
        raise RuntimeError

    async with client_over(app) as client:
        with pytest.raises(RetryableError):
            await client.store_pages([page()])


async def test_a_server_that_hangs_is_cut_off_and_stopped():
    stopped = asyncio.Event()

    async def app(scope, receive, send):
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with client_over(app) as client:
        with pytest.raises(RetryableError, match="longer than 2 s"):
            await client.chats()
    assert stopped.is_set()


async def test_a_reader_who_leaves_ends_the_request():
    async with client_over(answering_app(items=10_000)) as client:
        before = asyncio.all_tasks()
        async with contextlib.aclosing(client.training_data()) as items:
            async for _ in items:
                break
        async with asyncio.timeout(30):
            while not asyncio.all_tasks() <= before:
                await asyncio.sleep(0.01)


async def test_two_embedded_clients_over_one_folder_see_the_same(tmp_path):
    async with embedded(tmp_path) as one, embedded(tmp_path) as two:
        await one.store_pages([page(1)])
        await two.store_pages([page(2)])
        assert [i async for i in one.training_data()] == [i async for i in two.training_data()]


async def test_errors_are_those_of_the_port(kb):
    with pytest.raises(RefusedError, match=r"pages\[0\]\.title: must not be empty"):
        await kb.store_pages([page(title=" ")])


async def test_the_transport_speaks_plain_httpx_too():
    transport = InProcess(answering_app(items=2), close=lambda: None)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert len((await client.get("/x")).json()["training_data"]) == 2


@pytest.mark.slow
async def test_200_000_stored_items_are_read_back_in_bounded_memory(tmp_path):
    async with embedded(tmp_path) as kb:
        for start in range(0, 200_000, 1000):
            await kb.store_pages(
                [page(number, content=f"item {number} " + "x" * 300) for number in range(start, start + 1000)]
            )
        tracemalloc.start()
        count = 0
        async for item in kb.training_data():
            assert item.content.startswith(f"item {count} ")
            count += 1
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == 200_000
    assert peak < 20_000_000
