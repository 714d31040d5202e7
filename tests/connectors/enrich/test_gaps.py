"""What was asked in vain, grouped, and where the source stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.enrich.gaps import Exchange, Gap, Sighting, exchanges, gaps, judge, places, telling


def asked(question, answer="", *, user="u", chat="c", after=""):
    return Exchange(chat_id=chat, user_id=user, question=question, answer=answer, after=after)


GOOD = "From “API keys”: rotate a key in Settings, API keys, Rotate."


@pytest.mark.parametrize(
    ("answer", "after", "again", "reason"),
    [
        ("", "", False, "unanswered"),
        ("  \n", "", False, "unanswered"),
        ("The knowledge base has no answer to this question.", "", False, "unanswered"),
        ("I don't know anything about that.", "", False, "unanswered"),
        ("I\u2019m sorry, I couldn\u2019t find it.", "", False, "unanswered"),
        ("Die Wissensbasis enthält keine Antwort auf diese Frage.", "", False, "unanswered"),
        ("La base de connaissances ne contient pas de réponse à cette question.", "", False, "unanswered"),
        ("La base de conocimientos no tiene respuesta a esta pregunta.", "", False, "unanswered"),
        ("ナレッジベースには、この質問への答えがありません。", "", False, "unanswered"),
        ("知识库中没有这个问题的答案。", "", False, "unanswered"),
        (GOOD, "That's not what I asked", False, "objected"),
        (GOOD, "No, wrong", False, "objected"),
        (GOOD, "", True, "asked-again"),
        ("Our office is open from nine to five.", "", False, "beside-the-point"),
        (GOOD, "", False, None),
        (GOOD, "Thanks! Nothing else.", False, None),
        (GOOD + " " + "It works as described. " * 40 + "Prices are not covered in this page.", "", False, None),
    ],
)
def test_an_answer_is_judged_by_what_shows_that_it_was_bad(answer, after, again, reason):
    assert judge(asked("How do I rotate an API key?", answer, after=after), again=again) == reason


def test_messages_are_the_users_and_the_personas_in_turn():
    found = exchanges(
        "c", "u", ["How do refunds work?", "From “Refunds”: …", "No, that's wrong", "Sorry.", "Which fees apply?"]
    )
    assert [(item.question, item.answer, item.after) for item in found] == [
        ("How do refunds work?", "From “Refunds”: …", "No, that's wrong"),
        ("Which fees apply?", "", ""),
    ]


@pytest.mark.parametrize("messages", [[], [""], ["?"], ["hi there, you", "Hello"], ["thanks", "You are welcome"][:0]])
def test_small_talk_is_no_question(messages):
    assert [item for item in exchanges("c", "u", messages) if not telling(item.question)] == []


def test_wordings_of_one_question_are_one_gap():
    found = gaps(
        [
            asked("How do I rotate an API key?", user="ada", chat="1"),
            asked("how can I rotate my API keys", user="bob", chat="2"),
            asked("How do I rotate an API key?", user="cyd", chat="3"),
            asked("Where are the invoices?", user="ada", chat="4"),
        ]
    )
    assert [(gap.topic, gap.asked, gap.users) for gap in found] == [("rotate API key", 3, 3), ("invoices", 1, 1)]
    assert found[0].questions == ("How do I rotate an API key?", "how can I rotate my API keys")


def test_a_question_put_again_in_other_words_was_not_answered_the_first_time():
    found = gaps([asked("How do I rotate an API key?", GOOD, chat="1"), asked("API key rotate how", GOOD, chat="2")])
    assert [(gap.reason, gap.asked) for gap in found] == [("asked-again", 2)]
    other = gaps([asked("How do I rotate an API key?", GOOD, user="a"), asked("API key rotate how", GOOD, user="b")])
    assert other == []


TEXT = st.text(max_size=30)


@given(st.lists(st.tuples(TEXT, TEXT, st.sampled_from("ab"), TEXT), max_size=12), st.randoms())
def test_the_order_of_the_chats_does_not_matter(rows, rng):
    found = [asked(q, a, user=u, chat=str(n), after=f) for n, (q, a, u, f) in enumerate(rows)]
    shuffled = list(found)
    rng.shuffle(shuffled)
    assert gaps(found) == gaps(shuffled)
    assert sum(gap.asked for gap in gaps(found)) <= len(found)


def gap(topic: str) -> Gap:
    return Gap(topic=topic, questions=(topic,), asked=1, users=1, reason="unanswered", words=telling(topic))


SITE = "https://docs.example.com"
SEEN = [
    Sighting(uri=f"{SITE}/billing/refunds.html", title="Refunds and credits", outcome="fetched", rule=""),
    Sighting(uri=f"{SITE}/internal/rotate-api-key", title="", outcome="skipped", rule="robots"),
    Sighting(uri=f"{SITE}/status_codes", title="", outcome="failed", rule="http-500"),
    Sighting(uri=f"{SITE}/old-webhooks", title="", outcome="skipped", rule="redirect"),
]


@pytest.mark.parametrize(
    ("topic", "standing", "rule"),
    [
        ("refund", "exists", ""),
        ("rotating API keys", "skipped", "robots"),
        ("status code", "failed", "http-500"),
        ("webhooks", "not-written", ""),
        ("zeppelins", "not-written", ""),
    ],
)
def test_each_gap_is_told_where_its_page_is(topic, standing, rule):
    (place,) = places([gap(topic)], SEEN)
    assert (place.standing, place.rule) == (standing, rule)


def test_a_page_that_is_there_comes_before_one_that_was_skipped():
    two = [
        Sighting(uri=f"{SITE}/a/refunds", title="", outcome="skipped", rule="robots"),
        Sighting(uri=f"{SITE}/b/refunds", title="", outcome="not_modified", rule=""),
    ]
    for seen in (two, two[::-1]):
        assert places([gap("refunds")], seen)[0].uri == f"{SITE}/b/refunds"


def test_addresses_nobody_can_read_are_no_trouble():
    odd = [Sighting(uri=uri, title="", outcome="fetched", rule="") for uri in ("", "::", "http://x/%ff%zz", "file:a b")]
    assert places([gap("refunds")], odd)[0].standing == "not-written"
