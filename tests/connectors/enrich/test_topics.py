"""Topics cover the site, skip its furniture, and do not depend on the order of pages."""

import random

from connectors.enrich.topics import calls, context, topics
from connectors.models import PageFacts


def site(sections=("Install", "Administer", "Query"), pages=20):
    return [
        PageFacts(
            uri=f"https://x.example/{section.lower()}/{number}.html",
            title=f"{section} step {word}",
            section=("Manual", section),
            headings=("See also", f"{section} step {word}", f"{section} common thing"),
        )
        for section in sections
        for number, word in enumerate(f"word{n}x" for n in range(pages))
    ]


def test_every_section_is_heard_even_beside_one_a_hundred_times_its_size():
    big = site(("Reference",), 400)
    small = site(("Tutorial",), 3)
    named = topics(big + small)
    assert any("Tutorial" in topic for topic in named)
    assert sum("Reference step" in topic for topic in named) > 10


def test_what_stands_on_every_page_is_no_topic():
    assert "See also" not in topics(site())


def test_the_order_of_pages_does_not_matter():
    pages = site()
    shuffled = random.Random(4).sample(pages, len(pages))
    assert topics(pages) == topics(shuffled)


def test_no_call_has_more_than_fifty_topics_and_none_is_lost():
    named = topics(site(pages=700), most=180)
    cut = calls(named)
    assert len(named) == 180
    assert [len(call) for call in cut] == [50, 50, 50, 30]
    assert [topic for call in cut for topic in call] == named


def test_numbering_and_permalink_signs_are_taken_off():
    page = PageFacts(uri="https://x.example/a", title="12.3. Controlling Text Search¶")
    assert topics([page]) == ["Controlling Text Search"]


def test_no_pages_give_no_topics():
    assert topics([]) == []


def test_topics_are_different_whatever_their_case():
    pages = [
        PageFacts(uri=f"https://x.example/{n}", title=title) for n, title in enumerate(["Index", "INDEX", "index"])
    ]
    named = topics(pages + site())
    assert [topic.casefold() for topic in named].count("index") == 1


def test_the_context_names_site_and_language():
    told = context(site="docs.example", description="All about it.", pages=3, language="de")
    assert "docs.example" in told
    assert "All about it." in told
    assert "de" in told
