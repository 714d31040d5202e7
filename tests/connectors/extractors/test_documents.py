"""One handbook in every format, as real programs write it: pandoc, LibreOffice and Chromium."""

import re
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from connectors.extractors.work import extract
from connectors.models import CleaningRules, Hints, Resource

HERE = Path(__file__).parent / "handbook"
RULES = CleaningRules()
WORDS = """
Intro paragraph with bold italic code and a link Use hashtags and C here first item second item nested item third
one two Full 25 Part 12 A quote Definition of term A footnote here The footnote text Second Chapter long enough
to matter Ünïcödé quotes More text def f x return comment
"""


def read(body, name, *, media_type="", hints=None):
    uri = f"file:///library/{name}"
    return extract(
        Resource(uri=uri, requested_uri=uri, media_type=media_type, body=body, hints=hints or Hints()), RULES
    )


def page_of(name):
    out = read((HERE / name).read_bytes(), name)
    assert not out.problem, out
    (page,) = out.pages
    return page


HANDBOOKS = sorted(
    path.name
    for path in HERE.iterdir()
    if path.stem in {"handbook", "written-by-libreoffice"} and path.suffix != ".doc"  # of that old kind the words alone
)
WITH_STRUCTURE = [name for name in HANDBOOKS if name.endswith((".docx", ".odt", ".epub", ".md"))]


@pytest.mark.parametrize("name", HANDBOOKS)
def test_no_word_is_lost_in_any_format(name):
    page = page_of(name)
    found = re.findall(r"\w+", f"{page.title} {page.content}")
    assert [word for word in WORDS.split() if word not in found] == []
    assert page.flags == ()


@pytest.mark.parametrize("name", HANDBOOKS)
def test_the_title_comes_from_the_document_and_is_not_said_twice(name):
    page = page_of(name)
    assert page.title == ("Welcome" if name == "handbook.rtf" else "Staff Handbook")  # that RTF has no properties
    assert not page.content.lstrip("# ").startswith(page.title)


def test_of_an_old_doc_the_words_are_read():
    content = page_of("handbook.doc").content
    assert "a link. Use #hashtags and C# here." in content
    assert "Second Chapter" in content


@pytest.mark.parametrize("name", WITH_STRUCTURE)
def test_headings_lists_tables_links_and_code_keep_their_shape(name):
    content = page_of(name).content
    assert re.findall(r"^#+ .*", content, re.MULTILINE) == [
        "## Welcome",
        "### Leave",
        "#### Code",
        "## Second Chapter",
        "### Sub of second",
    ]
    assert re.search(r"^- second item\n {2,4}[-*] nested item\n- third", content, re.MULTILINE)
    assert re.search(r"^1\. one\n2\. two", content, re.MULTILINE)
    assert re.search(r"^\| Name \| Days \| Note \|\n\|[ :|-]+\|\n\| Full \| 25 \| a\\\|b \|", content, re.MULTILINE)
    assert "#hashtags and C# here" in content
    if name != "written-by-libreoffice.docx":  # LibreOffice itself drops the address there
        assert "[link](https://example.com/a?b=1#c)" in content
    code = "def f(x):\n\n    return x  # comment" if "libreoffice" not in name else "def f(x):"
    assert re.search(rf"```\w*\n{re.escape(code)}", content)


@pytest.mark.parametrize("name", ["handbook.docx", "handbook.odt", "handbook.epub", "handbook.pptx", "handbook.md"])
def test_author_and_date_come_from_the_properties(name):
    told = page_of(name).metadata
    assert told["author"] == "Ann Example"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", told["date"])
    if name != "handbook.odt":
        assert told["date"] == "2024-05-01"


@pytest.mark.parametrize("name", ["leave.csv", "leave.xlsx", "leave.ods", "leave.xls"])
def test_a_table_has_every_cell_in_its_row(name):
    content = page_of(name).content
    for row in ("| Name | Days | Note |", "| Full | 25 | a, b |", "| Part | 12 | multi line |"):
        assert row in content


def test_a_pdf_keeps_its_signs_code_and_tables():
    content = page_of("printed-by-chromium.pdf").content
    assert "See https://example.com/a#frag and C# and #include <x.h> issue #42." in content
    assert "```\ndef f():\n    # comment\n    return 1\n```" in content
    assert "| Full time | 25 |\n| Part time | 12 |" in content
    assert "## Second" in content


def test_slides_keep_order_lists_and_tables():
    content = page_of("handbook.pptx").content
    assert content.index("## Welcome") < content.index("## Second Chapter")
    assert "| Full | 25 | a\\|b |" in content
    assert re.search(r"- second item\n {2,4}- nested item", content)


def test_a_mail_has_its_head_its_text_and_its_attachments():
    mail = (
        b"From: Ann <ann@example.com>\r\nTo: bo@example.com\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\n"
        b"Date: Wed, 01 May 2024 10:00:00 +0200\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n'
        b"The body.\r\n--x\r\nContent-Type: text/markdown\r\nContent-Disposition: attachment; filename=notes.md\r\n\r\n"
        b"# Notes\n\nSome notes.\r\n--x--\r\n"
    )
    first, second = read(mail, "a.eml").pages
    assert (first.title, first.metadata["date"]) == ("Café", "2024-05-01")
    assert first.content.endswith("The body.")
    assert "**From:** Ann <ann@example.com>" in first.content
    assert (second.uri, second.title) == ("file:///library/a.eml#file=notes.md", "Notes")


def test_a_mail_that_is_html_only_is_cleaned():
    mail = b"From: a@example.com\nSubject: S\nContent-Type: text/html\n\n<p>Hello <b>there</b></p><script>x</script>"
    (page,) = read(mail, "a.eml").pages
    assert page.content.endswith("Hello **there**")


def test_an_archive_gives_a_page_a_document_and_names_what_gave_none():
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("b/two.md", "# Two\n\ntext")
        archive.writestr("a one.txt", "Just words")
        archive.writestr("broken.pdf", "%PDF-1.4 nothing")
        archive.writestr(".hidden.md", "x")
        archive.writestr("picture.png", "x")
        archive.writestr("__MACOSX/b/two.md", "x")
    found = read(out.getvalue(), "a.zip")
    assert [page.uri.partition("#")[2] for page in found.pages] == ["file=a%20one.txt", "file=b/two.md"]
    assert "broken.pdf (broken)" in found.detail
    assert any(flag.startswith("incomplete-bundle") for flag in found.pages[0].flags)


LONG = "\n\n".join(
    [
        "# Manual",
        "Preface. " * 20,
        *(f"## {number}. {name}\n\n" + f"Words of {name}. " * 800 for number, name in enumerate(("Alpha", "Beta"), 1)),
        "## 3. Gamma\n\n" + "".join(f"### Part {n}\n\n" + f"More {n}. " * 2500 + "\n\n" for n in "xy"),
    ]
)


def test_a_long_document_is_a_page_a_chapter_and_titles_carry_the_path():
    pages = read(LONG.encode(), "manual.md").pages
    assert [(page.title, page.uri.partition("#")[2]) for page in pages] == [
        ("Manual", ""),
        ("Manual › 1. Alpha", "chapter=alpha"),  # noqa: RUF001
        ("Manual › 2. Beta", "chapter=beta"),  # noqa: RUF001
        ("Manual › 3. Gamma › Part x", "chapter=gamma/part-x"),  # noqa: RUF001
        ("Manual › 3. Gamma › Part y", "chapter=gamma/part-y"),  # noqa: RUF001
    ]
    assert pages[1].metadata["section"] == ["1. Alpha"]


def test_a_new_chapter_in_front_changes_no_other_chapters_identity():
    later = LONG.replace("## 1. Alpha", "## 1. New\n\n" + "Fresh. " * 300 + "\n\n## 2. Alpha").replace(
        "2. Beta", "3. Beta"
    )
    before = {page.uri for page in read(LONG.encode(), "manual.md").pages}
    after = {page.uri for page in read(later.encode(), "manual.md").pages}
    assert after - before == {"file:///library/manual.md#chapter=new"}
    assert before <= after


def test_nothing_is_lost_or_doubled_when_a_document_is_cut():
    whole = re.findall(r"\w+", re.sub(r"^#.*$", "", LONG, flags=re.MULTILINE))
    parts = [w for page in read(LONG.encode(), "m.md").pages for w in re.findall(r"\w+", page.content)]
    assert parts == whole


def test_two_chapters_of_one_name_have_two_identities():
    text = "# D\n\n" + "".join("## Example\n\n" + "Words here. " * 2000 + "\n\n" for _ in range(2))
    assert [page.uri.partition("#")[2] for page in read(text.encode(), "m.md").pages] == [
        "chapter=example",
        "chapter=example~2",
    ]


def test_a_heading_that_says_the_title_again_does_not_make_two_pages_of_one_identity():
    text = "Before.\n\n" + "".join(
        f"## {name}\n\n" + "Words here. " * 2000 + "\n\n" for name in ("manual", "x", "manual")
    )
    uris = [page.uri.partition("#")[2] for page in read(text.encode(), "manual.md", hints=Hints(title="Manual")).pages]
    assert uris == ["", "chapter=manual", "chapter=x", "chapter=manual~2"]


def test_restructured_text_becomes_markdown():
    text = """
=====
Guide
=====

.. toctree::
   :maxdepth: 2

   other

Install
-------

Run ``pip install x`` or see `the site <https://example.com/>`_ and :ref:`below <b>`::

    $ make

    $ make install

.. note:: Mind the gap.

.. code-block:: python
   :linenos:

   def f():
       pass

====  ====
A     B
====  ====
1     2
====  ====
"""
    (page,) = read(text.encode(), "guide.rst").pages
    assert page.title == "Guide"
    assert page.content.split("\n\n", 1)[1].startswith(
        "Run `pip install x` or see [the site](https://example.com/) and `below`:\n\n```\n$ make\n\n$ make install\n```"
    )
    assert "> **Note:** Mind the gap." in page.content
    assert "```python\ndef f():\n    pass\n```" in page.content
    assert "| A | B |\n| --- | --- |\n| 1 | 2 |" in page.content
    assert "toctree" not in page.content


@pytest.mark.parametrize(
    ("name", "declared", "expected"),
    [
        ("handbook.pdf", "text/html", "application/pdf"),
        ("handbook.docx", "application/zip", "wordprocessingml"),
        ("handbook.odt", "application/octet-stream", "opendocument.text"),
        ("handbook.epub", "", "epub"),
        ("handbook.rtf", "text/plain", "rtf"),
        ("handbook.doc", "", "msword"),
    ],
)
def test_the_bytes_decide_where_the_declared_type_is_wrong(name, declared, expected):
    (page,) = read((HERE / name).read_bytes(), "download", media_type=declared).pages
    assert expected in page.metadata["media_type"]


@pytest.mark.parametrize(
    ("body", "name", "problem"),
    [
        (b"%PDF-1.4\nrubbish", "a.pdf", "broken"),
        (b"PK\x03\x04rubbish", "a.docx", "broken"),
        (b"{\\rtf1 }", "a.rtf", "empty"),
        (b"", "a.md", "empty"),
        (b" \n ", "a.txt", "empty"),
        (b"\0\1\2", "a", "unsupported"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "a.docx", "encrypted"),
    ],
)
def test_what_gives_no_page_says_why_in_one_sentence(body, name, problem):
    out = read(body, name)
    assert (out.pages, out.problem) == ((), problem)
    assert out.detail.endswith(".") or "broken" in problem
    assert "\n" not in out.detail


def test_a_file_of_another_encoding_is_read_and_flagged():
    (page,) = read("Grüße aus Köln".encode("cp1252"), "a.txt").pages
    assert page.content == "Grüße aus Köln"
    assert page.flags == ("guessed-encoding: windows-1252",)


def test_a_document_without_a_name_for_itself_is_called_by_its_file():
    (page,) = read(b"Just words.", "annual_report-2024.txt").pages
    assert page.title == "annual report 2024"


def pdf(*pages):
    """A PDF with one page an entry: text to print, or None for a picture."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for text in pages:
        kids.append(f"{len(objects) + 1} 0 R")
        drawn = f"BT /F 12 Tf 50 700 Td ({text}) Tj ET" if text else "q 500 0 0 700 50 50 cm /I Do Q"
        number = len(objects) + 2
        picture = "<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8"
        objects += [
            (
                f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {number} 0 R /Resources << /XObject "
                f"<< /I {number + 1} 0 R >> /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
            ),
            f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream",
            f"{picture} /Length 1 >>\nstream\n0\nendstream",
        ]
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(kids)}] >>"
    body = "%PDF-1.4\n" + "".join(f"{n} 0 obj\n{text}\nendobj\n" for n, text in enumerate(objects, 1))
    return f"{body}trailer << /Root 1 0 R >>\n%%EOF".encode()


def test_a_scanned_pdf_needs_ocr_and_is_never_an_empty_page():
    out = read(pdf(None, None), "scan.pdf")
    assert (out.pages, out.problem) == ((), "needs-ocr")
    assert "OCR" in out.detail


def test_a_pdf_with_some_scanned_pages_is_kept_and_flagged():
    (page,) = read(pdf("Some words that were typed", None, "And some more of them"), "half.pdf").pages
    assert page.content == "Some words that were typed\n\nAnd some more of them"
    assert page.flags == ("needs-ocr: 1 of 3 pages are pictures (2)",)


def test_running_heads_and_page_numbers_are_not_text():
    words = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta")
    pages = [f"Annual Report {n}) Tj 0 -50 Td (Of {w} we write here" for n, w in enumerate(words, 1)]
    (page,) = read(pdf(*pages), "report.pdf").pages
    assert "Annual Report" not in page.content
    assert re.findall("Of (\\w+) we write here", page.content) == list(words)


def test_what_is_printed_too_small_to_be_seen_is_left_out():
    (page,) = read(pdf("Words for readers) Tj 0 -50 Td /F 0.4 Tf (Words for machines"), "a.pdf").pages
    assert page.content == "Words for readers"


def test_a_locked_pdf_says_so():
    out = read((HERE / "locked.pdf").read_bytes(), "locked.pdf")
    assert (out.pages, out.problem) == ((), "encrypted")


def test_a_reading_that_misses_words_is_flagged_for_review():
    from connectors.extractors.pdf import Seen, _flags

    seen = Seen(pages=((),), outline=(), pictures=())
    assert _flags({"kept": 1000, "pdfium": 1000, "kreuzberg": 1040}, seen) == ()
    assert _flags({"kept": 900, "pdfium": 900, "kreuzberg": 1000}, seen) == (
        "word-count-differs: 900 words by pdfium, 1000 by kreuzberg",
    )
