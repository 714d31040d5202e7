"""From the words of a command to the definition of a source, with one clear sentence for each wrong word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import ValidationError

    from connectors.settings import AnySource, DocumentsSource, WebsiteSource

_SOURCE_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--name",), {"metavar": "NAME", "help": "How the source is called; its address unless given."}),
    (
        ("--scope",),
        {
            "type": click.Choice(["path", "host", "domain"]),
            "help": "What is read: the start address' folder (default), its host, or its domain.",
        },
    ),
    (("--include",), {"multiple": True, "metavar": "GLOB", "help": "Read only these, such as '/docs/**'. Repeatable."}),
    (("--exclude",), {"multiple": True, "metavar": "GLOB", "help": "Never request these. Repeatable."}),
    (("--max-pages",), {"type": int, "metavar": "N", "help": "Stop after so many pages."}),
    (("--max-depth",), {"type": int, "metavar": "N", "help": "Follow links only so far from the start."}),
    (("--concurrency",), {"type": int, "metavar": "N", "help": "Requests at once to one host. Default 8."}),
    (
        ("--delay",),
        {
            "type": float,
            "metavar": "SECONDS",
            "help": "Between two requests to one host. Default: what robots.txt asks.",
        },
    ),
    (("--user-agent",), {"metavar": "TEXT", "help": "Another name than persona-ingest/VERSION (+contact)."}),
    (
        ("--header",),
        {
            "multiple": True,
            "metavar": "'Name: value'",
            "help": "Sent to the source's own origin; ${NAME} comes from the environment. Repeatable.",
        },
    ),
    (
        ("--render",),
        {
            "type": click.Choice(["auto", "never", "always"]),
            "help": "Run JavaScript: where a page is empty without it (auto, default).",
        },
    ),
    (("--http2",), {"is_flag": True, "default": None, "help": "Speak HTTP/2 where the server does (extra http2)."}),
    (("--select",), {"multiple": True, "metavar": "CSS", "help": "Only what matches is content. Repeatable."}),
    (("--remove",), {"multiple": True, "metavar": "CSS", "help": "Drop what matches. Repeatable."}),
    (("--delivery",), {"type": click.Choice(["store", "stream"]), "help": "By store-pages (default) or stream-pages."}),
    (("--batch-size",), {"type": int, "metavar": "N", "help": "Most pages in one call. Default 50."}),
    (("--timeout",), {"type": float, "metavar": "SECONDS", "help": "For one API call. Default 60."}),
    (("--settle",), {"type": float, "metavar": "SECONDS", "help": "How long an unknown outcome may still appear."}),
    (("--attempts",), {"type": int, "metavar": "N", "help": "How often one batch is tried. Default 5."}),
    (("--dry-run",), {"is_flag": True, "default": None, "help": "Say what would change; write and send nothing."}),
    (("--prompts/--no-prompts",), {"default": None, "help": "Ask for prompts about the new pages. Default yes."}),
    (("--review/--no-review",), {"default": None, "help": "Submit findings for review. Default yes."}),
    (("--persona-url",), {"metavar": "URL", "help": "Another Persona API than PERSONA_BASE_URL."}),
)


def cleaners_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--cleaners``: who cleans is the machine's business, not the source's."""
    return click.option(
        "--cleaners",
        metavar="WHERE",
        help="Clean pages in so many processes (default: one a core), or on dask://HOST:PORT or ray://HOST:PORT.",
    )(command)


_OF_ONE_PAGE = {"--user-agent", "--header", "--http2", "--select", "--remove"}


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command every option of a source; what was not given arrives as None or ()."""
    for words, settings in reversed(_SOURCE_OPTIONS):
        command = click.option(*words, **settings)(command)
    return command


def page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that one page is read by; the others of `import` are taken and have no meaning."""
    for words, settings in reversed(_SOURCE_OPTIONS):
        command = click.option(*words, **settings, hidden=words[0] not in _OF_ONE_PAGE)(command)
    return command


def source_of(where: str, options: Mapping[str, Any]) -> WebsiteSource | DocumentsSource:
    """Return the source that an address or path and the given options describe.

    Raises:
        UsageError: a word is wrong; the sentence names it and says what would be right.
    """
    from pydantic import ValidationError

    from connectors.errors import UsageError
    from connectors.pipeline import operate

    try:
        source = operate.source_for(where, **{key: value for key, value in options.items() if value not in (None, ())})
    except ValidationError as error:
        raise UsageError(sentence(error)) from None
    check(source)
    return source


def sentence(error: ValidationError, *, dashes: bool = True) -> str:
    """Return what a validation error says as one sentence that names the option."""
    first = error.errors()[0]
    name = "-".join(str(part) for part in first["loc"] if not isinstance(part, int)).replace("_", "-")
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    message = message.replace("Input should be", "must be").replace(
        "Extra inputs are not permitted", "is no known option"
    )
    shown = f", got {first['input']!r}" if isinstance(first["input"], str | int | float) else ""
    if name in {"website", "documents", "feed", "sitemap", "git"}:
        return f"{message}."
    return f"{'--' if dashes else ''}{name} {message}{shown}."


def check(source: AnySource) -> None:
    """Refuse what no model can see: a glob or a selector that can never match.

    Raises:
        UsageError: one sentence with the word and what would be right.
    """
    from connectors.errors import UsageError

    for option in ("include", "exclude"):
        for glob in getattr(source, option):
            if not glob.strip() or glob.count("[") != glob.count("]"):
                raise UsageError(f"--{option} {glob!r} is no glob: write it like '/docs/**' or '*.pdf'.")
    for option in ("select", "remove"):
        for selector in getattr(source, option):
            if not _is_selector(selector):
                raise UsageError(
                    f"--{option} {selector!r} is no CSS selector: write it like 'main' or 'div.content > p'."
                )


def _is_selector(text: str) -> bool:
    import soupsieve

    try:
        soupsieve.compile(text)
    except soupsieve.SelectorSyntaxError:
        return False
    return True
