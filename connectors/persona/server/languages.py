"""Languages of pages and questions: the words that carry no meaning, and the few sentences the server says itself."""

# ruff: noqa: RUF001 - the punctuation of other languages is meant

from __future__ import annotations

from dataclasses import dataclass

from connectors.persona.server.text import words


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """What the server needs of one language.

    Attributes:
        stop: words that no question is about.
        quote: what stands before a quotation; has ``{title}``.
        more: what stands before further pages.
        source: the word before an address.
        nothing: the answer when no page has one.
        what: a question about a noun; ``how`` about an activity; ``about`` about anything; each has ``{topic}``.
    """

    stop: frozenset[str]
    quote: str
    more: str
    source: str
    nothing: str
    what: str
    how: str
    about: str


def _stop(text: str) -> frozenset[str]:
    return frozenset(text.split())


LANGUAGES = {
    "en": Language(
        stop=_stop(
            "a about an and any are as at be been but by can could did do does for from get had has have how i if in"
            " into is it its me my of on or our please should so some tell than that the their them then there these"
            " they this to us was we were what when where which who whose why will with would you your explain"
            " describe mean means need want know there's what's long much many often"
        ),
        quote="From “{title}”:",
        more="See also:",
        source="Source",
        nothing="The knowledge base has no answer to this question.",
        what="What is {topic}?",
        how="How does {topic} work?",
        about="What should I know about {topic}?",
    ),
    "de": Language(
        stop=_stop(
            "aber als am an auch auf aus bei bin bitte das dass dem den der des die diese dieser dieses dir du ein eine"
            " einem einen einer eines er erkläre es für gibt hat habe ich ihr ihre im in ist kann kannst können man"
            " mein meine mich mir mit muss nach nicht oder sich sie sind so über um und uns von vom vor war warum was"
            " welche welcher welches wenn wer werden wie wieso wird wo woher wohin wozu zu zum zur"
            " bedeutet lange viel viele oft"
        ),
        quote="Aus „{title}“:",
        more="Siehe auch:",
        source="Quelle",
        nothing="Die Wissensbasis enthält keine Antwort auf diese Frage.",
        what="Was ist {topic}?",
        how="Wie funktioniert {topic}?",
        about="Was sollte ich über {topic} wissen?",
    ),
    "fr": Language(
        stop=_stop(
            "a ai au aux avec c ce ces cette comment d dans de des du elle en est et être faire faut il ils j je l la"
            " le les leur ma me mes mon n ne nos notre nous on ou où par pas peut peux pour pourquoi qu quand que quel"
            " quelle quelles quels qui quoi s sa se ses son sont sur ta te tu un une vos votre vous y expliquer combien"
            " longtemps souvent"
        ),
        quote="Extrait de « {title} » :",
        more="Voir aussi :",
        source="Source",
        nothing="La base de connaissances ne contient pas de réponse à cette question.",
        what="Qu’est-ce que {topic} ?",
        how="Comment fonctionne {topic} ?",
        about="Que faut-il savoir sur {topic} ?",
    ),
    "es": Language(
        stop=_stop(
            "a al como con cómo cuál cuándo cuánto de del donde dónde el ella en es esta este está fue hay la las le lo"
            " los me mi mis no nos o para pero por porque puede puedo qué que quién se ser si sin sobre son su sus te"
            " tu un una uno y ya yo"
        ),
        quote="De «{title}»:",
        more="Véase también:",
        source="Fuente",
        nothing="La base de conocimientos no tiene respuesta a esta pregunta.",
        what="¿Qué es {topic}?",
        how="¿Cómo funciona {topic}?",
        about="¿Qué hay que saber sobre {topic}?",
    ),
    "it": Language(
        stop=_stop(
            "a ai al alla anche che chi ci come con cosa cos è da dal dalla de degli dei del della delle di dove e è ed"
            " gli ho i il in io la le lo ma mi mio ne nel nella non o per perché più può posso quale quali quando"
            " quanto se si sono su sul tu un una uno"
        ),
        quote="Da «{title}»:",
        more="Vedi anche:",
        source="Fonte",
        nothing="La base di conoscenza non contiene una risposta a questa domanda.",
        what="Che cos’è {topic}?",
        how="Come funziona {topic}?",
        about="Che cosa bisogna sapere su {topic}?",
    ),
    "pt": Language(
        stop=_stop(
            "a ao aos as com como da das de do dos e é ela ele em essa esse esta este eu foi há isso isto já mais mas"
            " me meu minha na nas no nos não o onde os ou para pela pelo pode por porque posso qual quais quando que"
            " quem se sem ser seu sua são te um uma você"
        ),
        quote="De “{title}”:",
        more="Veja também:",
        source="Fonte",
        nothing="A base de conhecimento não tem resposta para esta pergunta.",
        what="O que é {topic}?",
        how="Como funciona {topic}?",
        about="O que devo saber sobre {topic}?",
    ),
    "nl": Language(
        stop=_stop(
            "aan al als bij dan dat de die dit door een en er het hoe hij ik in is je kan kun met mijn naar niet of om"
            " onder ons ook op over te tot uit u van voor waar waarom wanneer wat we welke wie wij word worden wordt ze"
            " zijn zo"
        ),
        quote="Uit “{title}”:",
        more="Zie ook:",
        source="Bron",
        nothing="De kennisbank heeft geen antwoord op deze vraag.",
        what="Wat is {topic}?",
        how="Hoe werkt {topic}?",
        about="Wat moet ik weten over {topic}?",
    ),
    "pl": Language(
        stop=_stop(
            "a ale co czy czym dla do gdzie i ich ile jak jaka jaki jakie jako jest jestem jeśli kiedy kto który która"
            " które mam mi mnie może można na nie o od po przez się są ta tak te ten to w z za że"
        ),
        quote="Z „{title}”:",
        more="Zobacz też:",
        source="Źródło",
        nothing="Baza wiedzy nie zawiera odpowiedzi na to pytanie.",
        what="Co to jest {topic}?",
        how="Jak działa {topic}?",
        about="Co warto wiedzieć: {topic}?",
    ),
    "sv": Language(
        stop=_stop(
            "att av de den det du en ett för från har hur i inte jag kan man med min mitt när och om på som till vad"
            " var varför vem vi vilka vilken är"
        ),
        quote="Ur ”{title}”:",
        more="Se även:",
        source="Källa",
        nothing="Kunskapsbasen har inget svar på den här frågan.",
        what="Vad är {topic}?",
        how="Hur fungerar {topic}?",
        about="Vad bör jag veta om {topic}?",
    ),
    "ja": Language(
        stop=_stop("の は が を に で と も か へ や な だ て た し い す る ま 何 ？ こ そ れ ら さ せ ん"),
        quote="「{title}」より：",
        more="関連ページ：",
        source="出典",
        nothing="ナレッジベースには、この質問への答えがありません。",
        what="{topic}とは何ですか？",
        how="{topic}はどのように動作しますか？",
        about="{topic}について知っておくべきことは何ですか？",
    ),
    "zh": Language(
        stop=_stop("的 是 了 在 和 与 吗 呢 么 什 怎 如 何 我 你 他 有 个 这 那 为 请 ？ 哪 样"),
        quote="摘自《{title}》：",
        more="另请参阅：",
        source="来源",
        nothing="知识库中没有这个问题的答案。",
        what="什么是{topic}？",
        how="{topic}是如何工作的？",
        about="关于{topic}需要了解什么？",
    ),
}


def language(code: str) -> Language:
    """Return what is known of a language by its code (``de``, ``de-AT``); English when it is none of ours."""
    return LANGUAGES.get(code.replace("_", "-").partition("-")[0].lower(), LANGUAGES["en"])


def language_of(text: str, default: str = "en") -> str:
    """Guess the language of a question or passage by its small words; ``default`` when they do not say."""
    found = words(text[:4000])
    scores: dict[str, float] = {code: sum(word in lang.stop for word in found) for code, lang in LANGUAGES.items()}
    scores[default] = scores.get(default, 0) + 0.5
    return max(scores, key=lambda code: scores[code])
