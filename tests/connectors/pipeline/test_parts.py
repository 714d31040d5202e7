"""What a run is put together from: headers, names, targets."""

import pytest

from connectors.errors import UsageError
from connectors.pipeline.operate import source_for
from connectors.pipeline.parts import header_values, public_options
from connectors.pipeline.run import name_of, origin_of
from connectors.settings import DocumentsSource, WebsiteSource


def test_a_header_takes_its_secret_from_the_environment():
    assert header_values(("Authorization: Bearer ${TOKEN}",), {"TOKEN": "x y"}) == {"Authorization": "Bearer x y"}


def test_a_header_that_needs_an_unset_variable_is_refused_by_name():
    with pytest.raises(UsageError, match="environment variable TOKEN"):
        header_values(("Authorization: ${TOKEN}",), {})


@pytest.mark.parametrize("line", ["no colon", ": value", "Bad name: x", "X: a\r\nY: b", "X: \0"])
def test_a_line_that_is_no_header_is_refused_with_an_example(line):
    with pytest.raises(UsageError, match="Name: value"):
        header_values((line,), {})


def test_a_source_is_called_by_its_address_without_scheme_and_secrets():
    assert name_of(WebsiteSource(website="https://user:secret@docs.example.com/guide/")) == "docs.example.com/guide"
    assert name_of(WebsiteSource(website="https://docs.example.com", name="Docs")) == "Docs"


def test_an_address_is_a_website_and_a_folder_is_documents(tmp_path):
    assert origin_of(source_for("http://127.0.0.1:8000/")) == ("website", "http://127.0.0.1:8000/")
    assert origin_of(source_for(str(tmp_path))) == ("documents", str(tmp_path))
    assert isinstance(source_for("s3://bucket/folder"), DocumentsSource)


def test_a_word_that_is_neither_is_refused_with_a_hint():
    with pytest.raises(UsageError, match=r"https://docs\.example\.com"):
        source_for("docs.example.com")


def test_what_the_ledger_and_prefect_keep_of_a_source_holds_no_secret_of_any_kind():
    share = DocumentsSource(documents="sftp://reader:pass@files.example.com/manuals")
    site = WebsiteSource(website="https://u:pass@docs.example.com/?token=pass", header=("Authorization: pass",))
    assert public_options(share)["documents"] == "sftp://files.example.com/manuals"
    kept = public_options(site)
    assert kept["header"] == ["Authorization: (withheld)"]
    assert "pass" not in str(kept)
