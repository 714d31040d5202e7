"""What a source is called, and that nothing secret of it is kept."""

from connectors.pipeline.naming import name_of, public_options
from connectors.settings import DocumentsSource, WebsiteSource


def test_a_source_is_called_by_its_address_without_scheme_and_secrets():
    assert name_of(WebsiteSource(website="https://user:secret@docs.example.com/guide/")) == "docs.example.com/guide"
    assert name_of(WebsiteSource(website="https://docs.example.com", name="Docs")) == "Docs"


def test_what_the_ledger_and_prefect_keep_of_a_source_holds_no_secret_of_any_kind():
    share = DocumentsSource(documents="sftp://reader:pass@files.example.com/manuals")
    site = WebsiteSource(website="https://u:pass@docs.example.com/?token=pass", header=("Authorization: pass",))
    assert public_options(share)["documents"] == "sftp://files.example.com/manuals"
    kept = public_options(site)
    assert kept["header"] == ["Authorization: (withheld)"]
    assert "pass" not in str(kept)
