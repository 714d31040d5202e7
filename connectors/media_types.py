"""Media types that pages are made of, and the file suffixes that stand for them."""

from __future__ import annotations

from pathlib import PurePosixPath

HTML = "text/html"
PDF = "application/pdf"
ZIP = "application/zip"
_OOXML = "application/vnd.openxmlformats-officedocument."
DOCX = _OOXML + "wordprocessingml.document"
PPTX = _OOXML + "presentationml.presentation"
XLSX = _OOXML + "spreadsheetml.sheet"
ODT = "application/vnd.oasis.opendocument.text"
ODP = "application/vnd.oasis.opendocument.presentation"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
EPUB = "application/epub+zip"
RTF = "application/rtf"
MARKDOWN = "text/markdown"
RST = "text/x-rst"
TEXT = "text/plain"
CSV = "text/csv"
EML = "message/rfc822"
OLE = "application/x-ole-storage"  # DOC, XLS, PPT of old, and encrypted OOXML

TSV = "text/tab-separated-values"

BY_SUFFIX = {
    ".html": HTML, ".htm": HTML, ".xhtml": HTML, ".xht": HTML, ".pdf": PDF, ".zip": ZIP, ".docx": DOCX,
    ".docm": DOCX, ".pptx": PPTX, ".pptm": PPTX, ".xlsx": XLSX, ".xlsm": XLSX, ".odt": ODT, ".odp": ODP,
    ".ods": ODS, ".epub": EPUB, ".rtf": RTF, ".md": MARKDOWN, ".markdown": MARKDOWN, ".mdx": MARKDOWN,
    ".mdown": MARKDOWN, ".rst": RST, ".rest": RST, ".txt": TEXT, ".text": TEXT, ".log": TEXT, ".csv": CSV,
    ".tsv": TSV, ".eml": EML, ".doc": OLE, ".xls": OLE, ".ppt": OLE,
}  # fmt: skip


def suffix_of(path: str) -> str:
    """Return the lower-case suffix of a path, with its dot; empty when it has none."""
    return PurePosixPath(path).suffix.lower()
