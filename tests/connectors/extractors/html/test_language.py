"""The language of a text that declares none."""

import subprocess
import sys

import pytest

from connectors.extractors.html.language import detected, is_english

ENGLISH = (
    "The planner decides which of the indexes it uses by an estimate of their cost, and when that estimate is wrong you"
    " can look at the plan with EXPLAIN. These figures are collected by ANALYZE, which should have been run before."
)
OTHERS = {
    "de": "Der Planer entscheidet nach einer Schätzung der Kosten, welche der Indizes er benutzt, und wenn die"
    " Schätzung falsch ist, zeigt EXPLAIN den Plan. Die Zahlen sammelt ANALYZE.",
    "fr": "Le planificateur décide quels index il utilise d'après une estimation de leur coût, et quand l'estimation"
    " est fausse vous pouvez regarder le plan avec EXPLAIN. Ces chiffres sont collectés par ANALYZE.",
    "nl": "De planner beslist op grond van een schatting van de kosten welke indexen hij gebruikt, en als die"
    " schatting niet klopt, laat EXPLAIN het plan zien. De cijfers worden verzameld door ANALYZE.",
    "ja": "プランナはコストの見積もりによってどのインデックスを使うかを決めます。"
    "見積もりが間違っている場合は、EXPLAIN で計画を見ることができます。" * 4,
}


INDEX = "\n".join(f"[**{one}. The Use of {one}**](http://s.example/a/long/way/to/{one}.html)" for one in "VWXYZ")


@pytest.mark.parametrize("text", [ENGLISH, INDEX])
def test_english_is_known_without_loading_a_model(text):
    program = (
        "import sys\nfrom connectors.extractors.html.language import detected\n"
        f"print(detected({text!r}), 'py3langid' in sys.modules, 'numpy' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["en", "False", "False"]


@pytest.mark.parametrize("language", OTHERS)
def test_another_language_is_told_by_the_model_also_where_it_names_english_things(language):
    assert detected(OTHERS[language] * 2) == language
    assert not is_english(f"{OTHERS[language]} the of and that" * 3)


def test_code_and_short_texts_are_no_english_beyond_doubt():
    assert not is_english("SELECT a, b FROM t WHERE a IS NOT NULL ORDER BY b;\n" * 10)
    assert detected("the of and that") == ""
