"""The two that are compared: ours, and trafilatura as its documentation recommends for Markdown with metadata."""

from __future__ import annotations

import re

from pathlib import Path

from connectors.extractors import html, tidy
from connectors.extractors.html import judge
from connectors.models import CleaningRules, Resource

from measures import FOLDS, Cpu, fold, site

RULES = CleaningRules()
_ROBOTS = re.compile(rb"(?i)<meta[^<>]*robots[^<>]*>")
_REFUSALS = re.compile(rb"(?i)\bno(?:index|follow|ne)\b")


def ours(body: bytes, uri: str, *, known: bool = True) -> tuple[str, float, str]:
    """Return content, milliseconds of CPU, strategy; without ``known`` the table of systems is switched off."""
    from connectors.extractors.html import choose

    kept = choose.SYSTEMS_IN_USE
    choose.SYSTEMS_IN_USE = known
    # Some pages of the sets ask not to be kept; what is measured here is how they would be cleaned.
    body = _ROBOTS.sub(lambda found: _REFUSALS.sub(b"all", found.group()), body)
    for prepare in _BEFORE:
        prepare(uri)
    resource = Resource(uri=uri, requested_uri=uri, media_type="text/html", body=body)
    with Cpu() as cpu:
        found = html.extract(resource, RULES)
    choose.SYSTEMS_IN_USE = kept
    if not found.pages:
        return "", cpu.ms, found.problem or "noindex"
    page = found.pages[0]
    return tidy.draft(page, RULES).content.split("\n", 2)[2], cpu.ms, str(page.metadata["strategy"])


def judge_in_folds(folder: Path) -> None:
    """Let each page be judged by what `train.py --folds` learned without its site."""
    models = [judge.read((folder / f"{number}.json").read_bytes()) for number in range(FOLDS)]

    def of(uri: str) -> None:
        judge.model = lambda: models[fold(site(uri))]

    _BEFORE.append(of)


_BEFORE: list = []


def theirs(body: bytes, uri: str) -> tuple[str, float]:
    import trafilatura
    from trafilatura.utils import decode_file

    text = decode_file(body)
    with Cpu() as cpu:
        markdown = trafilatura.extract(
            text, url=uri, output_format="markdown", include_links=True, include_formatting=True, with_metadata=True
        )
    return re.sub(r"\A---\n.*?\n---\n", "", markdown or "", flags=re.DOTALL), cpu.ms
