"""A persona from one file: every step once, whatever broke in between."""

import json

import pytest

from connectors.errors import RefusedError, RetryableError, UsageError
from connectors.pipeline.personas import create_persona, delete_persona, load
from connectors.settings import PersonaSettings, StateSettings
from tests.connectors.persona.server.media_files import mp4, wav
from tests.connectors.persona.serving import answering, http, served

YAML = """
name: Ada
description: Answers questions about pumps.
configuration: {greeting: Hello}
voice: {sample: voice.wav, language: en, tone: warm, pitch: low, names: [Ada]}
videos:
  - {file: hello.mp4, title: Hello}
  - {file: hello.mp4, title: Again, duration: 3, resolution: 720p}
"""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "ada"
    folder.mkdir()
    (folder / "persona.yaml").write_text(YAML)
    (folder / "voice.wav").write_bytes(wav())
    (folder / "hello.mp4").write_bytes(mp4(3))
    return folder


@pytest.fixture
def state(tmp_path):
    return StateSettings(state=tmp_path / "state")


def settings(url) -> PersonaSettings:
    return PersonaSettings(base_url=url if url.endswith("/persona/") else f"{url}persona/", voice_base_url=url)


STEPS = ("voice", "training URL", "generated voice", "instance", "video 1", "video 2")


async def test_everything_is_created_once(folder, state, tmp_path):
    with served(tmp_path / "kb") as url:
        told = []
        first = await create_persona(folder, persona=settings(url), state=state, progress=told.append)
        again = await create_persona(folder / "persona.yaml", persona=settings(url), state=state)
    assert tuple(told) == first.steps == STEPS
    assert (again.steps, again.kept) == ((), STEPS)
    assert first.training_url.startswith(f"{url}files/")
    assert (again.instance_id, again.voice_id, again.video_ids) == (first.instance_id, first.voice_id, first.video_ids)
    assert len(set(first.video_ids)) == 2


async def test_a_refused_step_is_tried_again_and_those_before_it_are_not(folder, state, tmp_path):
    (folder / "hello.mp4").write_bytes(mp4(9))
    with served(tmp_path / "kb") as url:
        with pytest.raises(RefusedError, match=r"video_data\.duration"):
            await create_persona(folder, persona=settings(url), state=state)
        (folder / "hello.mp4").write_bytes(mp4(3))
        fixed = await create_persona(folder, persona=settings(url), state=state)
    # The first video is another file now; the second was never there.
    assert (fixed.kept, fixed.steps, fixed.doubtful) == (STEPS[:4], STEPS[4:], ())


async def test_a_changed_voice_is_made_again_with_what_depends_on_it(folder, state, tmp_path):
    with served(tmp_path / "kb") as url:
        await create_persona(folder, persona=settings(url), state=state)
        (folder / "voice.wav").write_bytes(wav(0.7))
        again = await create_persona(folder, persona=settings(url), state=state)
    assert (again.steps, again.kept) == (STEPS[:4], STEPS[4:])


async def test_a_step_whose_answer_was_lost_is_named_as_doubtful(folder, state, tmp_path):
    async with answering(http(b"<html>", status="502 Bad")) as (url, _):
        with pytest.raises(RetryableError):
            await create_persona(folder, persona=settings(url), state=state)
        record = json.loads((state.folder() / "personas.json").read_text())
    with served(tmp_path / "kb") as good:
        key = f"{good}persona/ {(folder / 'persona.yaml').resolve()}"
        (state.folder() / "personas.json").write_text(json.dumps({key: next(iter(record.values()))}))
        made = await create_persona(folder, persona=settings(good), state=state)
    assert made.doubtful == ("voice",)
    assert made.steps == STEPS


async def test_deleting_makes_room_for_creating_it_again(folder, state, tmp_path):
    with served(tmp_path / "kb") as url:
        first = await create_persona(folder, persona=settings(url), state=state)
        await delete_persona(first.instance_id, persona=settings(url), state=state)
        with pytest.raises(UsageError, match="no persona with the id"):
            await delete_persona(first.instance_id, persona=settings(url), state=state)
        again = await create_persona(folder, persona=settings(url), state=state)
    assert again.steps == ("instance",)
    assert again.instance_id != first.instance_id


@pytest.mark.parametrize(
    ("yaml", "named"),
    [
        ("", "the file"),
        ("- a", "the file"),
        ("name: [", "no YAML"),
        ("name: Ada", "description"),
        ("name: Ada\ndescription: d\nvoize: 1", "voize"),
        ("name: Ada\ndescription: d\nvoice: {}", "voice.sample"),
        ("name: ''\ndescription: d", "name"),
        ("name: Ada\ndescription: d\nvideos: [{file: a.mp4}]", "videos.0.title"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path, yaml, named):
    (tmp_path / "persona.yaml").write_text(yaml)
    with pytest.raises(UsageError, match=named):
        load(tmp_path)


@pytest.mark.parametrize(
    ("gone", "field"), [("voice.wav", r"voice\.sample"), ("hello.mp4", r"videos\[0\]\.file"), ("persona.yaml", "read")]
)
async def test_a_file_that_is_not_there_is_named(folder, state, tmp_path, gone, field):
    (folder / gone).unlink()
    with served(tmp_path / "kb") as url, pytest.raises(UsageError, match=field):
        await create_persona(folder, persona=settings(url), state=state)
