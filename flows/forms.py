"""The run forms of Prefect's UI: the sources' own models, in the order in which a person fills them in."""

from typing import Any

from pydantic import ConfigDict

from connectors.settings import DocumentsSource, WebsiteSource

_FIRST = (
    "website", "documents", "name", "scope", "include", "exclude", "max-pages", "max-depth",
    "select", "remove", "render", "concurrency", "delay", "header", "user-agent",
)  # fmt: skip


def _in_order(schema: dict[str, Any]) -> None:
    """Put what everybody fills in first; Prefect's form follows ``position``."""
    properties: dict[str, Any] = schema["properties"]
    names = [name for name in _FIRST if name in properties] + [name for name in properties if name not in _FIRST]
    schema["properties"] = {name: _plain(properties[name]) | {"position": place} for place, name in enumerate(names)}


def _plain(field: dict[str, Any]) -> dict[str, Any]:
    """Show a number that may be absent as a field that may stay empty, not as a choice of types."""
    kinds = [kind for kind in field.get("anyOf", ()) if kind.get("type") != "null"]
    if len(kinds) != 1:
        return field
    kept = {key: value for key, value in field.items() if key not in {"anyOf", "default"}}
    return {**kept, **kinds[0]}


class Website(WebsiteSource):
    """A website, by its start address."""

    model_config = ConfigDict(json_schema_extra=_in_order)


class Documents(DocumentsSource):
    """A folder, file or bucket of documents."""

    model_config = ConfigDict(json_schema_extra=_in_order)
