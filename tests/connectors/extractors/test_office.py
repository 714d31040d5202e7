"""The XML of office documents: what a reader sees is kept, what nobody sees is not."""

import io
import zipfile
from pathlib import Path

from connectors.extractors import docx, odf, office, pptx
from connectors.media_types import DOCX
from connectors.models import CleaningRules, Extracted, Page, Resource

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
TYPES = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
PAGE = Page(uri="a:b", title="t", content="Two words")
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"


def zipped(entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def word(body, **parts):
    document = f"<w:document {W} {R}><w:body>{body}</w:body></w:document>"
    return zipped({"[Content_Types].xml": TYPES, "word/document.xml": document, **parts})


def p(inner, properties=""):
    return f"<w:p><w:pPr>{properties}</w:pPr>{inner}</w:p>"


def r(text, properties=""):
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def body_of(html):
    return html.partition("<body>")[2].partition("</body>")[0]


def test_deleted_hidden_and_moved_away_text_is_left_out():
    hidden = r("hidden", "<w:vanish/>") + r("tiny", '<w:sz w:val="2"/>') + r("shown ", '<w:vanish w:val="0"/>')
    changed = "<w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:ins>" + r("new") + "</w:ins>"
    moved = "<w:moveFrom>" + r("away") + "</w:moveFrom>"
    assert body_of(docx.to_html(word(p(hidden + changed + moved)))) == "<p>shown new</p>"


def test_links_by_relation_and_by_field_keep_their_address_and_no_other_scheme():
    relations = (
        f'<Relationships xmlns="{RELATIONS}"><Relationship Id="a" TargetMode="External" Target="https://a.example/"/>'
        f'<Relationship Id="b" TargetMode="External" Target="javascript:x"/></Relationships>'
    )
    links = '<w:hyperlink r:id="a">' + r("one") + '</w:hyperlink><w:hyperlink r:id="b">' + r("two") + "</w:hyperlink>"
    field = (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> HYPERLINK "https://b.example/" </w:instrText>'
        f'</w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r>{r("three")}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )
    made = docx.to_html(word(p(links + field + r("four")), **{"word/_rels/document.xml.rels": relations}))
    assert body_of(made) == ('<p><a href="https://a.example/">one</a>two<a href="https://b.example/">three</a>four</p>')


def test_headings_follow_styles_that_are_based_on_others():
    styles = (
        f'<w:styles {W}><w:style w:styleId="H1"><w:name w:val="heading 1"/></w:style><w:style w:styleId="Mine">'
        '<w:name w:val="My own"/><w:basedOn w:val="H1"/></w:style><w:style w:styleId="Loop"><w:basedOn w:val="Loop"/>'
        '</w:style><w:style w:styleId="Toc"><w:name w:val="toc 1"/></w:style></w:styles>'
    )
    made = docx.to_html(
        word(
            p(r("Head"), '<w:pStyle w:val="Mine"/>')
            + p(r("Text"), '<w:pStyle w:val="Loop"/>')
            + p(r("Head 3"), '<w:pStyle w:val="Toc"/>')
            + p(r("Level"), '<w:outlineLvl w:val="1"/>'),
            **{"word/styles.xml": styles},
        )
    )
    assert body_of(made) == "<h1>Head</h1><p>Text</p><h2>Level</h2>"


def test_lists_nest_and_are_numbered_as_their_numbering_says():
    numbering = (
        f'<w:numbering {W}><w:abstractNum w:abstractNumId="7"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl>'
        '<w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum><w:num w:numId="1">'
        '<w:abstractNumId w:val="7"/></w:num></w:numbering>'
    )

    def item(text, depth):
        return p(r(text), f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="1"/></w:numPr>')

    made = docx.to_html(
        word(item("a", 0) + item("b", 1) + item("c", 0) + p(r("end")), **{"word/numbering.xml": numbering})
    )
    assert body_of(made) == "<ol><li>a<ul><li>b</li></ul></li><li>c</li></ol><p>end</p>"


def test_markup_in_the_text_stays_text():
    assert body_of(docx.to_html(word(p(r("&lt;script&gt;x&lt;/script&gt; &amp;amp;"))))) == (
        "<p>&lt;script&gt;x&lt;/script&gt; &amp;amp;</p>"
    )


def test_a_document_that_lists_a_million_repeated_cells_gives_one():
    names = " ".join(f'xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in ("office", "text", "table"))
    content = (
        f"<x {names}><office:body><office:text><text:tracked-changes><text:p>gone</text:p></text:tracked-changes>"
        "<text:p>Words <text:s text:c='3'/>apart</text:p><table:table><table:table-row><table:table-cell>"
        "<text:p>a</text:p></table:table-cell><table:table-cell table:number-columns-repeated='1000000'/>"
        "</table:table-row></table:table></office:text></office:body></x>"
    )
    made = odf.to_html(zipped({"content.xml": content}))
    assert body_of(made) == "<p>Words    apart</p><table><tr><th>a</th><th></th></tr></table>"


def test_slides_come_in_the_order_of_the_show_and_hidden_ones_not():
    names = (
        'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
        f'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" {R}'
    )

    def slide(text, extra=""):
        shape = f'<p:sp><p:nvPr><p:ph type="title"/></p:nvPr><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:sp>'
        return f"<p:sld {names} {extra}>{shape}</p:sld>"

    relations = "".join(f'<Relationship Id="r{n}" Type="x/slide" Target="slides/slide{n}.xml"/>' for n in (1, 2, 3))
    made = pptx.to_html(
        zipped(
            {
                "ppt/presentation.xml": f'<p:presentation {names}><p:sldIdLst><p:sldId r:id="r2"/><p:sldId r:id="r3"/>'
                '<p:sldId r:id="r1"/><p:sldId r:id="gone"/></p:sldIdLst></p:presentation>',
                "ppt/_rels/presentation.xml.rels": f'<Relationships xmlns="{RELATIONS}">{relations}</Relationships>',
                "ppt/slides/slide1.xml": slide("First made"),
                "ppt/slides/slide2.xml": slide("First shown"),
                "ppt/slides/slide3.xml": slide("Hidden", 'show="0"'),
            }
        )
    )
    assert body_of(made) == "<h2>First shown</h2><h2>First made</h2>"


def test_what_stands_in_a_wrapper_that_nobody_knows_is_kept():
    assert body_of(docx.to_html(word(f"<w:unknownBox>{p(r('inside'))}</w:unknownBox>"))) == "<p>inside</p>"


def test_what_our_reading_does_not_find_is_taken_from_the_other_and_flagged():
    body = (Path(__file__).parent / "handbook" / "handbook.docx").read_bytes()
    asked = Resource(uri="a:b.docx", requested_uri="a:b.docx", media_type=DOCX, body=body)
    out = office.extract(asked, CleaningRules(), kind=DOCX, read=lambda *_: Extracted(pages=(PAGE,)))
    (page,) = out.pages
    assert page.metadata["strategy"] == "kreuzberg"
    assert "Second Chapter" in page.content
    assert page.flags == ("word-count-differs: 2 words by its XML, 85 by kreuzberg",)
