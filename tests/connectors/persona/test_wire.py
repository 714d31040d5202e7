"""The pure half of the client: what is sent, and which answers count."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import FatalError, IngestError, RefusedError, RetryableError
from connectors.models import Outgoing
from connectors.persona import wire

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
STORE = wire.store_pages([Outgoing(version_id=1, uri="u", title="t", content="c")])


def answer(status=200, body=b'{"status":"success"}', media="application/json", retry_after=""):
    return wire.Answer(status=status, content_type=media, retry_after=retry_after, body=body)


def test_a_page_without_metadata_sends_no_metadata():
    assert json.loads(wire.encode(STORE)) == {"pages": [{"title": "t", "content": "c"}]}


def test_delete_instance_is_a_delete_with_a_body():
    call = wire.delete_instance("67890")
    assert (call.method, call.path, json.loads(wire.encode(call))) == (
        "DELETE",
        "api/instance",
        {"instance_id": "67890"},
    )


def test_generate_voice_goes_to_the_voice_host_in_the_documented_shape():
    call = wire.generate_voice(["https://example.com/training-data"])
    assert call.host == "voice"
    assert json.loads(wire.encode(call)) == {
        "config": None,
        "names": [],
        "training_urls": ["https://example.com/training-data"],
        "use_prosody": False,
    }


@pytest.mark.parametrize(
    ("given_url", "whole"),
    [
        ("tmp-prod/generated_audio/a.wav", "https://s3.us-east-2.amazonaws.com/tmp-prod/generated_audio/a.wav"),
        ("/tmp-prod/a.wav", "https://s3.us-east-2.amazonaws.com/tmp-prod/a.wav"),
        ("https://example.com/a.wav", "https://example.com/a.wav"),
        ("HTTP://127.0.0.1:8/a.wav", "HTTP://127.0.0.1:8/a.wav"),
    ],
)
def test_a_bare_object_key_gets_the_bucket_in_front_and_an_address_stays(given_url, whole):
    call = wire.voice_training_url("me")
    assert (
        wire.training_url(call, wire.read(call, answer(body=json.dumps({"training_url": given_url}).encode()))) == whole
    )


@pytest.mark.parametrize("bad", ["", ".", "..", "\ud800"])
def test_an_id_that_would_reach_another_endpoint_is_not_sent(bad):
    with pytest.raises(RefusedError):
        wire.delete_training_data(bad)


@given(st.text(min_size=1).filter(lambda text: text not in {".", ".."} and text.isprintable()))
def test_an_id_stays_one_segment_of_the_path(item_id):
    path = wire.delete_training_data(item_id).path
    assert path.startswith("api/kb/training-data/")
    assert not set("/?#") & set(path.removeprefix("api/kb/training-data/"))


def test_text_that_is_no_text_is_refused_before_it_is_sent():
    with pytest.raises(RefusedError, match="cannot be written"):
        wire.encode(wire.update_training_data("1", "half \ud800"))


@pytest.mark.parametrize("status", [401, 403])
def test_401_and_403_stop_the_run(status):
    with pytest.raises(FatalError, match="PERSONA_CLIENT_SECRET"):
        wire.read(STORE, answer(status, b"<html>"))


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_a_refusal_keeps_its_status_and_the_servers_words(status):
    body = b'{"status":"error","message":"pages[3].title: too long"}'
    with pytest.raises(RefusedError, match=r"pages\[3\]\.title: too long") as caught:
        wire.read(STORE, answer(status, body))
    assert caught.value.status == status


@pytest.mark.parametrize(
    "status", [100, 204, 205, 206, 301, 302, 307, 402, 405, 408, 409, 410, 425, 429, 500, 502, 503, 599]
)
def test_every_other_status_proves_nothing(status):
    body = b"" if status in {204, 205} else b'{"status":"success"}'
    with pytest.raises(RetryableError) as caught:
        wire.read(STORE, answer(status, body))
    assert caught.value.applied == "unknown"
    assert caught.value.status == status


def test_retry_after_is_handed_on():
    with pytest.raises(RetryableError) as caught:
        wire.read(STORE, answer(429, b"", retry_after="120"))
    assert caught.value.retry_after_s == 120.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("999999999", 86_400.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("١٢", None),
    ],
)
def test_retry_after_in_both_forms(value, seconds):
    assert wire.retry_after_s(value, now=NOW) == seconds


@given(st.text(max_size=60))
def test_no_retry_after_header_breaks_the_client(value):
    seconds = wire.retry_after_s(value, now=NOW)
    assert seconds is None or 0 <= seconds <= 86_400


def malformed() -> list[bytes]:
    """Return 300 and more bodies of a 200 answer that are not the documented success."""
    good = b'{"status":"success","message":"Pages stored successfully"}'
    found = [good[:cut] for cut in range(len(good))]
    found += [good + tail for tail in (b"x", b"}", b",", b"{}", b"\x00", good, b"null", b"//")]
    found += [
        head + good for head in (b"\xef\xbb\xbf", b")]}',\n", b"x", b"[", b"\x00", b"callback(", b"HTTP/1.1 200 OK\r\n")
    ]
    words = [
        "",
        "error",
        "Success",
        "SUCCESS",
        " success",
        "success ",
        "ok",
        "failed",
        "pending",
        "true",
        "succes",
        "s",
    ]
    words += [
        "successful",
        "partial",
        "queued",
        "accepted",
        "success\u0000",
        "\u0455uccess",
        "unknown",
        "warning",
        "200",
    ]
    found += [json.dumps({"status": word}).encode() for word in words]
    values = [None, True, False, 0, 1, 200, 1.5, [], ["success"], {}, {"success": True}, {"status": "success"}, -1]
    found += [json.dumps({"status": value}).encode() for value in values]
    found += [json.dumps(value).encode() for value in [*values[:-2], -1, "success", "status", [{"status": "success"}]]]
    keys = ["Status", "STATUS", "state", "result", "ok", "success", "message", "status ", " status", "", "st\u0430tus"]
    found += [json.dumps({key: "success"}).encode() for key in keys]
    found += [
        json.dumps({outer: {"status": "success"}}).encode() for outer in ("data", "body", "result", "response", "")
    ]
    found += [
        b'{"status":"error","status":"success"}',
        b'{"status":"success","status":"error"}',
        b"{'status':'success'}",
    ]
    found += [
        b'{"status":"success","a":NaN}',
        b'{"status":"success","a":Infinity}',
        b'{"status":"success","a":-Infinity}',
    ]
    found += [b'{status:"success"}', b'{"status":success}', b'{"status" "success"}', b'{"status":"success",}', b"{,}"]
    found += [b'{"status":"success"', b'"status":"success"', b'{"status":"success]', b'["status","success"]', b"{{}}"]
    found += [b'{"status":"success","a":01}', b'{"status":"success","a":.5}', b'{"status":"success","a":+1}', b"{}"]
    found += [
        b'{"status":"success","a":"\x01"}',
        b'{"status":"success","a":"\\x"}',
        b'{"status":"success","a":"\\u12"}',
    ]
    found += [b'{"status":"success\xff"}', b'{"status":"succ\xc3ess"}', b'{"\xed\xa0\x80":1,"status":"success"}']
    found += [good.decode().encode(coding) for coding in ("utf-16", "utf-16-le", "utf-32", "utf-32-be")]
    found += [b"[" * depth + b"]" * depth for depth in (1, 2, 10, 1_000, 100_000)]
    found += [b'{"a":' * depth + b"1" + b"}" * depth for depth in (1, 2, 1_000, 100_000)]
    found += [
        b"<html>success</html>",
        b"<!doctype html>",
        b"<?xml?>",
        b"status=success",
        b"status: success",
        b"success",
    ]
    found += [b"", b" ", b"\n", b"\x00", b"\x1f\x8b\x08\x00", b"null", b"true", b"PK\x03\x04", b"%PDF-1.7", b"\xff\xfe"]
    found += [b"x" * size for size in (1, 10, 1_000, 100_000)]
    # One byte of the word that matters, flipped; and one byte of the structure lost.
    start = good.index(b"success")
    found += [
        good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :]
        for at in range(start, start + 7)
        for bit in (1, 2, 4, 8, 16, 32, 64)
    ]
    found += [good[:at] + good[at + 1 :] for at in range(len(good)) if chr(good[at]) in '{}":,' or at < start + 7]
    found += [good[:at] + b"\x00" + good[at:] for at in range(start - 3, start + 8)]
    found += [json.dumps({"status": "success"[:cut]}).encode() for cut in range(7)]
    found += [json.dumps({"status": "success", "x": 1}).encode()[:-cut] for cut in range(1, 20)]
    found += [json.dumps(["success"] * count).encode() for count in range(1, 10)]
    return list(dict.fromkeys(found))


def test_there_are_300_malformed_answers():
    assert len(malformed()) >= 300


@pytest.mark.parametrize("body", [pytest.param(body, id=str(number)) for number, body in enumerate(malformed())])
def test_a_malformed_answer_is_never_taken_for_success(body):
    with pytest.raises(RetryableError) as caught:
        wire.read(STORE, answer(200, body))
    assert caught.value.applied == "unknown"


@pytest.mark.parametrize(
    "media", ["", "text/html", "text/plain; charset=utf-8", "application/jsonp", "image/png", "json"]
)
def test_an_answer_that_does_not_claim_to_be_json_is_no_success(media):
    with pytest.raises(RetryableError, match=r"instead of JSON|no media type"):
        wire.read(STORE, answer(media=media))


@pytest.mark.parametrize("media", ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"])
def test_json_is_json(media):
    assert wire.read(STORE, answer(media=media))["status"] == "success"


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(body):
    try:
        value = wire.read(STORE, answer(body=body))
    except IngestError:
        return
    assert value["status"] == "success"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_missing_or_odd_promised_field_is_a_clear_error(value):
    body = json.dumps(
        {"status": "success", "chats": value, "prompts": value, "chat_id": value, "response": value}
    ).encode()
    call = wire.chats()
    read = wire.read(call, answer(body=body))
    for take in (wire.chat_list, wire.chat_answer, lambda c, v: wire.texts(c, v, "prompts")):
        try:
            take(call, read)
        except RetryableError as error:
            assert "promised" in str(error)  # noqa: PT017 - both outcomes are right, by the value


def test_unknown_fields_are_passed_over():
    body = b'{"status":"success","chat_id":"1","response":"","request_id":"x","usage":{"a":[1]}}'
    call = wire.chat(user_id="u", message="m")
    assert wire.chat_answer(call, wire.read(call, answer(body=body))) == wire.ChatAnswer(chat_id="1", response="")


def test_a_servers_words_are_shown_without_control_characters_and_cut():
    body = json.dumps({"status": "error", "message": "\x1b[31mred\u202e" + "x" * 1000}).encode()
    with pytest.raises(RefusedError) as caught:
        wire.read(STORE, answer(422, body))
    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)
    assert len(str(caught.value)) < 400
