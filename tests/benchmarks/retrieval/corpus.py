"""The pages of Debian's python3-doc, cleaned by the product itself and stored in an embedded knowledge base."""

import asyncio
import sys
from pathlib import Path

from connectors.extractors.tidy import draft
from connectors.extractors.work import extract
from connectors.models import CleaningRules, Outgoing, Resource
from connectors.persona.server import embedded

DOCS = Path("/usr/share/doc/python3-doc/html")
SITE = "https://docs.python.org/3/"
FOLDERS = (
    *("library", "reference", "tutorial", "howto", "faq", "c-api", "extending", "using", "installing", "distributing"),
    "glossary.html",
)


def pages(folders=FOLDERS):
    """Yield every documentation page as it would be sent."""
    rules = CleaningRules()
    for folder in folders:
        place = DOCS / folder
        for path in [place] if place.is_file() else sorted(place.glob("**/*.html")):
            uri = SITE + path.relative_to(DOCS).as_posix()
            resource = Resource(uri=uri, requested_uri=uri, media_type="text/html", body=path.read_bytes(), status=200)
            for page in extract(resource, rules).pages:
                sent = draft(page, rules)
                yield Outgoing(version_id=0, uri=page.uri, title=page.title, content=sent.content, metadata=page.metadata)


async def store(state: Path) -> int:
    """Fill the knowledge base in ``state``; does nothing when it is filled."""
    if (state / "knowledge-base.sqlite3").exists():
        return 0
    count, batch = 0, []
    async with embedded(state) as kb:
        for page in pages():
            batch.append(page)
            count += 1
            if len(batch) == 50:
                await kb.store_pages(batch)
                batch = []
        if batch:
            await kb.store_pages(batch)
    return count


if __name__ == "__main__":
    print(asyncio.run(store(Path(sys.argv[1]))), "pages stored")
