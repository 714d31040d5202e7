"""What a run is put together from: headers, and the secrets in them."""

import pytest

from connectors.errors import UsageError
from connectors.pipeline.parts import header_values


def test_a_header_takes_its_secret_from_the_environment():
    assert header_values(("Authorization: Bearer ${TOKEN}",), {"TOKEN": "x y"}) == {"Authorization": "Bearer x y"}


def test_a_header_that_needs_an_unset_variable_is_refused_by_name():
    with pytest.raises(UsageError, match="environment variable TOKEN"):
        header_values(("Authorization: ${TOKEN}",), {})


@pytest.mark.parametrize("line", ["no colon", ": value", "Bad name: x", "X: a\r\nY: b", "X: \0"])
def test_a_line_that_is_no_header_is_refused_with_an_example(line):
    with pytest.raises(UsageError, match="Name: value"):
        header_values((line,), {})
