from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from connectors.extractors import html
from connectors.extractors.html.metadata import About
from connectors.models import CleaningRules, Resource

URI = "http://site.example/docs/page.html"


@pytest.fixture
def extract():
    def run(body: str | bytes, *, rules: CleaningRules | None = None, **fields):
        data = body.encode() if isinstance(body, str) else body
        fields = {"uri": URI, "requested_uri": URI, "media_type": "text/html", **fields}
        return html.extract(Resource(body=data, **fields), rules or CleaningRules())

    return run


@pytest.fixture
def markdown(extract):
    def run(inner: str, **fields) -> str:
        found = extract(f"<!doctype html><title>T</title><main>{inner}</main>", **fields)
        assert found.problem == "", found.detail
        return found.pages[0].content

    return run


@pytest.fixture
def about():
    """Return what a page says about itself, as a page that says nothing but the fields given."""

    def make(**fields: object) -> About:
        values: dict[str, Any] = {field.name: "" for field in dataclasses.fields(About)}
        values |= {"section": (), "article": False, "product": False, "kinds": frozenset(), **fields}
        return About(**values)

    return make
