"""A fetcher for one source, as its options ask."""

from __future__ import annotations

import os
import re
from importlib import metadata
from typing import TYPE_CHECKING

from connectors.errors import UsageError
from connectors.settings import default_user_agent
from connectors.web.fetcher import Fetcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from connectors.settings import SourceOptions
    from connectors.web.fetcher import Limits

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_RESERVED = frozenset(
    "host connection content-length transfer-encoding accept-encoding te upgrade range if-range expect trailer".split()  # noqa: SIM905
)


def open_fetcher(
    options: SourceOptions, start: str, *, limits: Limits | None = None, environment: Mapping[str, str] | None = None
) -> Fetcher:
    """Return the fetcher that a source's options describe; close it with ``aclose``.

    Args:
        options: of the source; its headers go to the origin of ``start`` and nowhere else.
        start: the address that the operator named: it is fetched wherever it is.
        limits: of one fetch.
        environment: where ``${NAME}`` in a header comes from; None is the process's.

    Raises:
        UsageError: a header or the user agent is wrong, or a variable that a header names is not set.
    """
    return Fetcher(
        user_agent=_user_agent(options.user_agent),
        headers=parse_headers(options.header, environment=os.environ if environment is None else environment),
        concurrency=options.concurrency,
        delay_s=options.delay,
        allowed=(start,),
        limits=limits,
    )


def _user_agent(wanted: str) -> str:
    if not wanted:
        return default_user_agent(metadata.version("persona-ingest"))
    if not wanted.isascii() or not wanted.isprintable() or not wanted.strip():
        raise UsageError(f"The user agent {wanted!r} cannot be sent: use printable ASCII characters.")
    return wanted.strip()


def parse_headers(values: Iterable[str], *, environment: Mapping[str, str]) -> dict[str, str]:
    """Return headers written as ``Name: value``, with ``${NAME}`` taken from the environment.

    Raises:
        UsageError: one has another form; the message never holds a value.
    """
    headers: dict[str, str] = {}
    for given in values:
        name, colon, value = given.partition(":")
        name = name.strip()
        if not colon or not _NAME.fullmatch(name):
            raise UsageError("A header is wrong: write it like 'Name: value'.")
        if name.lower() in _RESERVED:
            raise UsageError(f"The header {name} is set by the connection itself: leave it out.")
        headers[name] = _filled(name, value.strip(), environment)
    return headers


def _filled(name: str, value: str, environment: Mapping[str, str]) -> str:
    missing = [variable for variable in _VARIABLE.findall(value) if variable not in environment]
    if missing:
        raise UsageError(f"The header {name} needs the environment variable {missing[0]}, which is not set.")
    filled = _VARIABLE.sub(lambda found: environment[found[1]], value)
    if not filled.isprintable() or not _is_latin1(filled):
        raise UsageError(f"The value of the header {name} holds characters that cannot be sent.")
    return filled


def _is_latin1(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True
