"""The text of code blocks: the short way and the long way say the same."""

import pytest
from selectolax.lexbor import LexborHTMLParser

from connectors.extractors.html.code import language, text_of
from connectors.extractors.html.kinds import DROP


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a\n\n  b\n\n", "a\n\n  b"),
        ("<b>a</b> &lt;<i class=k>b</i>\n<!-- c -->d\n", "a <b\nd"),
        ("a<br>b<span>c</span>", "a\nbc"),
        ("<div>a</div><div>b</div>", "a\nb\n".rstrip()),
        ("<button>Copy</button>a<span><svg><title>x</title></svg>b</span>", "ab"),
        ("", ""),
    ],
)
def test_the_text_is_as_written_less_what_is_no_code(html, text):
    assert text_of(LexborHTMLParser(f"<pre>{html}</pre>").css_first("pre"), {}) == text


def test_what_is_left_out_of_the_page_is_left_out_of_code():
    pre = LexborHTMLParser("<pre><i>1</i>a\n<i>2</i>b</pre>").css_first("pre")
    assert text_of(pre, {node.mem_id: DROP for node in pre.css("i")}) == "a\nb"
    assert text_of(pre, {node.mem_id: "note" for node in pre.css("i")}) == "1a\n2b"


@pytest.mark.parametrize(
    ("html", "name"),
    [
        ("<pre><code class='hljs rust'>x</code></pre>", "rust"),
        ("<pre class='c'>x</pre>", "c"),
        ("<div class='c'><pre>x</pre></div>", ""),
        (
            "<div class='highlight-python3 notranslate'><div class=highlight><pre><span></span>x</pre></div></div>",
            "python",
        ),
        ("<pre data-lang=Go class=language-x>x</pre>", "go"),
        ("<section class=language-x><pre>x</pre></section>", ""),
    ],
)
def test_the_language_is_what_the_block_or_what_holds_it_names(html, name):
    assert language(LexborHTMLParser(html).css_first("pre")) == name
