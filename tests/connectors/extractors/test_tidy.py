from __future__ import annotations

import hashlib
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from connectors.extractors import tidy
from connectors.models import CleaningRules, Page

RULES = CleaningRules()


def page(content: str, title: str = "Title") -> Page:
    return Page(uri="http://s.example/a", title=title, content=content, blocks=tidy.hashes(content))


def test_what_is_sent_names_its_source_and_has_one_h1():
    assert tidy.draft(page("Text."), RULES).content == "Source: http://s.example/a\n\n# Title\n\nText.\n"


def test_a_heading_that_says_the_title_becomes_the_h1():
    assert tidy.draft(page("## Title\n\nText."), RULES).content.count("Title") == 1
    assert (
        "\n# [`Title`](http://s.example/t)\n"
        in tidy.draft(page("# [`Title`](http://s.example/t)\n\nText."), RULES).content
    )


def test_a_title_that_stands_below_a_line_of_the_text_is_not_said_twice():
    sent = tidy.draft(page("Module m\n\n# Title\n\nText.\n\n# More"), RULES).content
    assert sent.endswith("\n\nModule m\n\n# Title\n\nText.\n\n## More\n")


def test_other_h1s_go_one_level_down():
    assert "# Title\n\nText.\n\n## More\n" in tidy.draft(page("Text.\n\n# More"), RULES).content


def test_a_number_sign_in_code_is_no_heading():
    content = "```\n# comment\n\n# another\n```"
    assert content in tidy.draft(page(content), RULES).content


def test_equal_text_has_an_equal_hash_whatever_its_address_and_white_space():
    one = tidy.draft(page("Some  text\n\nhere."), RULES)
    other = tidy.draft(replace(page("Some text\n\n\nhere."), uri="http://s.example/b"), RULES)
    assert one.text_hash == other.text_hash
    assert one.text_hash != tidy.draft(page("Some text here!"), RULES).text_hash


def test_other_cleaning_rules_are_another_fingerprint():
    one, other = tidy.draft(page("T."), RULES), tidy.draft(page("T."), CleaningRules(select=("main",)))
    assert one.text_hash == other.text_hash
    assert one.fingerprint != other.fingerprint
    assert tidy.config_fingerprint(RULES) != tidy.config_fingerprint(CleaningRules(remove=("nav",)))


def test_blocks_that_repeat_over_a_site_go_and_their_empty_heading_too():
    content = "# Title\n\nOwn text that says enough.\n\n## Links\n\nHome | About\n\n## Own\n\nMore own text."
    repeated = frozenset(map(tidy.block_hash, ["## Links", "Home | About", "## Own"]))
    found = tidy.without_repeated(page(content), repeated)
    assert found.content == "# Title\n\nOwn text that says enough.\n\n## Own\n\nMore own text."
    assert found.blocks == tidy.hashes(found.content)


def test_a_page_is_never_emptied():
    whole = page("Same here.\n\nAnd here.\n\nx")
    assert tidy.without_repeated(whole, frozenset(whole.blocks[:2])) is whole


def test_code_that_repeats_stays():
    content = "Text of the page, long enough.\n\n```\npip install acme\n```"
    assert tidy.without_repeated(page(content), frozenset(tidy.hashes(content)[1:])).content == content


@given(
    st.lists(st.sampled_from(["# A", "## B", "text", "- x\n- y", "```\na\n\nb\n```", "| a |\n| --- |"]), max_size=12)
)
def test_blocks_come_apart_and_together_again(blocks):
    assert tidy.split_blocks("\n\n".join(blocks)) == blocks


def by_lines(content: str) -> list[str]:
    blocks: list[list[str]] = [[]]
    fence = False
    for line in content.split("\n"):
        if not fence and not line.strip():
            blocks.append([])
            continue
        blocks[-1].append(line)
        fence ^= line.startswith("```")
    return ["\n".join(lines) for lines in blocks if lines]


@given(st.lists(st.sampled_from(["", "", " ", "\t\xa0", "a", "b c", "  d", "```"]), max_size=12))
def test_lines_of_white_space_part_blocks_and_an_open_fence_keeps_them(lines):
    assert tidy.split_blocks("\n".join(lines)) == by_lines("\n".join(lines))


@given(st.text())
def test_any_text_can_be_sent(text):
    draft = tidy.draft(page(text), RULES)
    assert draft.content.startswith("Source: ")
    assert tidy.normal(draft.content) == tidy.normal(tidy.normal(draft.content))


WRITTEN = st.text(st.sampled_from("ab#-`~ \n\t\xa0\u2003\u3000\x1c\x07é“\u200b\u00ad\U000e0041語")) | st.text()


@given(WRITTEN)
def test_letters_and_words_are_counted_as_if_the_text_were_parted(text):
    assert tidy.letters(text) == len("".join(text.split()))
    assert tidy.word_count(text) == len(text.split())


@given(WRITTEN)
def test_the_hash_is_of_the_title_and_of_all_that_is_sent_below_the_source(text):
    draft = tidy.draft(page(text), RULES)
    sent = draft.content.removeprefix("Source: http://s.example/a\n\n")
    assert draft.text_hash == hashlib.sha256(tidy.normal(f"Title\n{sent}").encode("utf-8", "replace")).hexdigest()


@given(WRITTEN)
def test_what_nobody_sees_goes_and_nothing_else(text):
    unseen = {*range(0xE0000, 0xE0080), *range(9), 0x0B, 0x0C, *range(0x0E, 0x20)}
    if "```" not in text:
        unseen |= {0x200B, 0x2060, 0xFEFF, 0x00AD, 0x180E}
        assert tidy.visible(text) == "".join(sign for sign in text if ord(sign) not in unseen)
    assert not any(ord(sign) in unseen for sign in tidy.visible(text))
