"""What a source is called, and what of it may be kept and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from connectors.settings import DocumentsSource, FeedSource, GitSource, SitemapSource, WebsiteSource

if TYPE_CHECKING:
    from connectors.models import Kind
    from connectors.settings import AnySource, SourceOptions


def origin_of(source: AnySource) -> tuple[Kind, str]:
    """Return a source's kind and its address."""
    match source:
        case WebsiteSource():
            return "website", source.website
        case DocumentsSource():
            return "documents", source.documents
        case FeedSource():
            return "feed", source.feed
        case SitemapSource():
            return "sitemap", source.sitemap
        case GitSource():
            return "git", source.git


def name_of(source: AnySource) -> str:
    """Return what a source is called: its name, else its address without the scheme."""
    if source.name:
        return source.name
    _, origin = origin_of(source)
    parts = urlsplit(origin)
    return (parts.netloc.rpartition("@")[2] + parts.path).rstrip("/") if parts.netloc else origin.rstrip("/")


def public_options(source: SourceOptions) -> dict[str, object]:
    """Return a source's options as the ledger and Prefect may keep them: no header's value, no password, no token."""
    options = source.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if source.header:
        options["header"] = [f"{line.partition(':')[0].strip()}: (withheld)" for line in source.header]
    for key in {"website", "feed", "sitemap", "git", "documents", "persona-url"} & options.keys():
        options[key] = public_address(options[key])
    return options


def public_address(address: str) -> str:
    """Return where a source is as it may be kept and shown; a path is what it is, a URL loses password and tokens."""
    from connectors.web.urls import redact

    return redact(address) if "://" in address else address
