"""The language of a text that declares none."""

# ruff: noqa: RUF001 - Turkish has an i without a dot

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

MORE = {
    "es": "El planificador decide con una estimación del coste qué índices va a usar, y cuando esa estimación está"
    " equivocada puede verse el plan con EXPLAIN. Estas cifras las recoge ANALYZE for all tables.",
    "it": "Il pianificatore decide quali indici usare in base a una stima del costo, e quando la stima è sbagliata si"
    " guarda il piano con EXPLAIN. Queste cifre sono raccolte da ANALYZE, as an option to VACUUM.",
    "pt": "O planejador decide quais índices usar com base em uma estimativa do custo, e quando a estimativa está"
    " errada você pode ver o plano com EXPLAIN. Esses números são coletados por ANALYZE, as or not as.",
    "sv": "Planeraren avgör efter en uppskattning av kostnaden vilka index den ska använda, och när uppskattningen är"
    " fel kan man se planen med EXPLAIN. Siffrorna samlas in av ANALYZE för hela databasen.",
    "da": "Planlæggeren afgør efter et skøn over omkostningerne, hvilke indekser den bruger, og når skønnet er forkert,"
    " kan man se planen med EXPLAIN. Tallene bliver samlet af ANALYZE for hele databasen.",
    "pl": "Planista decyduje na podstawie oszacowania kosztu, których indeksów użyje, a gdy to oszacowanie jest błędne,"
    " można obejrzeć plan poleceniem EXPLAIN. Te liczby zbiera ANALYZE, to jest polecenie.",
    "cs": "Plánovač rozhoduje podle odhadu nákladů, které indexy použije, a pokud je ten odhad chybný, je možné"
    " prohlédnout si plán příkazem EXPLAIN. Tato čísla sbírá ANALYZE, a to pro celou databázi.",
    "fi": "Suunnittelija päättää kustannusarvion perusteella mitä indeksejä se käyttää, ja jos arvio on väärä, voit"
    " katsoa suunnitelmaa komennolla EXPLAIN. Nämä luvut kerää ANALYZE, ja se on ajettava ensin.",
    "tr": "Planlayıcı hangi dizinleri kullanacağına maliyet tahminine göre karar verir ve tahmin yanlış olduğunda"
    " EXPLAIN ile plana bakabilirsiniz. Bu sayılar ANALYZE tarafından bütün tablolar için toplanır.",
    "id": "Perencana memutuskan indeks mana yang dipakai menurut perkiraan biaya, dan bila perkiraan itu salah Anda"
    " dapat melihat rencananya dengan EXPLAIN. Angka ini dikumpulkan oleh ANALYZE untuk semua tabel.",
}
NAMES = "# Hierarchy For Package javax.pump\n\n## Class Hierarchy\n\n" + "\n".join(
    f"- javax.pump.[{one}](http://s.example/{one}.html) (implements java.io.[Serializable](http://s.example/S.html))"
    for one in ("Valve", "ValveEvent", "Priming")
)
CLASS = (
    "Module [java.pump](http://s.example/m.html)\n\n# Class Valve\n\n```java\nfor (Valve one : all) one.open();\n```\n"
    "\nPluggable look and feel for `Valve`.\n\n## Constructors\n\n[`Valve`](http://s.example/V.html) Constructor for a"
    " valve as it leaves the shop.\n\n" + NAMES
)

INDEX = "\n".join(f"[**{one}. The Use of {one}**](http://s.example/a/long/way/to/{one}.html)" for one in "VWXYZ")


@pytest.mark.parametrize("text", [ENGLISH, INDEX, CLASS])
def test_english_is_known_without_loading_a_model(text):
    assert _told(text) == ["'en'", "False", "False"]


def _told(text):
    program = (
        "import sys\nfrom connectors.extractors.html.language import detected\n"
        f"print(repr(detected({text!r})), 'py3langid' in sys.modules, 'numpy' in sys.modules)"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


def test_a_page_of_names_is_in_no_language_and_loads_no_model():
    told = _told(NAMES)
    assert told == ["''", "False", "False"]


@pytest.mark.parametrize("language", MORE)
def test_a_language_that_shares_words_with_english_is_not_taken_for_it(language):
    assert detected(MORE[language] * 2) == language


@pytest.mark.parametrize("language", OTHERS)
def test_another_language_is_told_by_the_model_also_where_it_names_english_things(language):
    assert detected(OTHERS[language] * 2) == language
    assert not is_english(f"{OTHERS[language]} the of and that" * 3)


def test_code_and_short_texts_are_no_english_beyond_doubt():
    assert not is_english("SELECT a, b FROM t WHERE a IS NOT NULL ORDER BY b;\n" * 10)
    assert detected("the of and that") == ""
