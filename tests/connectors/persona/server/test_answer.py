"""What the embedded persona says: quotations with sources, in the page's language, or plainly nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.persona.server.answer import answer, quotation
from connectors.persona.server.languages import LANGUAGES, language, language_of
from connectors.persona.server.prompts import make_prompts
from connectors.persona.server.search import Term, search, terms
from connectors.persona.server.shelf import Shelf
from connectors.persona.server.store import Store, StoredPage
from connectors.persona.server.text import quoted

SITE = "https://docs.example.com"


def page(name, title, body, **metadata):
    return StoredPage(title=title, content=f"Source: {SITE}/{name}\n\n# {title}\n\n{body}", metadata=metadata)


PAGES = [
    page(
        "keys",
        "API keys",
        "Intro.\n\n## Rotating a key\n\nOpen Settings, then press **Rotate**.\n\n## Deleting a key\n\nPress Delete.",
    ),
    page("refunds", "Refunds", "A refund takes five days.\n\n```py\nrefund(order)\n```\n"),
    page("toc", "Contents", "\n".join(f"- [Rotating a key {n}]({SITE}/keys)" for n in range(30))),
    page(
        "konto", "Konto", "## Passwort ändern\n\nÖffnen Sie die Einstellungen und wählen Sie Passwort.", language="de"
    ),
    page("ja", "アカウント", "## パスワードの変更\n\n設定を開いてパスワードを選びます。", language="ja"),
    page("shop", "Opening hours", "We are open on every day of the week except on Sunday."),
]


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("state"))
    store.add_pages(PAGES)
    with store.reading() as db:
        yield db
    store.close()


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("How do I rotate an API key?", "keys"),
        ("rotating keys", "keys"),
        ("How long does a refund take?", "refunds"),
        ("Wie ändere ich mein Passwort?", "konto"),
        ("passwort andern", "konto"),
        ("パスワードを変更するには?", "ja"),
        ("Are you open on Sunday?", "shop"),
    ],
)
def test_the_right_page_comes_first_and_is_named(db, question, name):
    assert search(db, question)[0].source == f"{SITE}/{name}"
    reply = answer(db, question)
    assert f": {SITE}/{name}" in reply.text
    assert "\n> " in reply.text


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ("Who is the president of Atlantis?", "en"),
        ("Wie heißt der Präsident von Atlantis?", "de"),
        ("Qui est le président de l'Atlantide ?", "fr"),
        ("¿Quién es el presidente de la Atlántida?", "es"),
        ("Welke kleur heeft een zebra?", "nl"),
    ],
)
def test_what_no_page_says_is_not_answered(db, question, code):
    reply = answer(db, question)
    assert (reply.text, reply.hits) == (LANGUAGES[code].nothing, ())


def test_the_frame_of_an_answer_is_in_the_language_of_its_page(db):
    assert answer(db, "Passwort ändern").text.startswith("Aus „Konto › Passwort ändern“:")  # noqa: RUF001
    assert f"Quelle: {SITE}/konto" in answer(db, "Passwort ändern").text
    assert answer(db, "パスワードの変更").text.startswith("「アカウント")


def test_a_quotation_is_the_pages_words(db):
    reply = answer(db, "How do I rotate a key?")
    assert "> Open Settings, then press **Rotate**." in reply.text
    assert "Press Delete" not in reply.text


@pytest.mark.parametrize(
    "question",
    [
        "",
        "   ",
        "?",
        "the of and",
        '"',
        "'; DROP TABLE pages; --",
        "NEAR(a b)",
        "a AND",
        "*",
        "title:x",
        "\x00",
        "x" * 20_000,
        "-" * 500,
        "(" * 200,
    ],
)
def test_no_question_breaks_the_search(db, question):
    answer(db, question)
    search(db, question)


@settings(max_examples=60, deadline=None)
@given(question=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_is_a_question(db, question):
    assert answer(db, question).text
    assert all(hit.page_id for hit in search(db, question))


@given(st.text(max_size=20))
def test_a_quoted_word_cannot_leave_its_quotes(word):
    assert quoted(word).count('"') == 2
    assert quoted(word)[0] == quoted(word)[-1] == '"'


def test_rare_words_weigh_more_than_common_ones(db):
    weights = {term.word: term.weight for term in terms(db, "rotating settings")}
    assert weights["settings"] > weights["rotating"]


def test_code_in_a_quotation_stays_whole():
    passage = "## Use\n\nCall it like this:\n\n```py\na = 1\n\nb = rotate(a)\n```\n\nThen wait."
    text = quotation(passage, [Term(word="call", weight=1.0)])
    assert "> ```py\n> a = 1\n>\n> b = rotate(a)\n> ```" in text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("How do I rotate a key?", "en"),
        ("Wie kann ich das ändern?", "de"),
        ("Comment puis-je faire cela ?", "fr"),
        ("¿Cómo puedo hacer esto?", "es"),
        ("Come posso farlo con il mio account?", "it"),
        ("xyzzy", "en"),
        ("これは何ですか", "ja"),
    ],
)
def test_a_questions_language_is_guessed_by_its_small_words(text, code):
    assert language_of(text) == code


def test_an_unknown_language_is_spoken_to_in_english():
    assert language("tlh") is LANGUAGES["en"]
    assert language("de-AT") is LANGUAGES["de"]


def test_prompts_are_questions_that_lead_to_their_page(db):
    made = make_prompts(db, ["rotating key", "refunds", "zeppelins"])
    assert {topic for _, topic, _ in made} == {"rotating key", "refunds"}
    assert ("How do I rotate a key?", "rotating key", 1) in made
    for prompt, _, page_id in made:
        hits = search(db, prompt, limit=3)
        assert page_id in {hit.page_id for hit in hits}


def test_a_question_in_the_same_words_is_looked_up_once(db):
    shelf, asked = Shelf(), []
    first = search(db, "rotating key", limit=6, shelf=shelf)
    db.set_trace_callback(asked.append)
    again = search(db, "What is a rotating key?", limit=2, shelf=shelf)
    assert not asked
    assert again == first[:2] == search(db, "rotating key", limit=2)
    assert asked
    asked.clear()
    assert search(db, "rotating key", limit=7, shelf=shelf) == search(db, "rotating key", limit=7)
    assert asked, "more hits than were looked for"
    db.set_trace_callback(None)


def test_what_a_shelf_keeps_is_bounded_by_its_characters(db):
    longest = max(len(page.content) for page in PAGES)
    shelf = Shelf(most_chars=longest)
    for question in ("rotating key", "refund", "Sunday", "passwort", "delete"):
        assert search(db, question, shelf=shelf) == search(db, question)
        shelf.tidy()
        assert shelf.chars < longest


def test_a_question_that_leads_to_other_pages_is_no_prompt(tmp_path):
    store = Store(tmp_path)
    store.add_pages([page("guide", "Guide", "## Beta\n\nalpha alpha beta")])
    with store.reading() as alone:
        assert [prompt for prompt, *_ in make_prompts(alone, ["alpha beta"])] == ["What is Beta?"]
    store.add_pages([page(f"beta{n}", "Beta", "## Beta\n\nBeta: beta beta") for n in range(4)])
    with store.reading() as crowded:
        assert make_prompts(crowded, ["alpha beta"]) == []
    store.close()


def test_prompts_end_when_their_time_is_up_and_say_so(db, caplog):
    assert make_prompts(db, ["rotating key"], at_most_s=60)
    assert not caplog.records
    assert make_prompts(db, ["rotating key"], at_most_s=0) == []
    assert "the first 0 of 1 topics" in caplog.text


def test_nobody_is_prompted_to_ask_about_the_signature_of_a_function(tmp_path):
    store = Store(tmp_path)
    body = "## pub fn [drain](https://x.example/#drain)<R>(&mut self, range: R) -> Drain<'_, T>\n\nDrains.\n\n"
    store.add_pages([page("vec", "Vec", body)])
    with store.reading() as db:
        assert [prompt for prompt, *_ in make_prompts(db, ["drain"])] == ["What is drain?"]
    store.close()


def test_prompts_are_in_the_language_of_the_page(db):
    (prompt, *_), *_ = make_prompts(db, ["Passwort"])
    assert prompt == "Was ist Passwort ändern?"


def test_there_are_no_prompts_about_an_empty_knowledge_base(tmp_path):
    store = Store(tmp_path)
    with store.reading() as empty:
        assert make_prompts(empty, ["rotating key", "anything"], "a site about keys") == []
        assert answer(empty, "What is a key?").hits == ()
    store.close()
