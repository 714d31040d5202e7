# ruff: noqa: E501, ISC004 - pages are read by their lines
from __future__ import annotations

import pytest

from connectors.models import CleaningRules

CODE = "def f():\n\n    return `1`  # *not* emphasis\n\n\n\tend"


@pytest.mark.parametrize(
    ("html", "language"),
    [
        ("<pre>{}</pre>", ""),
        ("<pre><code>{}</code></pre>", ""),
        ('<pre><code class="language-python">{}</code></pre>', "python"),
        ('<div class="highlight-python3 notranslate"><div class="highlight"><pre>{}</pre></div></div>', "python"),
        ('<div class="language-js vp-adaptive-theme"><button class="copy"></button><span class="lang">js</span><pre>{}</pre></div>', "js"),
        ('<pre class="brush: bash">{}</pre>', "bash"),
        ('<pre class="rust rust-example-rendered"><code>{}</code></pre>', "rust"),
        ('<div class="highlight-default"><pre>{}</pre></div>', ""),
    ],
)  # fmt: skip
def test_code_stands_byte_for_byte_in_a_fence_with_its_language(markdown, html, language):
    assert f"```{language}\n{CODE}\n```" in markdown("<p>Text before.</p>" + html.format(CODE))


def test_a_fence_is_longer_than_any_run_of_backticks_in_the_code(markdown):
    assert "````\na\n```\nb\n````" in markdown("<pre>a\n```\nb</pre>")


def test_line_anchors_line_numbers_and_buttons_are_no_code(markdown):
    lines = '<pre><a href="#l1" id="l1"></a><span class="linenos">1</span>a = 1\n\n<span class="linenos">2</span>b = 2<button>Copy</button></pre>'
    assert "```\na = 1\n\nb = 2\n```" in markdown(lines)


def test_lines_that_are_elements_stay_lines(markdown):
    block = '<pre><code><span class="token-line">a<br></span><span class="token-line"><br></span><span class="token-line">b<br></span></code></pre>'
    assert "```\na\n\nb\n```" in markdown(block)
    divs = '<pre data-language="sh"><code><div class="ec-line"><div class="code">a</div></div><div class="ec-line"><div class="code">b</div></div></code></pre>'
    assert "```sh\na\nb\n```" in markdown(divs)


def test_code_beside_a_column_of_line_numbers_is_one_block(markdown):
    table = '<table class="highlighttable"><tr><td class="linenos"><pre>1\n2</pre></td><td class="code"><pre>a\nb</pre></td></tr></table>'
    found = markdown(table)
    assert "```\na\nb\n```" in found
    assert "1\n2" not in found


def test_code_in_a_list_item_is_indented_under_it(markdown):
    assert "- Run:\n\n  ```\n  a\n\n    b\n  ```" in markdown("<ul><li><p>Run:</p><pre>a\n\n  b</pre></li></ul>")


def test_code_in_a_definition_stands_alone(markdown):
    found = markdown("<dl><dt>run()</dt><dd><p>Runs.</p><pre>a\n\n  b</pre></dd></dl>")
    assert "**run()**\n\nRuns.\n\n```\na\n\n  b\n```" in found


def test_zero_width_spaces_stay_in_code_and_leave_text(markdown):
    found = markdown("<p>long&#8203;word</p><pre>--&#8203;--</pre>")
    assert "longword" in found
    assert "--\u200b--" in found


def test_headings_keep_their_levels_and_lose_their_permalinks(markdown):
    found = markdown(
        '<h1>T<a class="headerlink" href="#t">¶</a></h1><p>x</p><h2><a href="#a" aria-label="Link">#</a> A <code>b</code></h2><p>x</p>'
        '<h4>D<a class="anchor" aria-hidden="true" href="#d">link</a></h4><p>x</p>'
    )
    assert "# T\n" in found
    assert "## A `b`\n" in found
    assert "#### D\n" in found


def test_an_element_with_the_role_of_a_heading_is_one(markdown):
    assert "### Deep\n" in markdown('<div role="heading" aria-level="3">Deep</div><p>x</p>')


def test_lists_nest_and_count_on(markdown):
    found = markdown('<ol start="3"><li>a<ul><li>b</li><li>c<ol><li>d</li></ol></li></ul></li><li>e</li></ol>')
    assert found == "3. a\n   - b\n   - c\n     1. d\n4. e"


def test_every_cell_stands_in_its_row_and_spans_are_filled(markdown):
    found = markdown(
        "<table><caption>Cap</caption><tr><th>A</th><th>B</th></tr><tr><td rowspan=2>x</td><td>1<br>2</td></tr>"
        "<tr><td>a|b<ul><li>p</li><li>q</li></ul></td></tr><tr><td colspan=2>wide</td></tr></table>"
    )
    assert found.startswith("Cap\n\n| A | B |\n| --- | --- |\n| x | 1 2 |\n| x | a\\|b • p • q |\n| wide |")


def test_a_table_without_headings_gets_an_empty_head(markdown):
    assert "| | |\n| --- | --- |\n| 1 | 2 |" in markdown("<table><tr><td>1</td><td>2</td></tr></table>")


def test_a_table_that_only_lays_out_is_written_as_text(markdown):
    found = markdown("<table><tr><td><h2>Left</h2><p>text</p></td><td><pre>a\nb</pre></td></tr></table>")
    assert "|" not in found
    assert "## Left\n\ntext\n\n```\na\nb\n```" in found


def test_definitions_stand_under_their_terms(markdown):
    assert (
        markdown("<dl><dt>a</dt><dt>b</dt><dd>one</dd><dt>c</dt><dd>two</dd></dl>")
        == "**a**\n**b**\n: one\n\n**c**\n: two"
    )


def test_admonitions_are_labelled(markdown):
    box = '<div class="admonition warning"><p class="admonition-title">Warning</p><p>Hot.</p></div>'
    assert markdown(box) == "> **Warning**\n>\n> Hot."
    assert "> **Note**\n>\n> Mind it." in markdown('<div class="note"><p>Mind it.</p></div>')


def test_code_in_an_admonition_is_not_quoted(markdown):
    box = '<div class="admonition tip"><p class="admonition-title">Tip</p><pre>a\nb</pre></div>'
    assert markdown(box) == "**Tip**\n\n```\na\nb\n```"


def test_folded_details_are_all_there(markdown):
    assert markdown("<details><summary>More</summary><p>Inside.</p></details>") == "**More**\n\nInside."


TABS = [
    '<div class="tabbed-set"><input type="radio"><input type="radio"><div class="tabbed-labels"><label>npm</label><label>yarn</label></div>'
    '<div class="tabbed-content"><div class="tabbed-block"><p>one</p></div><div class="tabbed-block"><p>two</p></div></div></div>',
    '<div class="tabs-container"><ul role="tablist"><li role="tab">npm</li><li role="tab">yarn</li></ul>'
    '<div><div role="tabpanel"><p>one</p></div><div role="tabpanel" hidden><p>two</p></div></div></div>',
    '<div class="vp-code-group"><div class="tabs"><input><label>npm</label><input><label>yarn</label></div>'
    '<div class="blocks"><div class="active"><p>one</p></div><div><p>two</p></div></div></div>',
    '<div class="sd-tab-set"><input><label>npm</label><div class="sd-tab-content"><p>one</p></div><input><label>yarn</label>'
    '<div class="sd-tab-content"><p>two</p></div></div>',
    '<starlight-tabs><ul role="tablist"><li><a role="tab">npm</a></li><li><a role="tab">yarn</a></li></ul>'
    '<div role="tabpanel"><p>one</p></div><div role="tabpanel" hidden><p>two</p></div></starlight-tabs>',
]  # fmt: skip


@pytest.mark.parametrize("html", TABS)
def test_every_tab_is_there_under_its_label(markdown, html):
    assert markdown(f"<p>Install:</p>{html}") == "Install:\n\n**npm**\n\none\n\n**yarn**\n\ntwo"


def test_tabs_in_a_tab_come_once(markdown):
    inner = TABS[0].replace("npm", "rpm").replace("yarn", "deb")
    outer = TABS[0].replace("<p>two</p>", inner)
    assert markdown(outer) == "**npm**\n\none\n\n**yarn**\n\n**rpm**\n\none\n\n**deb**\n\ntwo"


def test_tasks_say_whether_they_are_done(markdown):
    found = markdown(
        '<ul><li><input type="checkbox" checked disabled> a</li><li class=task-list-item><label><input type=checkbox></label> b</li></ul>'
    )
    assert found == "- [x] a\n- [ ] b"


@pytest.mark.parametrize("name", ["footnotes", "footnote"])
def test_footnotes_are_footnotes(markdown, name):
    found = markdown(
        '<p>Text<sup id="r1"><a class="footnote-ref" href="#fn:1">1</a></sup>.</p>'
        f'<div class="{name}"><ol><li id="fn:1"><p>Note. <a class="footnote-backref" href="#r1">↩</a></p></li></ol></div>'
    )
    assert "Text[^1]." in found
    assert found.endswith("\n\n[^1]: Note.")


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<math><semantics><mi>x</mi><annotation encoding="application/x-tex">x^2</annotation></semantics></math>', "$x^2$"),
        ('<math display="block" alttext="\\frac{a}{b}"><mi>x</mi></math>', "$$\\frac{a}{b}$$"),
        ("<p>So <math><mfrac><mi>a</mi><mrow><mi>b</mi><mo>+</mo><mn>1</mn></mrow></mfrac></math></p>", "So a/(b + 1)"),
        ('<p>So <span class="math notranslate">\\(a_1*b_2*c\\)</span></p>', "So $a_1*b_2*c$"),
        ('<span class="katex"><span class="katex-mathml"><math><annotation encoding="application/x-tex">k</annotation></math></span>'
         '<span class="katex-html" aria-hidden="true">k</span></span>', "$k$"),
        ('<p>So</p><script type="math/tex; mode=display">E=mc^2</script>', "So\n\n$$E=mc^2$$"),
        ("<p>10<sup>6</sup></p>", "10^6"),
    ],
)  # fmt: skip
def test_formulas_keep_their_meaning(markdown, html, expected):
    assert markdown(html) == expected


def test_images_speak_by_alt_text_and_caption(markdown):
    found = markdown(
        '<figure><img src="../a.png" alt="A chart"><figcaption>Fig. 1</figcaption></figure><img src="x.png" alt=""><img src="y.png" alt="logo">'
    )
    assert found == "![A chart](http://site.example/a.png)\n\nFig. 1"


def test_links_are_absolute_and_those_that_lead_nowhere_are_text(markdown):
    found = markdown(
        '<p><a href="b.html#x">b</a> <code><a href="/c">c</a></code> after <a href="javascript:go()">d</a> <a href="#y">e</a> <a href="w_(x)">w</a></p>'
    )
    assert found == (
        "[b](http://site.example/docs/b.html#x) [`c`](http://site.example/c) after d "
        "[e](http://site.example/docs/page.html#y) [w](http://site.example/docs/w_(x))"
    )


def test_text_is_escaped_only_where_markdown_would_take_it_for_markup(markdown):
    assert markdown("<p>snake_case 2 * 3 [a] foo</p>") == "snake_case 2 * 3 [a] foo"
    assert markdown("<p>*args, **kwargs* use &lt;b&gt; 1. x</p>") == "*args, \\*\\*kwargs\\* use \\<b> 1. x"
    assert markdown("<p># no heading</p><p>1. no item</p>") == "\\# no heading\n\n1\\. no item"


def test_white_space_stands_outside_of_markers(markdown):
    assert markdown("<p>a<b> b </b>c <em>d</em><em>e</em></p>") == "a **b** c *de*"


@pytest.mark.parametrize(
    "hidden",
    ["<p hidden>no</p>", '<p style="display:none">no</p>', '<p style="font-size:0">no</p>', '<p style="position:absolute;left:-9999px">no</p>',
     '<span class="visually-hidden">no</span>', "<template>no</template>", '<p style="visibility: hidden">no</p>', "<p>\U000e006e\U000e006f</p>"],
)  # fmt: skip
def test_what_a_reader_cannot_see_is_left_out(markdown, hidden):
    assert markdown(f"<p>yes</p>{hidden}") == "yes"


def test_a_page_that_scripts_reveal_is_not_hidden(markdown):
    text = "<p>" + "Words that scripts reveal after the page has come. " * 30 + "</p>"
    assert "Words that scripts reveal" in markdown(f'<div style="display:none">{text}</div>')


def test_right_to_left_and_cjk_text_come_through(markdown):
    assert markdown("<p dir=rtl>שלום עולם</p><p>你好世界</p>") == "שלום עולם\n\n你好世界"


def test_two_line_breaks_part_paragraphs(markdown):
    assert markdown("a<br>b<br><br>c") == "a  \nb\n\nc"


def test_styles_nest_and_a_term_is_bold_once(markdown):
    assert markdown("<p><b>a <i>b</i> c</b></p>") == "**a *b* c**"
    assert markdown("<dl><dt>run(<em>coro</em>, <em>*</em>, <em>debug=None</em>)</dt><dd>x</dd></dl>").startswith(
        "**run(coro, *, debug=None)**"
    )


def test_a_heading_that_links_back_to_the_contents_keeps_its_words(markdown):
    assert "## [Run it](http://site.example/docs/page.html#id1)" in markdown(
        '<h2><a class="toc-backref" href="#id1" role="doc-backlink">Run it</a></h2><p>x</p>'
    )


def test_a_list_in_a_definition_keeps_its_items(markdown):
    assert markdown("<dl><dt>See</dt><dd><ul><li>a</li></ul></dd></dl>") == "**See**\n\n- a"


def test_a_heading_over_the_whole_table_is_said_once(markdown):
    found = markdown("<table><tr><th colspan=3>Part</th></tr><tr><th>x</th><td>1</td><td>2</td></tr></table>")
    assert found.count("Part") == 1


def test_a_folded_part_whose_handle_is_dropped_keeps_what_is_in_it(markdown):
    rules = CleaningRules(remove=("summary.handle",))
    assert markdown("<details><summary class=handle>Expand</summary><p>Inside.</p></details>", rules=rules) == "Inside."


def test_links_that_other_programs_follow_stay_links(markdown):
    found = markdown('<p><a href="ftp://f.example/a b.gz">f</a> <a href="news:comp.lang">n</a></p>')
    assert found == "[f](ftp://f.example/a%20b.gz) [n](news:comp.lang)"


def test_a_dot_that_parted_the_text_from_a_button_goes_with_it(markdown):
    assert markdown("<p>1.9.0 · <button>Source</button></p><p>a · b</p>") == "1.9.0\n\na · b"


def test_code_in_a_table_with_a_head_stays_in_its_cell(markdown):
    found = markdown(
        "<table><tr><th>Call</th><th>Gives</th></tr><tr><td><pre>a|b\n\n  c</pre></td><td>1</td></tr><tr><td>d</td><td><code>2</code></td></tr></table>"
    )
    assert found == "| Call | Gives |\n| --- | --- |\n| `a\\|b`<br><br>`  c` | 1 |\n| d | `2` |"


def test_a_footnote_of_docbook_goes_by_its_number(markdown):
    found = markdown(
        '<p>Text<a href="#ftn.idm3" class="footnote" id="idm3"><sup class="footnote">[82]</sup></a>.</p>'
        '<div class="footnotes"><div id="ftn.idm3" class="footnote"><p><a href="#idm3" class="para"><sup class="para">[82] </sup></a>Note.</p></div></div>'
    )
    assert found == "Text[^82].\n\n[^82]: Note."


def test_a_box_of_asciidoc_is_a_quotation_with_its_label_and_as_text_where_it_holds_code(markdown):
    box = '<div class="admonitionblock note"><table><tr><td class="icon"><div class="title">Note</div></td><td class="content">{}</td></tr></table></div>'
    assert markdown(box.format("Mind <b>it</b>.")) == "> **Note**\n>\n> Mind **it**."
    assert markdown(box.format("<p>Run:</p><pre>a\nb</pre>")) == "**Note**\n\nRun:\n\n```\na\nb\n```"
    icon = '<div class="admonitionblock tip"><table><tr><td class="icon"><i class="fa icon-tip"></i></td><td class="content"><div class="title">So</div>Do.</td></tr></table></div>'
    assert markdown(icon) == "> **Tip**\n>\n> So\n>\n> Do."


def test_a_link_to_the_source_beside_a_heading_is_no_part_of_it(markdown):
    assert markdown('<h2>Declare <a href="https://x.example/a.h#L4">[src]</a></h2><p>It.</p>') == "## Declare\n\nIt."
    assert markdown('<h2><a href="https://x.example/">src</a></h2><p>It.</p>') == "## [src](https://x.example/)\n\nIt."
    term = markdown('<dl><dt>run() <a href="https://x.example/a.py">[source]</a></dt><dd>Runs.</dd></dl>')
    assert "(https://x.example/a.py)" in term


def test_a_footnote_in_a_table_goes_by_its_label(markdown):
    found = markdown(
        '<p>Text <a class="footnote-reference" href="#alt" id="id1">[1]</a>.</p><table class="docutils footnote" id="alt"><colgroup><col class="label"><col></colgroup>'
        '<tbody><tr><td class="label"><a class="fn-backref" href="#id1">[1]</a></td><td>Note.</td></tr></tbody></table>'
    )
    assert found == "Text [^1].\n\n[^1]: Note."


def test_an_item_that_stands_in_no_list_has_its_bullet(markdown):
    assert (
        markdown("<p>Kinds:</p><li>one<li>two <b>more</b></li><p>After.</p>")
        == "Kinds:\n\n- one\n\n- two **more**\n\nAfter."
    )


def test_panels_that_name_no_handle_go_by_their_place_and_are_all_kept(markdown):
    handles = '<div role="tablist"><button role="tab" id="a">npm</button><button role="tab" id="b">yarn</button></div>'
    panels = '<div role="tabpanel"><p>one</p></div><div role="tabpanel" hidden style="display:none"><p>two</p></div>'
    assert markdown(f"<div>{handles}<div>{panels}</div></div>") == "**npm**\n\none\n\n**yarn**\n\ntwo"


def test_buttons_over_a_block_of_code_make_no_empty_line_in_it(markdown):
    assert markdown("<pre><div><button>Copy</button></div><code>x = 1</code></pre>") == "```\nx = 1\n```"


def test_handles_without_names_are_left_out_where_the_panels_bear_them(markdown):
    one = '<div role="tablist"><b role="tab">npm</b></div><div role="tabpanel"><p>one</p></div>'
    assert markdown(f"<div>{one}</div>") == "**npm**\n\none"
