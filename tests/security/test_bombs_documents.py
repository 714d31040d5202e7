"""Documents that are small on the wire and huge in memory: refused by their rule, with the child's peak measured."""

from __future__ import annotations

import asyncio
import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from connectors.extractors.archive import INFLATED
from connectors.extractors.pool import CleanerPool
from connectors.models import CleaningRules, Resource

ROOT = Path(__file__).resolve().parents[2]
MB = 1024 * 1024
RULES = CleaningRules()
measured = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measured through /proc")

ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
)
ENTITIES += "]>"
TYPES = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
CONTAINER = '<container><rootfiles><rootfile full-path="p.opf"/></rootfiles></container>'


def zipped(entries: dict[str, str | bytes], *, huge: str = "", megabytes: int = 300) -> bytes:
    """Return an archive; the entry ``huge`` gets that many megabytes of blanks at its end."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            with archive.open(name, "w", force_zip64=True) as entry:
                entry.write(data.encode() if isinstance(data, str) else data)
                for _ in range(megabytes if name == huge else 0):
                    entry.write(b" " * MB)
    return out.getvalue()


def docx(document: str, **more) -> bytes:
    return zipped({"[Content_Types].xml": TYPES, "word/document.xml": document}, **more)


def epub(*chapters: str, package: str = "", **more) -> bytes:
    items = "".join(
        f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    package = package or f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>"
    first = {"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER, "p.opf": package}
    return zipped(first | {f"c{n}.xhtml": chapter for n, chapter in enumerate(chapters)}, **more)


def odt(content: str, **more) -> bytes:
    return zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content}, **more)


def overlapping(entries: int = 200) -> bytes:
    """An archive whose directory names one packed entry again and again: a megabyte becomes hundreds."""
    whole = bytearray(zipped({"a.txt": ""}, huge="a.txt", megabytes=50))
    end = whole.rfind(b"PK\x05\x06")
    start = whole.find(b"PK\x01\x02")
    one = bytes(whole[start:end])
    tail = bytearray(whole[end:])
    tail[8:12] = entries.to_bytes(2, "little") * 2
    tail[12:16] = (len(one) * entries).to_bytes(4, "little")
    return bytes(whole[:start]) + one * entries + bytes(tail)


def lying(archive: bytes) -> bytes:
    """Return the archive with a directory that claims ten bytes for each entry."""
    data = bytearray(archive)
    for found in re.finditer(rb"PK\x01\x02", archive):
        data[found.start() + 24 : found.start() + 28] = (10).to_bytes(4, "little")
    return bytes(data)


def nested(depth: int) -> bytes:
    kernel = zipped({"a.txt": ""}, huge="a.txt")
    for number in range(depth):
        kernel = zipped({f"{number}.zip": kernel})
    return kernel


BODY = f"<w:document {WORD}><w:body><w:p><w:r><w:t>words</w:t></w:r></w:p></w:body></w:document>"
BOMBS = {
    "zip": lambda: zipped({"a.txt": ""}, huge="a.txt"),
    "zip of many": lambda: zipped({f"{n}.txt": " " * MB for n in range(300)}),
    "zip in zips": lambda: nested(2),
    "zip of one entry many times": overlapping,
    "docx": lambda: docx(BODY, huge="word/document.xml"),
    "docx that lies": lambda: lying(docx(BODY, huge="word/document.xml")),
    "zip that lies": lambda: lying(zipped({"a.txt": ""}, huge="a.txt")),
    "docx entities": lambda: docx(f"{ENTITIES}<w:document {WORD}><w:body><w:p>&j;</w:p></w:body></w:document>"),
    "xlsx": lambda: zipped(
        {"[Content_Types].xml": TYPES, "xl/sharedStrings.xml": "<sst>"}, huge="xl/sharedStrings.xml"
    ),
    "pptx": lambda: zipped(
        {"[Content_Types].xml": TYPES, "ppt/slides/slide1.xml": "<a>"}, huge="ppt/slides/slide1.xml"
    ),
    "odt": lambda: odt("<x/>", huge="content.xml"),
    "odt entities": lambda: odt(f"{ENTITIES}<x>&j;</x>"),
    "epub": lambda: epub("<html><body><p>x", huge="c0.xhtml"),
    "epub of many": lambda: epub(*("<html><body><p>" + " " * MB for _ in range(300))),
    "epub entities": lambda: epub("<html/>", package=f"{ENTITIES}<package>&j;</package>"),
}
ENDS = {"too-large", "xml-entities", "broken", "unsupported", "too-deep", "empty", "not-html"}


def resource(body: bytes, name: str) -> Resource:
    uri = f"file:///bombs/{name}"
    return Resource(uri=uri, requested_uri=uri, media_type="", body=body)


def peak_of(pid: int | str) -> int:
    """Return the most bytes that a process ever had resident."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


@measured
@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
async def test_no_document_costs_more_memory_than_its_archive_may_unpack_to(name):
    suffix = name.partition(" ")[0]
    body = BOMBS[name]()
    assert len(body) < 3 * MB, "small on the wire"
    pool = CleanerPool(1)
    try:
        honest = docx(BODY) if suffix == "docx" else b"# Harmless\n\nA text."
        await pool.clean(resource(honest, "a.docx" if suffix == "docx" else "a.md"), RULES)
        (pid,) = pool.pids()
        before, ours = peak_of(pid), peak_of("self")
        out = await pool.clean(resource(body, f"bomb.{suffix}"), RULES)
        assert out.problem in ENDS, out
        assert out.pages == ()
        assert pool.pids() == [pid], "refused by its rule: nobody had to be killed"
        assert peak_of(pid) - before < INFLATED + 32 * MB, (peak_of(pid) - before) // MB
        assert peak_of("self") - ours < 32 * MB, "the crawler itself holds the packed bytes alone"
    finally:
        await pool.close()


CHILD = """
import json, re, sys
from connectors.sources import feed_parse
from connectors.web import sitemaps
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
sitemaps.parse(b"<urlset><url><loc>http://x.test/</loc></url></urlset>", base="http://x.test/")
feed_parse.parse(b"<rss><channel><item><link>http://x.test/</link></item></channel></rss>", base="http://x.test/")
chain = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    '<!ENTITY %s "%s">' % (chr(98 + n), "&%s;" % chr(97 + n) * 10) for n in range(9)) + "]>"
flat = "<!DOCTYPE x [<!ENTITY a '" + "a" * 50_000 + "'>]>"
bombs = []
wide = " " + " ".join(f'a{n}="x"' for n in range(50_000)) + ">"
feed, end_of_feed = "<rss><channel><item><title>", "</title></item></channel></rss>"
for begin, end in (("<urlset><url><loc>", "</loc></url></urlset>"), (feed, end_of_feed)):
    for text in (chain + begin + "&j;" + end, flat + begin + "&a;" * 50_000 + end, begin + "<a>" * 200_000 + end,
                 begin.replace(">", wide, 1) + end):
        bombs += [text.encode(), text.encode("utf-16")]
before = peak()
for bomb in bombs:
    sitemaps.parse(bomb, base="http://x.test/")
    try:
        feed_parse.parse(bomb, base="http://x.test/")
    except feed_parse.NoFeedError:
        pass
print(json.dumps({"bombs": len(bombs), "mb": sum(map(len, bombs)) / 1e6, "grown_mb": (peak() - before) / 1024}))
"""


@measured
async def test_no_xml_of_a_sitemap_or_a_feed_costs_more_memory_than_a_few_times_its_size():
    """They are read in the crawler's own process, so there is no child to kill: the parser's bounds must hold."""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, cwd=ROOT
    )
    said = json.loads(done.stdout)
    assert said["bombs"] == 16
    assert said["grown_mb"] < 80, said
