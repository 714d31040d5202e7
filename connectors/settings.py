"""Typed settings, read once at the edge: the environment, and the source definitions that YAML, CLI and UI share."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from connectors.state import StateSettings, from_environment

__all__ = [
    "AnySource",
    "DeliveryOptions",
    "DocumentsSource",
    "FeedSource",
    "GitSource",
    "HttpUrl",
    "PersonaSettings",
    "SitemapSource",
    "SourceOptions",
    "StateSettings",
    "WebsiteSource",
]

PERSONA_BASE_URL = "https://persona.bhuman.ai/persona/"
PERSONA_VOICE_BASE_URL = "https://voice.bhuman.ai/"
CONTACT = "https://pypi.org/project/persona-ingest/"


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{value!r} is no web address: write it like https://docs.example.com/")
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]


class PersonaSettings(BaseModel):
    """Where the persona is and how we prove who we are; what is not given is read from the variables ``PERSONA_*``.

    Without a client secret there is no account, and the embedded knowledge base serves.
    """

    model_config = ConfigDict(extra="ignore", defer_build=True)

    client_secret: SecretStr | None = None
    base_url: HttpUrl = PERSONA_BASE_URL
    voice_base_url: HttpUrl = PERSONA_VOICE_BASE_URL

    @model_validator(mode="before")
    @classmethod
    def _read_environment(cls, given: dict[str, Any]) -> dict[str, Any]:
        return from_environment("PERSONA_", cls.model_fields) | given  # pydantic-settings' import costs 0.05 s of CPU


def default_user_agent(version: str) -> str:
    """Return the honest name we crawl under, with a contact."""
    return f"persona-ingest/{version} (+{CONTACT})"


class DeliveryOptions(BaseModel):
    """How pages are sent."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True, defer_build=True)

    delivery: Literal["store", "stream"] = Field(
        "store",
        title="Delivery",
        description="store: batches through store-pages. stream: the run's pages as one stream through stream-pages.",
    )
    batch_size: int = Field(
        50,
        ge=1,
        le=1000,
        alias="batch-size",
        title="Pages a batch",
        description="The most pages in one call.",
    )
    timeout: float = Field(
        60.0, gt=0, le=3600, title="Time-out (seconds)", description="How long one API call may take."
    )
    settle: float | None = Field(
        None,
        ge=0,
        le=3600,
        title="Settling time (seconds)",
        description=(
            "How long pages of a call without a clear answer may still appear. "
            "Empty: learned by the probe, else twice the time-out and at most 60 s."
        ),
    )
    attempts: int = Field(5, ge=1, le=20, title="Attempts", description="How often one batch is tried in a run.")
    prompts: bool = Field(
        True,  # noqa: FBT003 - pydantic's default
        title="Ask for prompts",
        description="Ask auto-generate-prompts for questions about what this run brought.",
    )
    review: bool = Field(
        True,  # noqa: FBT003 - pydantic's default
        title="Submit findings for review",
        description="Send pages that a person should look at to review-data.",
    )


class SourceOptions(DeliveryOptions):
    """What is read and how: the options of ``import``, the keys of ``sources.yaml`` and the run form's fields."""

    name: str = Field("", max_length=100, title="Name", description="How the source is called. Empty: its address.")
    scope: Literal["path", "host", "domain"] = Field(
        "path",
        title="Scope",
        description="path: the start address' folder. host: its whole host. domain: all hosts of its domain.",
    )
    max_pages: int | None = Field(
        None,
        ge=1,
        alias="max-pages",
        title="Most pages",
        description="Stop after so many pages. Empty: no limit.",
    )
    max_depth: int | None = Field(
        None,
        ge=0,
        alias="max-depth",
        title="Most clicks",
        description="Links away from the start. Empty: no limit.",
    )
    include: tuple[str, ...] = Field(
        (),
        title="Only these",
        description="Globs on the path or the whole URL, such as /docs/**; others are not read.",
    )
    exclude: tuple[str, ...] = Field(
        (),
        title="Never these",
        description="Globs on the path or the whole URL; an excluded URL is not requested.",
    )
    concurrency: int = Field(
        8, ge=1, le=64, title="Requests at once", description="The most requests in flight to one host."
    )
    delay: float | None = Field(
        None,
        ge=0,
        le=3600,
        title="Delay (seconds)",
        description="Between two requests to one host. Empty: what robots.txt asks, else none.",
    )
    http2: bool = Field(
        False,  # noqa: FBT003 - pydantic's default
        title="HTTP/2",
        description="Speak HTTP/2 where the server does (needs the extra http2).",
    )
    user_agent: str = Field("", max_length=300, alias="user-agent", title="User agent", description="Empty: ours.")
    header: tuple[str, ...] = Field(
        (),
        title="Headers",
        description="'Name: value' sent to the source's own origin; ${NAME} in it comes from the environment.",
    )
    render: Literal["auto", "never", "always"] = Field(
        "auto", title="Render JavaScript", description="auto: pages that are empty without it."
    )
    select: tuple[str, ...] = Field((), title="Keep (CSS)", description="Only what these selectors match is content.")
    remove: tuple[str, ...] = Field((), title="Remove (CSS)", description="What these selectors match is dropped.")
    dry_run: bool = Field(
        False,  # noqa: FBT003 - pydantic's default
        alias="dry-run",
        title="Dry run",
        description="Say what would change; write and send nothing.",
    )
    persona_url: str = Field(
        "", alias="persona-url", title="Persona API", description="Another base URL than PERSONA_BASE_URL."
    )


class WebsiteSource(SourceOptions):
    """A website, by its start address."""

    website: HttpUrl = Field(title="Start address", description="Crawled from here, in the scope below.")


class DocumentsSource(SourceOptions):
    """A folder or file of documents, local or by an fsspec URL."""

    documents: str = Field(min_length=1, title="Folder or file", description="A path, or s3://bucket/folder.")


class FeedSource(SourceOptions):
    """An RSS, Atom or JSON feed."""

    feed: HttpUrl = Field(title="Feed address", description="Its entries; full articles where it has only teasers.")


class SitemapSource(SourceOptions):
    """A sitemap: exactly what it lists."""

    sitemap: HttpUrl = Field(title="Sitemap address", description="Only what it lists is read.")


class GitSource(SourceOptions):
    """A repository's documentation."""

    git: str = Field(min_length=1, title="Repository", description="URL or path, with #revision:folder if you like.")


AnySource = WebsiteSource | DocumentsSource | FeedSource | SitemapSource | GitSource
