"""The client secret is told in no letters."""

import base64
import codecs
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.persona.masking import masked

SECRET = "s3cr/et+Canary==42"


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
def test_base64_of_a_text_around_the_secret_is_masked(before):
    told = base64.b64encode(f"{before}{SECRET} and more".encode()).decode()
    core = base64.b64encode(SECRET.encode()).decode()[2:-6]
    assert "***" in masked(f"refused: {told}", SECRET)
    assert core not in masked(f"refused: {told}", SECRET)


def test_a_percent_encoded_secret_is_masked():
    assert masked(f"no: {quote(SECRET, safe='')}!", SECRET) == "no: ***!"


@pytest.mark.parametrize("length", [6, 10, 17])
def test_a_secret_that_the_end_of_a_message_cut_is_masked(length):
    assert SECRET[:length] not in masked(f"refused {SECRET[:length]}…", SECRET)


def test_another_text_is_left_alone():
    assert masked("The title is too long.", SECRET) == "The title is too long."


def test_a_very_short_secret_does_not_eat_ordinary_words():
    assert masked("GET training-data answered 500.", "x") == "GET training-data answered 500."


@given(
    st.text(min_size=8, max_size=40).filter(lambda text: text.strip() == text),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_the_plain_secret_never_stays(secret, before, after):
    assert secret not in masked(f"{before}{secret}{after}", secret) or "*" in secret


@pytest.mark.parametrize(
    "write",
    [
        str.upper,
        str.lower,
        str.swapcase,
        lambda secret: secret[::-1],
        " ".join,
        "-".join,
        lambda secret: secret.encode().hex(),
        lambda secret: secret.encode().hex(":"),
        lambda secret: secret.encode().hex().upper(),
        lambda secret: quote(quote(secret, safe=""), safe=""),
        lambda secret: "".join(f"%{byte:02x}" for byte in secret.encode()),
        lambda secret: "".join(f"&#{ord(letter)};" for letter in secret),
        lambda secret: "".join(f"&#x{ord(letter):x};" for letter in secret),
        lambda secret: "".join(f"\\u{ord(letter):04x}" for letter in secret),
        lambda secret: "".join(f"\\x{ord(letter):02x}" for letter in secret),
        lambda secret: "".join(chr(ord(letter) + 0xFEE0) for letter in secret),
        lambda secret: base64.b64encode(base64.b64encode(secret.encode())).decode(),
        lambda secret: base64.b32encode(secret.encode()).decode(),
        lambda secret: base64.b64encode(secret.upper().encode()).decode(),
        lambda secret: base64.b64encode(secret.encode().hex().encode()).decode(),
        lambda secret: codecs.encode(secret, "rot13"),
        lambda secret: f"{secret[:14]} and then more",
        lambda secret: f"it ends in {secret[2:]} it does",
        lambda secret: repr(secret.encode()).replace("+", "\\x2b"),
    ],
)
def test_a_secret_in_other_letters_takes_the_servers_words_with_it(write):
    assert masked(f"POST api/kb/store-pages answered 500: bad key {write(SECRET)} given", SECRET) == (
        "POST api/kb/store-pages answered 500: ***"
    )


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_exception(text):
    assert isinstance(masked(text, SECRET), str)


@pytest.mark.parametrize("secret", ["x", "short", "sk-1234", "a-long-secret-of-many-letters-9f3b"])
def test_ordinary_errors_stay_as_they_are_whatever_the_secret(secret):
    for text in ("POST api/kb/store-pages answered 500: queue is full.", "127.0.0.1:80 cannot be reached: check it."):
        assert masked(text, secret) == text
