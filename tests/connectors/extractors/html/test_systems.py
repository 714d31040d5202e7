# ruff: noqa: E501 - pages are read by their lines
"""Small pages in the markup of each help centre, wiki, forum and generator: what is kept, what is left out."""

from __future__ import annotations

import pytest

NAV = "<nav><ul>" + "".join(f'<li><a href="/p{n}">Chrome entry {n}</a></li>' for n in range(30)) + "</ul></nav>"
TEXT = "<p>First sentence of the answer, long enough to be read.</p><h2>Next step</h2><ol><li>Open it</li></ol><p>Last sentence of the answer.</p>"
KEPT = "First sentence of the answer, long enough to be read.\n\n## Next step\n\n1. Open it\n\nLast sentence of the answer."

PAGES = {
    "erl-docgen": f"""<link rel="stylesheet" href="../../doc/otp_doc.css"><div id="container"><div id="leftnav">{NAV}</div><div id="content"><div class="innertube"><h1>T</h1>
        {TEXT.replace("Next step", '<div class="title-name">Next step</div><div class="title-anchors"><span class="ghlink-after"><a href="#x" title="chrome"><span></span></a></span></div>')}
        <div class="footer">chrome</div></div></div></div>""",
    "confluence": f"""<meta name="ajs-page-id" content="1"><div id="navigation">{NAV}</div><h1 id="title-text"><a href="/x">T</a></h1>
        <div id="main-content" class="wiki-content"><div class="toc-macro">chrome</div>{TEXT}</div>
        <div id="likes-and-labels-container">chrome</div>""",
    "zendesk": f"""<link rel="stylesheet" href="//static.zdassets.com/hc/assets/application-1.css"><header class="header">{NAV}</header><main>
        <div class="article-container" id="article-container"><aside class="article-sidebar">chrome</aside>
        <article id="main-content" class="article"><header class="article-header"><h1 class="article-title">T</h1>
        <div class="article-author">chrome</div></header><section class="article-info"><div class="article-content"><div class="article-body">{TEXT}</div></div></section>
        <footer><div class="article-footer"><div class="article-share">chrome</div></div><div class="article-votes">chrome?</div>
        <div class="article-more-questions">chrome</div><div class="article-return-to-top">chrome</div></footer>
        <div class="article-relatives">chrome</div></article></div></main>""",
    "freshdesk": f"""<section class="main content fc-article-show" id="article-show-1"><div class="breadcrumb">chrome</div><h2 class="heading">T</h2>
        <p>Modified on: chrome</p><hr><article class="article-body" id="article-body" rel="image-enlarge">{TEXT}</article></section>
        <section id="article-votes">chrome</section><section id="related-articles">chrome</section>
        <link href="https://assets.freshdesk.com/a.css">""",
    "intercom": f"""<main><div class="breadcrumb">chrome</div><article dir="ltr"><div class="article intercom-force-break">{TEXT}</div></article>
        <div class="intercom-reaction-picker">chrome</div><section class="related_articles">chrome</section></main>""",
    "helpscout": f"""<div id="docsSearch">chrome</div><section id="main-content"><article id="fullArticle"><h1 class="title">T</h1><a class="printArticle">chrome</a>{TEXT}</article>
        <section class="articleFoot">chrome</section></section><aside id="sidebar">{NAV}</aside>""",
    "notion": f"""<article id="1" class="page sans"><header><div class="page-header-icon">chrome</div><h1 class="page-title">T</h1></header>
        <div class="page-body"><nav class="block-color-gray table_of_contents">chrome</nav>{TEXT}</div></article>""",
    "gitbook": f"""<meta name="generator" content="GitBook (8f2a)"><aside>{NAV}</aside><main><header><h1>T</h1></header>{TEXT}<button>chrome</button></main>""",
    "readme": f"""<main id="ssr-main">{NAV}<div id="content"><article class="rm-Article"><header id="content-head"><h1>T</h1></header>
        <section class="content-body"><div class="rm-Markdown markdown-body">{TEXT}</div></section>
        <footer class="rm-Pagination">chrome</footer></article></div></main>""",
    "mintlify": f"""<meta name="generator" content="Mintlify"><div id="sidebar">{NAV}</div><div id="content-area"><header id="header"><h1 id="page-title">T</h1></header>
        <div class="mdx-content prose">{TEXT}</div><div class="feedback-toolbar">chrome</div><div id="pagination">chrome</div></div>""",
    "nextra": f"""<aside class="nextra-sidebar-container">{NAV}</aside><article class="nextra-body"><main><div class="nextra-breadcrumb">chrome</div><h1>T</h1>{TEXT}
        <footer>chrome</footer></main></article>""",
    "starlight": f"""<meta name="generator" content="Starlight v0.3"><header>{NAV}</header><main data-pagefind-body><h1 id="_top">T</h1>
        <div class="sl-markdown-content">{TEXT}</div><footer>chrome</footer></main>""",
    "vuepress": f"""<div class="theme-container">{NAV}<main class="page"><div class="theme-default-content"><h1>T<a class="header-anchor" href="#t">#</a></h1>{TEXT}</div>
        <footer class="page-meta">chrome</footer><nav class="page-nav">chrome</nav></main></div>""",
    "antora": f"""<meta name="generator" content="Antora 3"><div class="nav-container">{NAV}</div><main class="article"><div class="toolbar">chrome</div>
        <article class="doc"><h1 class="page">T</h1>{TEXT}<nav class="pagination">chrome</nav></article></main>""",
    "typedoc": f"""<meta name="generator" content="typedoc 0.28"><div class="container-main"><div class="col-content"><div class="tsd-page-title"><ul class="tsd-breadcrumb"><li>chrome</li></ul>
        <h1>T</h1></div><section class="tsd-panel tsd-comment">{TEXT.replace("Next step</h2>", 'Next step<a href="#n" aria-label="Permalink" class="tsd-anchor-icon"></a></h2>')}</section>
        <aside class="tsd-sources"><ul><li>Defined in chrome.ts:1</li></ul></aside></div><div class="col-sidebar">{NAV}</div></div>""",
    "hugo-docs": f"""<div class="td-main"><aside class="td-sidebar">{NAV}</aside><main><div class="td-content"><h1>T</h1><header class="article-meta">chrome</header>{TEXT}
        <div class="td-page-meta">chrome</div></div></main></div>""",
    "mediawiki": f"""<meta name="generator" content="MediaWiki 1.43"><body class="mediawiki"><h1 id="firstHeading">T</h1><div id="mw-content-text"><div class="mw-parser-output">
        <div id="toc" class="toc">chrome</div><div class="shortdescription">chrome</div>
        {TEXT.replace("<h2>Next step</h2>", '<div class="mw-heading mw-heading2"><h2 id="N">Next step</h2><span class="mw-editsection">[<a href="/e">chrome</a>]</span></div>')}
        <table class="navbox"><tr><td>chrome</td></tr></table></div></div><div id="catlinks" class="catlinks">chrome</div>""",
    "discourse": f"""<meta name="generator" content="Discourse 3.4"><div id="main-outlet"><div id="topic-title"><h1>T</h1></div>
        <div class="topic-body crawler-post"><div class="crawler-post-meta">chrome</div><div class="post" itemprop="text">{TEXT}</div>
        <div class="crawler-linkback-list">chrome</div></div></div>""",
    "stackexchange": f"""<header>{NAV}</header><div id="question" class="question"><div class="post-layout"><div class="js-vote-count">17</div>
        <div class="s-prose js-post-body" itemprop="text">{TEXT}</div><div class="post-signature">chrome</div></div></div><div class="js-post-menu">chrome</div>""",
}


@pytest.mark.parametrize("name", PAGES)
def test_a_systems_page_gives_its_content_and_nothing_around_it(extract, name):
    found = extract(f"<!doctype html><html><head><title>T</title></head>{PAGES[name]}")
    page = found.pages[0]
    assert page.metadata["strategy"] == f"system:{name}"
    assert page.content.removeprefix("# T\n\n") == KEPT
    assert page.title == "T"


@pytest.mark.parametrize(
    "widget",
    [
        '<script src="https://static.zdassets.com/ekr/snippet.js?key=1"></script>',
        '<script src="https://beacon-v2.helpscout.net/"></script>',
        '<link rel="preconnect" href="https://widget.intercom.io">',
    ],
)
def test_a_chat_in_the_corner_makes_no_help_centre(extract, widget):
    found = extract(f"<!doctype html><title>T</title>{widget}<main><h1>T</h1>{TEXT * 4}</main>")
    assert not found.pages[0].metadata["strategy"].startswith("system:")


def test_all_posts_of_a_topic_come_in_order(extract):
    posts = "".join(
        f'<div class="topic-body crawler-post"><div class="post" itemprop="text"><p>Post number {n} says something.</p></div></div>'
        for n in range(3)
    )
    found = extract(f'<meta name="generator" content="Discourse 3"><div id="main-outlet">{posts}</div>')
    assert found.pages[0].content == "\n\n".join(f"Post number {n} says something." for n in range(3))


def test_references_of_a_wiki_are_footnotes(extract):
    body = """<body class="mediawiki"><div id="mw-content-text"><div class="mw-parser-output">
        <p>A claim that wants a source.<sup id="cite_ref-1" class="reference"><a href="#cite_note-1">[1]</a></sup> More text follows here.</p>
        <div class="mw-references-wrap"><ol class="references"><li id="cite_note-1"><span class="mw-cite-backlink"><b><a href="#cite_ref-1">^</a></b></span>
        <span class="reference-text">A <a href="http://b.example/">book</a>.</span></li></ol></div></div></div>"""
    content = extract(body).pages[0].content
    assert "source.[^1] More" in content
    assert content.endswith("\n\n[^1]: A [book](http://b.example/).")


def test_code_says_its_language_in_every_systems_way(extract):
    blocks = {
        "java": '<div class="code panel"><div class="codeContent"><pre class="syntaxhighlighter-pre" data-syntaxhighlighter-params="brush: java; gutter: false">x</pre></div></div>',
        "bash": '<pre><code language="bash">x</code></pre>',
        "js": '<div class="CodeTabs-inner"><pre><button class="rdmd-code-copy">Copy</button><code class="rdmd-code lang-js">x</code></pre></div>',
        "python": '<pre class="code"><code class="language-Python">x</code></pre>',
    }
    content = (
        extract(f"<title>T</title><main><p>Text before the code.</p>{''.join(blocks.values())}</main>").pages[0].content
    )
    for name in blocks:
        assert f"```{name}\nx\n```" in content


def test_tabs_and_panels_that_stand_apart_are_joined_by_their_names(extract):
    page = """<title>T</title><main><p>Install it in one of two ways.</p><ul class="nav nav-tabs" role="tablist"><li><button role="tab" id="t1" aria-controls="p1">npm</button></li>
        <li><button role="tab" id="t2" aria-controls="p2">yarn</button></li></ul><div class="tab-content"><div role="tabpanel" id="p1"
        aria-labelledby="t1"><p>one</p></div><div role="tabpanel" id="p2" aria-labelledby="t2" hidden><p>two</p></div></div></main>"""
    assert extract(page).pages[0].content.endswith("two ways.\n\n**npm**\n\none\n\n**yarn**\n\ntwo")


ACCORDIONS = [
    '<div role="tablist"><div role="tab" id="h1"><h2><button aria-controls="p1">Who</button></h2><div role="tabpanel" id="p1" aria-labelledby="h1"><p>All.</p></div></div></div>',
    '<div role="tablist"><h2 role="tab" id="h1">Who</h2><div role="tabpanel" id="p1" aria-labelledby="h1"><p>All.</p></div></div>',
]


@pytest.mark.parametrize("accordion", ACCORDIONS)
def test_an_accordion_that_calls_itself_a_list_of_tabs_keeps_its_panels_and_says_each_handle_once(extract, accordion):
    page = extract(f"<title>T</title><main><p>Questions.</p>{accordion}</main>").pages[0]
    assert page.content == "Questions.\n\n## Who\n\nAll."


def test_the_number_of_an_equation_is_no_part_of_it(extract):
    page = '<title>T</title><main><p>So it is.</p><div class="math notranslate" id="e"><span class="eqno">(1)<a class="headerlink" href="#e">¶</a></span>\\[a+b\\]</div></main>'
    assert extract(page).pages[0].content == "So it is.\n\n$$a+b$$"


def test_a_wiki_in_the_cloud_keeps_code_that_stands_in_no_pre_and_the_names_of_folded_parts(extract):
    code = '<div class="code-block"><span data-ds--code--code-block="" data-code-lang="python"><code><span><span class="linenumber react-syntax-highlighter-line-number">1</span><span>x = 1\n</span></span><span><span class="linenumber react-syntax-highlighter-line-number">2</span><span>y = 2</span></span></code></span></div>'
    fold = '<div data-node-type="expand" data-title="More"><button aria-label="Expand More"><p>More</p></button><div><p>Folded text.</p></div></div>'
    page = f"""<meta name="confluence-base-url" content="https://a.example/wiki"><div class="ak-renderer-wrapper is-comment"><div class="ak-renderer-document"><p>A comment.</p></div></div>
        <main><h1 data-testid="title-text">T</h1><div class="ak-renderer-wrapper"><div class="ak-renderer-document"><p>Text of the page.</p>{code}{fold}</div></div></main>"""
    content = extract(f"<title>T</title>{page}").pages[0].content
    assert content == "Text of the page.\n\n```python\nx = 1\ny = 2\n```\n\nMore\n\nFolded text."


def test_a_forum_that_shows_its_posts_to_those_without_scripts_is_read(extract):
    box = '<div class="lightbox-wrapper"><a class="lightbox" href="/big.png"><img src="/s.png" alt="The error"><div class="meta">1920x1080 135 KB</div></a></div>'
    page = f"""<meta name="generator" content="Discourse 2026.8.0"><body><noscript><header>{NAV}</header><div id="main-outlet" role="main"><div id="topic-title"><h1>T</h1></div>
        <div class="topic-body crawler-post"><div class="crawler-post-meta">chrome</div><div class="post" itemprop="text">{TEXT}{box}</div></div>
        <div id="related-topics">chrome</div></div></noscript>"""
    page = extract(f"<title>T</title>{page}").pages[0]
    assert page.content == f"{KEPT}\n\n[![The error](http://site.example/s.png)](http://site.example/big.png)"


def test_an_article_in_a_messengers_help_centre_is_its_blocks(extract):
    toc = '<div class="table-of-contents"><div data-testid="toc-dropdown">chrome</div><section><a href="#h">chrome</a></section></div>'
    page = f"""<main><div class="flex"><a data-testid="breadcrumb-0" href="/c">chrome</a></div><div class="article intercom-force-break"><div class="mb-10"><header>T</header>
        <div class="avatar"><span>chrome</span></div></div><div class="flex-col">{toc}<div class="article_body"><article><div class="intercom-interblocks-paragraph">{TEXT}</div>
        <section class="related_articles"><a href="/r">chrome</a></section></article></div></div></div></main>"""
    assert extract(f"<title>T | Help</title>{page}").pages[0].content == KEPT


def test_the_name_of_the_file_above_a_block_of_code_stays(extract):
    head = '<div data-component-part="code-block-header"><div data-component-part="code-block-header-filename"><span>app.json</span></div><div><button>Copy</button></div></div>'
    step = '<div data-component-part="step-number">1</div>'
    page = f"""<meta name="generator" content="Mintlify"><div id="content-area"><div class="mdx-content">{step}<p>Write this file.</p><div class="code-block" language="json">{head}
        <div data-component-part="code-block-root"><pre><code>{{}}</code></pre></div></div></div></div>"""
    assert extract(f"<title>T</title>{page}").pages[0].content == "Write this file.\n\napp.json\n\n```json\n{}\n```"


def test_a_part_named_main_content_makes_no_documentation(extract):
    page = f'<title>T</title>{NAV}<div id="main-content" class="main-content"><h1>T</h1>{TEXT * 3}</div>'
    assert not extract(page).report["strategy"].startswith("system:")


def test_a_list_of_posts_in_the_book_theme_is_what_stands_below_its_bar(extract):
    posts = "".join(
        f'<article class="markdown book-post"><h2><a href="/p{n}">Post {n}</a></h2><p>What it says.</p></article>'
        for n in range(3)
    )
    page = f"""<main class="container flex"><aside class="book-menu">{NAV}</aside><div class="book-page"><header class="book-header"><label><h3>chrome</h3></label></header>{posts}
        <footer class="book-footer">chrome</footer></div></main><link rel="stylesheet" href="/book.min.css">"""
    page = extract(f"<title>T</title>{page}").pages[0]
    assert page.metadata["strategy"] == "system:hugo-docs"
    assert page.content.startswith("## [Post 0](http://site.example/p0)")
    assert "chrome" not in page.content


def test_what_another_member_says_stays_in_an_entry_and_the_line_of_its_source_goes(extract):
    entry = '<h3>width</h3><aside class="tsd-sources"><p>Inherited from <a href="Base.html">Base</a></p><ul><li>Defined in chrome.ts:1</li></ul></aside>'
    page = (
        f'<meta name="generator" content="typedoc"><div class="col-content"><h1>T</h1><p>One sentence.</p>{entry}</div>'
    )
    assert (
        extract(page)
        .pages[0]
        .content.endswith("### width\n\nInherited from [Base](http://site.example/docs/Base.html)")
    )
