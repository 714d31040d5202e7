"""Gaps: questions that the knowledge base answered badly or not at all, grouped, and where the source stands. Pure."""

# ruff: noqa: RUF001 - the punctuation of other languages is meant

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Reason = Literal["unanswered", "beside-the-point", "asked-again", "objected"]
Standing = Literal["exists", "failed", "skipped", "not-written"]

SAME_QUESTION = 0.6
ON_TOPIC = 0.34
ABOUT = 0.6
_LONGEST_TOPIC = 80
# In order: how bad it is. A group is called by its worst.
_REASONS: tuple[Reason, ...] = ("unanswered", "objected", "asked-again", "beside-the-point")

_NO_ANSWER = re.compile(
    r"\bno (?:answer|information)\b|\bnot sure\b|\bnot (?:covered|mentioned) in\b"
    r"|\b(?:do|does|did|could|can)(?: not|n['’]?t)(?: currently)? (?:know|have|find|answer)"
    r"|\b(?:cannot|unable to) (?:answer|find|help)|\boutside (?:of )?(?:my|the) knowledge"
    r"|keine (?:antwort|information)|weiß (?:ich )?(?:es )?nicht|nicht beantworten"
    r"|pas (?:de|d['’]) ?(?:réponse|information)|ne sais pas"
    r"|no (?:tiene|tengo|hay) (?:respuesta|información)|no (?:lo )?sé\b|non (?:contiene|ho|lo so)"
    r"|não (?:tem|sei|contém)|geen antwoord|weet (?:ik )?(?:het )?niet|nie (?:zawiera|wiem|znam)"
    r"|inget svar|vet inte|答えがありません|わかりません|没有.{0,12}答案|不知道",
    re.IGNORECASE,
)
_OBJECTION = re.compile(
    r"^\W*(?:no\b(?!t)|nope|wrong|incorrect|not what i|(?:didn|doesn)['’]?t (?:help|answer|work)"
    r"|(?:that|this|it)(?:['’]s| is)? (?:not|wrong|isn['’]?t|doesn['’]?t|did)"
    r"|falsch|das stimmt nicht|nein\b|ce n['’]est pas|faux|non\b|eso no|incorrecto|sbagliato|errado|klopt niet)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:['’.][^\W_]+)*")
_SMALL = (
    # Words that no question is about, of the languages that the phrases above know.
    "a about am an and any are as at be been but by can could did do does for from get had has have how i if in into is"
    " it its me my need of on or our out please should so tell than that the their them then there these they this to"
    " us use using want was we were what when where which who why will with would you your"
    " explain mean means work works way ways possible able"
    " aber als auf aus bei bin das dem den der des die ein eine einen es für gibt hat habe ich im ist kann man mein mit"
    " nach nicht oder sie sind über und uns von warum was welche wenn wer wie wird wo zu zum zur"
    " au aux avec ce ces comment dans de du elle en est et il je la le les leur ma mes mon ne nous où par pas pour"
    " pourquoi que quel quelle qui quoi se son sont sur un une vos votre vous"
    " al como con cómo cuál cuándo del donde dónde el es esta está hay lo los mi no para por puedo qué quién se su una"
    " y che chi come cosa di dove è gli ho il mio nel non perché posso quale quando si sono"
    " aos da das do dos em eu meu na não nas no nos onde os ou posso qual quando são uma"
    " aan bij dat deze dit een en er het hoe ik je kan met mijn naar niet om op te uit van voor waar wat welke wie"
    " zijn att av det för från har hur i jag kan med och om på som till vad var vem är"
    " co czy dla do gdzie jak jest kiedy mogę na nie od się to w z"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One question and what was answered.

    Attributes:
        answer: empty when nothing was.
        after: what the user said next in the same chat; empty when that was the end.
    """

    chat_id: str
    user_id: str
    question: str
    answer: str
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Questions of one kind that had no good answer.

    Attributes:
        topic: what they are about, in the words of the shortest of them.
        questions: each wording once, the most frequent first.
        asked: how often, all wordings together.
        users: by how many people.
        words: the telling words, as they are compared.
    """

    topic: str
    questions: tuple[str, ...]
    asked: int
    users: int
    reason: Reason
    words: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a source has at one address, and what became of it in the source's last run."""

    uri: str
    title: str
    outcome: str
    rule: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the source stands on a gap; ``rule`` says why a page was skipped or failed."""

    standing: Standing = "not-written"
    uri: str = ""
    title: str = ""
    rule: str = ""
    source: str = ""


def exchanges(chat_id: str, user_id: str, messages: Sequence[str]) -> list[Exchange]:
    """Pair the messages of one chat, which are the user's and the persona's in turn."""
    asked, answered = messages[::2], messages[1::2]
    return [
        Exchange(
            chat_id=chat_id,
            user_id=user_id,
            question=question,
            answer=answered[number] if number < len(answered) else "",
            after=asked[number + 1] if number + 1 < len(asked) else "",
        )
        for number, question in enumerate(asked)
        if telling(question) and not _OBJECTION.search(question)
    ]


def gaps(found: Iterable[Exchange]) -> list[Gap]:
    """Group the questions that had no good answer.

    Returns:
        The gaps, those asked most often first; the same for any order of the exchanges.
    """
    everything = sorted(found, key=lambda item: (item.user_id, item.chat_id, item.question))
    repeated = _asked_again(everything)
    bad = [(item, reason) for item in everything if (reason := judge(item, again=_key(item) in repeated))]
    return sorted(
        (_gap(group) for group in _grouped(bad)), key=lambda gap: (-gap.asked, -gap.users, gap.topic, gap.questions)
    )


def judge(item: Exchange, *, again: bool = False) -> Reason | None:
    """Say what is wrong with an answer; None when nothing shows that it was bad.

    Args:
        item: the question, its answer, and what the user said next.
        again: the same user asked the same in other words.
    """
    if not item.answer.strip() or (len(item.answer) < 400 and _NO_ANSWER.search(item.answer)):  # noqa: PLR2004 - a long
        return "unanswered"  # answer may say somewhere in it what it does not cover
    if _OBJECTION.search(item.after):
        return "objected"
    if again:
        return "asked-again"
    words = telling(item.question)
    said = telling(item.answer)
    return "beside-the-point" if words and len(words & said) / len(words) < ON_TOPIC else None


def places(found: Sequence[Gap], sightings: Iterable[Sighting]) -> list[Place]:
    """Say for each gap whether the source has a page about it.

    A page is about a gap when its title and address hold most of the gap's words. The best match decides; of equal
    ones a page that is there before one that failed, and that before one that was skipped.

    Args:
        found: the gaps.
        sightings: read once, so that a million of them need not be held.
    """
    by_word: defaultdict[str, list[int]] = defaultdict(list)
    for number, gap in enumerate(found):
        for word in gap.words:
            by_word[word].append(number)
    best: list[tuple[float, int, str, Place] | None] = [None] * len(found)
    for sighting in sightings:
        place = _place(sighting)
        if place is None:
            continue
        hits = Counter(number for word in _said_by(sighting) for number in by_word.get(word, ()))
        for number, count in hits.items():
            share = count / len(found[number].words)
            if share >= ABOUT:
                rank = (share, _ORDER[place.standing], sighting.uri, place)
                best[number] = max(rank, best[number] or rank, key=lambda item: (item[0], item[1], item[2]))
    return [item[3] if item else Place() for item in best]


_ORDER: dict[Standing, int] = {"exists": 3, "failed": 2, "skipped": 1, "not-written": 0}


def telling(text: str) -> frozenset[str]:
    """Return the words of a text that it is about, without endings, as they are compared."""
    folded = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return frozenset(_stem(word) for word in _WORD.findall(folded) if word not in _FOLDED_SMALL and len(word) > 1)


_FOLDED_SMALL = frozenset(
    "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))
    for word in _SMALL.split()
)


def _stem(word: str) -> str:
    for end in ("ations", "ation", "ings", "ing", "ies", "es", "ed", "s", "e", "y"):
        if len(word) - len(end) >= 3 and word.endswith(end):  # noqa: PLR2004 - shorter is no word
            return word.removesuffix(end)
    return word


def _alike(one: frozenset[str], two: frozenset[str]) -> bool:
    return bool(one and two) and len(one & two) / len(one | two) >= SAME_QUESTION


def _key(item: Exchange) -> tuple[str, str, str]:
    return item.user_id, item.chat_id, item.question


def _asked_again(found: Sequence[Exchange]) -> set[tuple[str, str, str]]:
    """Return the questions that the same user put in other words: the first answer did not do."""
    by_user: defaultdict[str, list[tuple[Exchange, frozenset[str]]]] = defaultdict(list)
    again = set()
    for item in found:
        words = telling(item.question)
        for other, others in by_user[item.user_id][-200:]:
            if other.question.strip() != item.question.strip() and _alike(words, others):
                again |= {_key(item), _key(other)}
        by_user[item.user_id].append((item, words))
    return again


def _grouped(bad: Sequence[tuple[Exchange, Reason]]) -> list[list[tuple[Exchange, Reason]]]:
    groups: list[tuple[frozenset[str], list[tuple[Exchange, Reason]]]] = []
    by_word: defaultdict[str, set[int]] = defaultdict(set)
    for item, reason in sorted(bad, key=lambda pair: (len(telling(pair[0].question)), pair[0].question)):
        words = telling(item.question)
        near = sorted({number for word in words for number in by_word[word]})
        at = next((number for number in near if _alike(words, groups[number][0])), None)
        if at is None:
            at = len(groups)
            groups.append((words, []))
            for word in words:
                by_word[word].add(at)
        groups[at][1].append((item, reason))
    return [group for _, group in groups]


def _gap(group: Sequence[tuple[Exchange, Reason]]) -> Gap:
    wordings = Counter(" ".join(item.question.split()) for item, _ in group)
    shortest = min(wordings, key=lambda text: (len(telling(text)), len(text), text))
    reasons = {reason for _, reason in group}
    return Gap(
        topic=_topic(shortest),
        questions=tuple(sorted(wordings, key=lambda text: (-wordings[text], text))),
        asked=len(group),
        users=len({item.user_id for item, _ in group}),
        reason=next(reason for reason in _REASONS if reason in reasons),
        words=telling(shortest),
    )


def _topic(question: str) -> str:
    words = [word for word in _WORD.findall(question) if telling(word)]
    return " ".join(words)[:_LONGEST_TOPIC].strip() or question[:_LONGEST_TOPIC]


def _place(sighting: Sighting) -> Place | None:
    standings: dict[str, Standing] = {
        "fetched": "exists",
        "not_modified": "exists",
        "failed": "failed",
        "skipped": "skipped",
    }
    standing = standings.get(sighting.outcome)
    if standing is None or sighting.rule in {"redirect", "duplicate"}:
        return None
    rule = sighting.rule if standing != "exists" else ""
    return Place(standing=standing, uri=sighting.uri, title=sighting.title, rule=rule, source=sighting.source)


def _said_by(sighting: Sighting) -> frozenset[str]:
    path = unquote(urlsplit(sighting.uri).path)
    return telling(f"{sighting.title} {re.sub(r'[-_/.+]+', ' ', path)}")
