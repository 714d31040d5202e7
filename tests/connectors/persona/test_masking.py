"""The client secret is told in no letters."""

import base64
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
