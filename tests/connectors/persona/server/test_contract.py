"""All 17 endpoints, walked through the client against the embedded server on a real port."""

import httpx
import pytest

from connectors.errors import FatalError, RefusedError
from connectors.models import Item
from connectors.persona.wire import Chat
from tests.connectors.persona.server.media_files import base64_of, mp4, wav
from tests.connectors.persona.serving import SECRET, client_of, page, served


@pytest.fixture
def url(tmp_path):
    from pydantic import SecretStr

    with served(tmp_path / "state", secret=SecretStr(SECRET)) as url:
        yield url


async def test_pages_are_stored_streamed_read_updated_and_deleted(url):
    async with client_of(url) as client:
        await client.store_pages([page(1), page(2)])
        await client.stream_pages("stream123", [page(3)])
        items = [item async for item in client.training_data()]
        assert [item.content for item in items] == [page(n).content for n in (1, 2, 3)]
        assert sorted(item.id for item in items) == [item.id for item in items]

        await client.update_training_data(items[0].id, "Source: https://docs.example.com/page-1.html\n\nNew.")
        await client.delete_training_data(items[1].id)
        assert [item async for item in client.training_data()] == [
            Item(id=items[0].id, content="Source: https://docs.example.com/page-1.html\n\nNew."),
            items[2],
        ]


async def test_an_unknown_id_is_404(url):
    async with client_of(url) as client:
        await client.store_pages([page()])
        (item,) = [item async for item in client.training_data()]
        await client.delete_training_data(item.id)
        for ask in (
            client.delete_training_data(item.id),
            client.update_training_data(item.id, "x"),
            client.delete_training_data("data-0000000099"),
            client.delete_training_data("../chats"),
            client.delete_training_data("' OR 1=1 --"),
            client.messages("chat-none"),
            client.delete_instance("instance-none"),
            client.voice_training_url("nobody"),
        ):
            with pytest.raises(RefusedError) as caught:
                await ask
            assert caught.value.status == 404


async def test_an_id_never_comes_back_for_another_page(url):
    async with client_of(url) as client:
        await client.store_pages([page(1)])
        (first,) = [item async for item in client.training_data()]
        await client.delete_training_data(first.id)
        await client.store_pages([page(2)])
        (second,) = [item async for item in client.training_data()]
    assert second.id > first.id


async def test_prompts_can_be_answered_and_findings_are_kept(url):
    async with client_of(url) as client:
        assert await client.auto_generate_prompts(["pumps"]) == []
        content = (
            "Source: https://docs.example.com/pump.html\n\n# Pumps\n\n## Priming the pump\n\nOpen the valve first.\n"
        )
        await client.store_pages([page(title="Pumps", content=content)])
        prompts = await client.auto_generate_prompts(["priming pump", "zeppelins"], "a site about water")
        assert prompts
        for prompt in prompts:
            assert "https://docs.example.com/pump.html" in (await client.chat("u", prompt)).response
        await client.review_data(["Pumps https://docs.example.com/pump.html"], ["thin: 12 words"])


async def test_a_chat_quotes_its_source_and_is_kept(url):
    async with client_of(url) as client:
        await client.store_pages([page(title="Colours", content="Source: https://x.example/c\n\nThe door is green.\n")])
        answer = await client.chat("user123", "Which colour has the door?", "a house")
        assert "> The door is green." in answer.response
        assert "https://x.example/c" in answer.response
        none = await client.chat("user123", "Who painted the ceiling?")
        assert none.response == "The knowledge base has no answer to this question."
        assert await client.messages(answer.chat_id) == ["Which colour has the door?", answer.response]
        assert await client.chats() == [
            Chat(chat_id=answer.chat_id, user_id="user123", messages=("Which colour has the door?", answer.response)),
            Chat(chat_id=none.chat_id, user_id="user123", messages=("Who painted the ceiling?", none.response)),
        ]


async def test_a_persona_is_made_from_voice_to_video(url):
    recording, film = wav(), mp4(3)
    async with client_of(url) as client:
        voice_id = await client.add_voice(
            language="en", tone="friendly", pitch="medium", sample_audio=base64_of(recording)
        )
        training_url = await client.voice_training_url(voice_id)
        async with httpx.AsyncClient() as http:
            got = await http.get(training_url)
        assert (got.content, got.headers["content-type"]) == (recording, "audio/wav")
        generated = await client.generate_voice([training_url], names=["Ada"], use_prosody=True)
        assert generated != voice_id

        data = {"name": "Ada", "description": "Answers.", "configuration": {"voice_id": generated}}
        instances = {await client.admin_instance(**data), await client.instance(**data)}
        assert len(instances) == 2
        assert await client.voice_training_url("Ada") == training_url
        video = {"file": base64_of(film), "title": "Hello", "duration": 3, "resolution": "1080p"}
        assert await client.add_video(**video)
        assert await client.add_video(**video, description="A brief introduction")
        for instance in instances:
            await client.delete_instance(instance)


async def test_a_foreign_recording_is_refused_and_never_fetched(url):
    async with client_of(url) as client:
        with pytest.raises(RefusedError, match=r"training_urls\[0\]"):
            await client.generate_voice(["https://example.com/training-data"])


async def test_a_wrong_secret_is_401_on_both_hosts(url):
    async with client_of(url, secret="wrong") as client:
        for ask in (
            client.store_pages([page()]),
            client.generate_voice(["x"]),
            client.chats(),
            client.voice_training_url("x"),
        ):
            with pytest.raises(FatalError):
                await ask
    async with client_of(url) as client:
        assert [item async for item in client.training_data()] == []


async def test_everything_is_there_after_a_restart(tmp_path):
    with served(tmp_path) as url:
        async with client_of(url) as client:
            await client.store_pages([page(1)])
            chat = await client.chat("u", "Page 1 text?")
            items = [item async for item in client.training_data()]
    with served(tmp_path) as url:
        async with client_of(url) as client:
            assert [item async for item in client.training_data()] == items
            assert await client.messages(chat.chat_id) == ["Page 1 text?", chat.response]


CONTENTS = [
    "\u0000",
    "a\r\nb\rc",
    "  lead and trail  \n\n",
    "\ufeffbom",
    "\U0001f600 日本語 e\u0301",
    '"\\\u2028\u2029',
    "x" * 1_000_000,
]


@pytest.mark.parametrize("content", CONTENTS, ids=range(len(CONTENTS)))
async def test_content_comes_back_exactly_as_it_was_sent(url, content):
    async with client_of(url) as client:
        await client.store_pages([page(content=f"a{content}b")])
        (item,) = [item async for item in client.training_data()]
        assert item.content == f"a{content}b"
        await client.update_training_data(item.id, f"c{content}d")
        (item,) = [item async for item in client.training_data()]
        assert item.content == f"c{content}d"
        await client.delete_training_data(item.id)
