"""What a person may name on the command line."""

import pytest

from connectors.errors import UsageError
from connectors.pipeline.naming import origin_of
from connectors.pipeline.operate import source_for
from connectors.settings import DocumentsSource


def test_an_address_is_a_website_and_a_folder_is_documents(tmp_path):
    assert origin_of(source_for("http://127.0.0.1:8000/")) == ("website", "http://127.0.0.1:8000/")
    assert origin_of(source_for(str(tmp_path))) == ("documents", str(tmp_path))
    assert isinstance(source_for("s3://bucket/folder"), DocumentsSource)


def test_a_word_that_is_neither_is_refused_with_a_hint():
    with pytest.raises(UsageError, match=r"https://docs\.example\.com"):
        source_for("docs.example.com")
