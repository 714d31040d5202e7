"""Real documents of every kind, written by real programs from what lies on the machine, checked word by word.

Needs pandoc, Chromium and the documentation packages of git, PostgreSQL, SQLite or Python; what is missing is skipped.
"""

import gzip
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from connectors.extractors.work import extract
from connectors.models import CleaningRules, Resource

pytestmark = pytest.mark.slow

DOC = Path("/usr/share/doc")
SOURCES = [
    "git/html/gittutorial.html",
    "git/html/giteveryday.html",
    "git/html/gitglossary.html",
    "postgresql-doc-15/html/tutorial-join.html",
    "postgresql-doc-15/html/sql-createtable.html",
    "python3-dev/html/tutorial/datastructures.html",
]
WRITERS = {"docx": "docx", "odt": "odt", "epub": "epub", "rtf": "rtf", "md": "gfm", "rst": "rst", "pptx": "pptx"}
# The least share of the words that must be there, and of what is there that must be the document's.
LEAST = {"rst": (0.97, 0.88), "rtf": (0.97, 0.97), "pptx": (0.96, 0.98), "pdf": (0.93, 0.97), "epub": (0.99, 0.94)}
PDFS = [
    "zlib1g-dev/crc-doc.1.0.pdf.gz",
    "nettle-dev/nettle.pdf.gz",
    "fontconfig/fontconfig-user.pdf.gz",
    "bzip2/manual.pdf.gz",
    "libtasn1-doc/libtasn1.pdf",
    "shared-mime-info/shared-mime-info-spec.pdf",
]


def words(text):
    return Counter(re.findall(r"\w+", re.sub(r"\]\(\S*?\)", "]", text).lower()))


def read(path):
    uri = path.as_uri()
    out = extract(Resource(uri=uri, requested_uri=uri, media_type="", body=path.read_bytes()), CleaningRules())
    assert not out.problem, out
    assert len({page.uri for page in out.pages}) == len(out.pages)
    return out.pages


def run(*command):
    subprocess.run(command, check=True, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tmp_path_factory.mktemp("corpus")


@pytest.mark.parametrize("kind", [*WRITERS, "pdf"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_document_keeps_its_words_in_every_format(made, source, kind):
    origin = DOC / source
    program = shutil.which("chromium" if kind == "pdf" else "pandoc")
    if not origin.exists() or not program or not shutil.which("pandoc"):
        pytest.skip("the document or the program that writes it is not on this machine")
    gold = made / f"{origin.stem}.gold"
    if not gold.exists():
        run("pandoc", "-f", "html", "-t", "plain", "--wrap=none", str(origin), "-o", str(gold))
    target = made / f"{origin.stem}.{kind}"
    if kind == "pdf":
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--generate-pdf-document-outline")
        run(program, *flags, f"--print-to-pdf={target}", origin.as_uri())
    else:
        run("pandoc", "-f", "html", "-t", WRITERS[kind], "-s", str(origin), "-o", str(target))
    pages = read(target)
    got, true = words("\n".join(f"{page.title}\n{page.content}" for page in pages)), words(gold.read_text())
    common = sum((got & true).values())
    recall, precision = common / sum(true.values()), common / sum(got.values())
    least = LEAST.get(kind, (0.99, 0.97))
    assert (recall >= least[0], precision >= least[1]) == (True, True), (recall, precision)


@pytest.mark.parametrize("source", PDFS)
def test_a_printed_manual_loses_no_word_that_a_second_reading_finds(made, source):
    origin = DOC / source
    if not origin.exists():
        pytest.skip("the manual is not on this machine")
    path = made / origin.name.removesuffix(".gz")
    path.write_bytes(gzip.decompress(origin.read_bytes()) if origin.suffix == ".gz" else origin.read_bytes())
    pages = read(path)
    assert not [flag for page in pages for flag in page.flags if flag.startswith("word-count-differs")]
    assert len(pages) > 3, "a long document is cut into its chapters"
