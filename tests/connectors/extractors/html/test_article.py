from __future__ import annotations

from selectolax.lexbor import LexborHTMLParser

from connectors.extractors.html import article, blocks

URI = "https://news.example/2026/bridge"
SENTENCE = "The committee said that the old bridge will be closed for repairs until the end of the next summer."


def opinion(page: str) -> dict[str, float]:
    parser = LexborHTMLParser(page)
    assert parser.body is not None
    found = blocks.read(parser.body, {})
    shares = article.opinion(found, URI)
    assert shares is not None
    return dict(zip((block.text for block in found.blocks), shares, strict=True))


def test_an_articles_paragraphs_are_taken_and_what_its_names_say_is_beside_it_is_not():
    text = "".join(f"<p>{n}. {SENTENCE}</p>" for n in range(6))
    beside = "".join(f"<p>Another story {n} of the day: {SENTENCE}</p>" for n in range(3))
    shares = opinion(
        f"<article class=post><div class=post-content>{text}<div class=related-posts>{beside}</div></div></article>"
    )
    assert [shares[f"{n}. {SENTENCE}"] for n in range(6)] == [1.0] * 6
    assert all(shares[f"Another story {n} of the day: {SENTENCE}"] < 0.9 for n in range(3))


def test_sentences_that_stand_in_no_paragraph_are_taken():
    told = "".join(f"<p>{n}. {SENTENCE}</p>" for n in range(6))
    loose = "".join(f"<div>{chr(97 + n) * 8} {SENTENCE.lower()}</div>" for n in range(6))
    shares = opinion(f"<div itemprop=articleBody>{told}{loose}</div>")
    assert [shares[f"{chr(97 + n) * 8} {SENTENCE.lower()}"] for n in range(6)] == [1.0] * 6


def test_names_and_text_that_look_like_markup_stay_names_and_text():
    text = "".join(f"<p>{n} &lt;/article&gt; &amp; more. {SENTENCE}</p>" for n in range(6))
    shares = opinion(f"<article class='&quot;&gt;&lt;script&gt;'>{text}</article>")
    assert min(shares.values()) == 1.0


def test_a_page_in_which_nothing_is_found_has_no_opinion():
    parser = LexborHTMLParser("<form><input></form>")
    assert parser.body is not None
    assert article.opinion(blocks.read(parser.body, {}), URI) is None
