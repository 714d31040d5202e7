"""Each field of each endpoint: missing, of a wrong type, empty, far too long, no base64: a 4xx that names it."""

import copy
import json

import httpx
import pytest

from tests.connectors.persona.server.media_files import base64_of, mp4, wav
from tests.connectors.persona.serving import served

KB, ADMIN = "persona/api/kb", "persona/api/admin"
PAGE = {"title": "t", "content": "c", "metadata": {"author": "a"}}
INSTANCE = {"instance_data": {"name": "n", "description": "d", "configuration": {"a": 1}}}
GOOD = {
    ("POST", f"{ADMIN}/add_voice"): {
        "voice_data": {"language": "en", "tone": "friendly", "pitch": "medium", "sample_audio": base64_of(wav(0.01))}
    },
    ("POST", "api/v2/voice/generate"): {"config": None, "names": ["a"], "training_urls": ["u"], "use_prosody": False},
    ("POST", f"{ADMIN}/instance"): INSTANCE,
    ("POST", "persona/api/instance"): INSTANCE,
    ("POST", f"{ADMIN}/video"): {
        "video_data": {
            "file": base64_of(mp4(3)),
            "title": "t",
            "description": "d",
            "duration": 3,
            "resolution": "1080p",
        }
    },
    ("DELETE", "persona/api/instance"): {"instance_id": "i"},
    ("POST", f"{KB}/auto-generate-prompts"): {"data": {"topics": ["t"], "context": "c"}},
    ("POST", f"{KB}/review-data"): {"review_data": {"articles": ["a"], "notes": ["n"]}},
    ("POST", f"{KB}/store-pages"): {"pages": [PAGE]},
    ("POST", f"{KB}/stream-pages"): {"stream_data": {"stream_id": "s", "pages": [PAGE]}},
    ("PUT", f"{KB}/training-data"): {"training_data": {"id": "data-0000000001", "content": "c"}},
    ("POST", f"{KB}/v2/chat"): {"chat_data": {"user_id": "u", "message": "m", "context": "c"}},
}
OPTIONAL = {"config", "names", "use_prosody", "description", "context", "metadata"}
MAY_BE_EMPTY = {"config", "names", "context", "metadata", "configuration"}
FREE = {"author", "a"}  # inside open objects
LONG = {"sample_audio": 0, "file": 0, "content": 20_000_001}


def fields(value, path=()):
    """Yield the path of every field of a body."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        if key not in FREE:
            yield (*path, key)
            yield from fields(inner, (*path, key))


def spelled(path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def with_value(body, path, value, *, drop=False):
    body = copy.deepcopy(body)
    place = body
    for part in path[:-1]:
        place = place[part]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return body


def cases():
    for (method, where), body in GOOD.items():
        for path in fields(body):
            name = path[-1]
            last = next(part for part in reversed(path) if isinstance(part, str))
            optional_description = name == "description" and "instance_data" in path
            if isinstance(name, str) and (name not in OPTIONAL or optional_description):
                yield method, where, path, "missing", with_value(body, path, None, drop=True)
            value = body
            for part in path:
                value = value[part]
            for wrong in (None, 7, 1.5, "x", True, [], {}, [7], [None], {"x": "y"}):
                same_kind = type(wrong) is type(value) or (last == "config" and isinstance(wrong, dict | None))
                if same_kind and wrong not in ([7], [None]):
                    continue
                if value is None and wrong is None:
                    continue
                yield method, where, path, f"wrong type {wrong!r}", with_value(body, path, wrong)
            if isinstance(value, str) and not (
                name in MAY_BE_EMPTY or (name == "description" and not optional_description)
            ):
                yield method, where, path, "empty", with_value(body, path, "")
                if name != "resolution":
                    yield method, where, path, "blank", with_value(body, path, " \n")
            if isinstance(value, list) and name not in MAY_BE_EMPTY:
                yield method, where, path, "empty", with_value(body, path, [])
            if isinstance(value, str) and LONG.get(last, 100_001):
                yield method, where, path, "too long", with_value(body, path, "x" * LONG.get(last, 100_001))
            if isinstance(value, str):
                yield method, where, path, "half a character", with_value(body, path, "x\ud800")
            if last in {"sample_audio", "file"}:
                for no in ("not base64!", "aGVsbG8", "äöü", base64_of(b"hello, I am a text")):
                    yield method, where, path, f"no media {no!r}", with_value(body, path, no)


CASES = list(cases())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("state")) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def send(client, method, where, body):
    return client.request(method, where, content=json.dumps(body), headers={"content-type": "application/json"})


def test_the_matrix_covers_every_field_of_every_body():
    assert len(CASES) > 400
    assert {(method, where) for method, where, *_ in CASES} == set(GOOD)


@pytest.mark.parametrize(("method", "where"), GOOD)
def test_every_bad_field_is_a_4xx_that_names_it(server, method, where):
    wrong = []
    for case_method, case_where, path, what, body in CASES:
        if (case_method, case_where) != (method, where):
            continue
        answer = send(server, method, where, body)
        said = answer.json()
        named = spelled(path) in said["message"] or spelled(path[:-1]) + "[" in said["message"]
        if not (400 <= answer.status_code < 500 and said["status"] == "error" and named):
            wrong.append((spelled(path), what, answer.status_code, said))
    assert wrong == []


def test_articles_and_notes_must_be_as_many(server):
    answer = send(server, "POST", f"{KB}/review-data", {"review_data": {"articles": ["a", "b"], "notes": ["n"]}})
    assert answer.status_code == 422
    assert "review_data: articles and notes must be as many" in answer.json()["message"]


def test_a_video_of_another_duration_is_refused(server):
    body = with_value(GOOD["POST", f"{ADMIN}/video"], ("video_data", "duration"), 120)
    answer = send(server, "POST", f"{ADMIN}/video", body)
    assert answer.status_code == 422
    assert answer.json()["message"] == "video_data.duration: says 120 s, but the video takes 3.0 s"


@pytest.mark.parametrize("duration", [0, -1, 10**9, 10**30])
def test_a_duration_is_a_sensible_number_of_seconds(server, duration):
    body = with_value(GOOD["POST", f"{ADMIN}/video"], ("video_data", "duration"), duration)
    assert "video_data.duration" in send(server, "POST", f"{ADMIN}/video", body).json()["message"]


METADATA = [
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"a":NaN}',
    b'{"a":1e999}',
    b'{"a":' + b"9" * 5_000 + b"}",
    b'{"a":"\\ud800"}',
    b'{"\\ud800":1}',
    b'{"a":"' + b"x" * 300_000 + b'"}',
]
BODIES = [
    *(b"", b"{", b"null", b"[]", b"1", b'"x"', b"\xff\xfe", b"\x00", b"{}", b'{"pages":NaN}'),
    *(b"[" * 100_000, b'{"a":' * 50_000),
    *(b'{"pages":[{"title":"t","content":"c","metadata":%s}]}' % value for value in METADATA),
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize(("method", "where"), GOOD)
def test_no_body_gives_a_5xx(server, method, where, body):
    answer = server.request(method, where, content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.json()["status"] == "error"


@pytest.mark.parametrize(
    ("method", "where", "status", "named"),
    [
        ("DELETE", f"{KB}/training-data/", 422, "id"),
        ("DELETE", f"{KB}/training-data", 422, "id"),
        ("GET", "persona/api/persona/messages/", 422, "chat_id"),
        ("GET", "persona/voice/", 422, "embed_name"),
        ("DELETE", f"{KB}/training-data/" + "9" * 5000, 404, "id"),
        ("DELETE", f"{KB}/training-data/%00%ff", 404, "id"),
        ("GET", "persona/api/persona/messages/%00", 404, "chat_id"),
        ("GET", "persona/voice/%F0%9F%98%80", 404, "embed_name"),
        ("GET", "persona/api/nothing", 404, "address"),
        ("GET", f"{KB}/store-pages", 405, "method"),
        ("PATCH", f"{KB}/training-data", 405, "method"),
        ("GET", "files/../../../etc/passwd", 404, ""),
        ("GET", "files/x.wav", 404, "file"),
    ],
)
def test_bad_paths_are_json_errors(server, method, where, status, named):
    answer = server.request(method, where)
    assert answer.status_code == status
    assert answer.json()["status"] == "error"
    assert named in answer.json()["message"]
