# ruff: noqa: E501 - pages are read by their lines
from __future__ import annotations

import pytest

from connectors.extractors.html.metadata import iso
from connectors.models import CleaningRules, Hints

TEXT = "<p>Some words of the page, enough to be read.</p>"


def page(extract, body: str, **fields):
    return extract(body, **fields).pages[0]


@pytest.mark.parametrize(
    ("title", "heading", "expected"),
    [
        ("Install — Acme 2.1 documentation", "<h1>Install</h1>", "Install"),
        ("Install | Site", "", "Install"),
        ("Acme | Tips", "", "Acme | Tips"),
        ("SELECT", "<h2>SELECT</h2>", "SELECT"),
        ("", "<h2>Only a heading</h2>", "Only a heading"),
        ("", "", "page"),
    ],
)
def test_titles_lose_the_sites_name(extract, title, heading, expected):
    assert page(extract, f"<title>{title}</title><main>{heading}{TEXT}</main>").title == expected


def test_structured_data_gives_author_dates_and_section(extract):
    data = """[{"@context":"https://schema.org","@type":"NewsArticle","headline":"H","author":[{"@type":"Person","name":"Ann"},{"name":"Bo"}],
      "datePublished":"2024-05-01T10:00:00+02:00","dateModified":"2024-06-02","publisher":{"name":"Pub"}},
      {"@type":"BreadcrumbList","itemListElement":[{"position":1,"name":"Home"},{"position":2,"name":"Guides"},{"position":3,"item":{"name":"H"}}]}]"""
    found = page(
        extract,
        f'<title>H - Pub</title><script type="application/ld+json">{data}</script><main><h1>H</h1>{TEXT}</main>',
    )
    assert found.metadata["author"] == "Ann, Bo"
    assert found.metadata["date"] == "2024-05-01T10:00:00+02:00"
    assert found.metadata["date_source"] == "json-ld"
    assert found.metadata["modified"] == "2024-06-02"
    assert found.metadata["section"] == ["Guides"]
    assert found.metadata["site_name"] == "Pub"


def test_meta_elements_give_the_rest(extract):
    head = (
        '<html lang="de-AT"><meta name=description content="About it."><meta name=author content="Cy"><meta name=generator content="Hugo 1">'
        '<meta property="article:published_time" content="2023-02-03T04:05:06Z">'
    )
    found = page(extract, f"{head}<main>{TEXT}</main>").metadata
    assert (found["language"], found["description"], found["author"], found["generator"]) == (
        "de-AT",
        "About it.",
        "Cy",
        "Hugo 1",
    )
    assert (found["date"], found["date_source"]) == ("2023-02-03T04:05:06Z", "meta article:published_time")


def test_a_footer_says_when_a_page_was_changed(extract):
    found = page(
        extract, f"<main>{TEXT}</main><div class=footer>Last updated on Jul 09, 2023. Made with care.</div>"
    ).metadata
    assert (found["modified"], found["modified_source"]) == ("2023-07-09", "page")


def test_breadcrumbs_give_the_section(extract):
    crumbs = '<nav aria-label="Breadcrumbs"><ol><li><a>Home</a> / </li><li><a>Guide</a></li><li>Install</li></ol></nav>'
    assert page(extract, f"<title>Install</title>{crumbs}<main><h1>Install</h1>{TEXT}</main>").metadata["section"] == [
        "Guide"
    ]


def test_the_address_is_the_last_source_of_a_date(extract):
    uri = "http://site.example/2024/05/06/story/"
    found = page(extract, f"<main>{TEXT}</main>", uri=uri, requested_uri=uri).metadata
    assert (found["date"], found["date_source"]) == ("2024-05-06", "url")


def test_what_the_source_knew_fills_gaps(extract):
    hints = Hints(title="Given", author="Di", published="2020-01-01", section=("S",), language="fr")
    found = page(extract, f"<main>{TEXT}</main>", hints=hints)
    assert (found.title, found.metadata["author"], found.metadata["date"], found.metadata["language"]) == (
        "Given",
        "Di",
        "2020-01-01",
        "fr",
    )


def test_a_language_that_nobody_declares_is_detected(extract):
    german = (
        "<p>" + "Die Seite erklärt, wie man das Programm auf dem eigenen Rechner einrichtet und benutzt. " * 4 + "</p>"
    )
    assert page(extract, f"<main>{german}</main>").metadata["language"] == "de"
    assert page(extract, f"<main>{german}</main>", rules=CleaningRules(language="fr")).metadata["language"] == "fr"


def test_words_of_scripts_without_spaces_are_counted(extract):
    assert page(extract, "<main><p>你好世界</p></main>").metadata["word_count"] >= 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2024-05-01", "2024-05-01"), ("20240501", "2024-05-01"), ("May 1, 2024", "2024-05-01"), ("1 May 2024", "2024-05-01"),
     ("Wed, 01 May 2024 10:00:00 GMT", "2024-05-01"), ("2024-13-01", ""), ("0001-01-01", ""), ("soon", ""), ("May 2024", "")],
)  # fmt: skip
def test_dates_are_iso_8601_or_nothing(text, expected):
    assert iso(text) == expected
