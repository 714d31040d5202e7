"""Findings name the page, say why, and stay bounded."""

import tracemalloc

from connectors.enrich.findings import Survey, findings, near_duplicates
from connectors.models import PageFacts


def page(uri, **facts):
    return PageFacts(**{"uri": uri, "title": "A page", "word_count": 300, "language": "en", **facts})


def note_of(pages, uri):
    return next((found.note for found in findings(pages) if uri in found.article), "")


def test_a_good_page_has_no_finding():
    assert findings([page("https://x.example/a")]) == []


def test_a_thin_page_is_found_with_its_words():
    assert "only 3 words" in note_of([page("https://x.example/a", word_count=3)], "/a")


def test_a_page_without_a_title_is_found():
    assert "no title" in note_of([page("https://x.example/a", title="", flags=("no-title",))], "/a")


def test_flags_keep_their_detail():
    assert "(three U+FFFD)" in note_of([page("https://x.example/a", flags=("mixed-encoding: three U+FFFD",))], "/a")


def test_an_unknown_flag_is_told_in_its_own_words():
    assert "odd thing" in note_of([page("https://x.example/a", flags=("odd-thing",))], "/a")


def test_a_page_in_another_language_than_the_site_is_found():
    pages = [page(f"https://x.example/{n}") for n in range(5)] + [page("https://x.example/fr", language="fr-CA")]
    assert "another language (fr-CA)" in note_of(pages, "/fr")
    assert len(findings(pages)) == 1


def test_a_regional_form_is_not_another_language():
    pages = [page(f"https://x.example/{n}") for n in range(5)] + [page("https://x.example/gb", language="en-GB")]
    assert findings(pages) == []


def test_pages_that_share_most_blocks_are_near_duplicates():
    first = page("https://x.example/a", blocks=tuple(range(10)))
    second = page("https://x.example/b", blocks=(*range(9), 99))
    third = page("https://x.example/c", blocks=tuple(range(5)) + tuple(range(50, 60)))
    assert near_duplicates([second, third, first]) == {"https://x.example/b": "https://x.example/a"}


def test_furniture_on_many_pages_makes_no_near_duplicates():
    pages = [page(f"https://x.example/{n}", blocks=(1, 2, 3, 4, 5)) for n in range(30)]
    assert near_duplicates(pages) == {}


def test_the_list_is_bounded_and_says_how_many_are_left():
    found = findings([page(f"https://x.example/{n}", word_count=1) for n in range(12)], most=10)
    assert len(found) == 11
    assert found[-1].note == "2 more pages have findings"


def survey(pages, **options):
    looked = Survey(len(pages), **options)
    for look in (looked.first, looked.second):
        for one in pages:
            look(one)
    return looked


def test_of_many_pages_only_those_that_may_have_a_twin_are_kept():
    pages = [page(f"https://x.example/{n:05}", blocks=tuple(range(100 * n, 100 * n + 40))) for n in range(3000)]
    pages.append(page("https://x.example/twin", blocks=pages[7].blocks))
    tracemalloc.start()
    looked = survey(pages)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 600_000
    (found,) = looked.findings()
    assert found.uri == "https://x.example/twin"
    assert found.note.endswith("nearly the same as https://x.example/00007")


def test_a_page_that_is_odd_and_a_twin_counts_once_among_those_left_out():
    pages = [page(f"https://x.example/{n}", word_count=1, blocks=(1, 2, 3, 4, 5)) for n in range(12)]
    found = findings(pages, most=10)
    assert len(found) == 11
    assert found[1].note == "This page has only 1 words; says nearly the same as https://x.example/0"
    assert found[-1].note == "2 more pages have findings"
