"""The shortcut of an import's calls: the whole server's answers, without its imports."""

import json
import subprocess
import sys
import textwrap

import httpx
import pytest

from connectors.persona.server import create_app, embedded
from connectors.persona.server.inprocess import InProcess

PAGE = {"title": "Ünï", "content": "Source: https://docs.example/a\n\n# Vacuum\n\nVacuum removes what is dead.\n"}
ITEM = "data-0000000001"
ASKED = [
    ("POST", "store-pages", {"pages": [PAGE, PAGE | {"metadata": {"url": "https://docs.example/a", "n": 2**70}}]}),
    ("POST", "store-pages", {"pages": []}),
    ("POST", "store-pages", {"pages": [PAGE | {"title": 7}]}),
    ("POST", "store-pages", {"pages": [PAGE | {"content": "half \ud800"}]}),
    ("POST", "store-pages", b"{no json"),
    ("POST", "store-pages", b'{"pages": [{"title": "a", "content": "b", "metadata": {"n": NaN}}]}'),
    ("POST", "stream-pages", {"stream_data": {"stream_id": "s", "pages": [PAGE]}}),
    ("POST", "stream-pages", {"stream_data": {"pages": [PAGE]}}),
    ("GET", "training-data", None),
    ("PUT", "training-data", {"training_data": {"id": ITEM, "content": "New."}}),
    ("PUT", "training-data", {"training_data": {"id": "data-0000000099", "content": "New."}}),
    ("PUT", "training-data", {"training_data": {"id": ITEM, "content": " "}}),
    ("DELETE", f"training-data/{ITEM}", None),
    ("DELETE", f"training-data/{ITEM}", None),
    ("DELETE", "training-data/", None),
    ("DELETE", "training-data/a%2Fb", None),
    ("GET", "training-data", None),
    ("POST", "auto-generate-prompts", {"data": {"topics": ["Vacuum"]}}),
    ("POST", "auto-generate-prompts", {"data": {"topics": "Vacuum"}}),
    ("POST", "review-data", {"review_data": {"articles": ["a"], "notes": ["n"]}}),
    ("POST", "review-data", {"review_data": {"articles": ["a"], "notes": []}}),
    ("PATCH", "training-data", None),
    ("GET", "nothing", None),
]


async def answers(transport):
    """Ask everything and return status, media type and body of each answer."""
    async with httpx.AsyncClient(transport=transport) as client:
        found = []
        for method, path, body in ASKED:
            url = f"http://localhost/persona/api/kb/{path}"
            raw = json.dumps(body).encode() if isinstance(body, dict) else body
            headers = {"content-type": "application/json"} if raw is not None else {}
            answer = await client.request(method, url, content=raw, headers=headers)
            found.append((method, path, answer.status_code, answer.headers["content-type"], answer.json()))
        return found


async def test_every_answer_is_that_of_the_whole_server(tmp_path):
    whole = create_app(tmp_path / "whole", secret=None)
    expected = await answers(InProcess(whole, close=lambda: None))
    async with embedded(tmp_path / "short") as client:
        assert await answers(client._http._transport) == expected
    assert {status for _, _, status, _, _ in expected} == {200, 400, 404, 405, 422}


@pytest.mark.parametrize("given", ["", "wrong"])
async def test_the_gate_stands_before_the_shortcut_too(tmp_path, given):
    from pydantic import SecretStr

    async with embedded(tmp_path / "state", secret=SecretStr("canary-3f9c-secret")) as client:
        headers = {"authorization": given} if given else {}
        async with httpx.AsyncClient(transport=client._http._transport) as stranger:
            answer = await stranger.get("http://localhost/persona/api/kb/training-data", headers=headers)
    assert answer.status_code == 401


def test_an_import_loads_no_web_framework(tmp_path):
    program = f"""
        import asyncio, sys
        from pathlib import Path
        from connectors.models import Outgoing
        from connectors.persona.server import embedded

        async def main():
            async with embedded(Path({str(tmp_path)!r})) as client:
                page = Outgoing(version_id=1, uri="u", title="Vacuum", content="# Vacuum", metadata={{}})
                await client.store_pages([page])
                assert len([item async for item in client.training_data()]) == 1
                await client.auto_generate_prompts(["Vacuum"])
                await client.review_data(["a"], ["n"])

        asyncio.run(main())
        assert not {{"fastapi", "jinja2", "markdown_it"}} & sys.modules.keys()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)
