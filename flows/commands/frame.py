"""What surrounds every command: where its output goes, and the options that all of them share."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from connectors.settings import PersonaSettings
    from connectors.state import StateSettings


@dataclass(slots=True, kw_only=True)
class Frame:
    """One command's output: with ``--json`` exactly one object on stdout, whatever any library prints.

    Attributes:
        as_json: `--json` was given; everything that is printed meanwhile goes to stderr.
        debug: `--debug` was given; errors come with their traceback.
    """

    as_json: bool = False
    debug: bool = False
    answer: Mapping[str, Any] | None = None
    _stdout: TextIO | None = field(default=None, repr=False)

    @classmethod
    def of(cls, words: Sequence[str]) -> Frame:
        """Read the flags that decide about output before click parses anything, so that its errors obey them too."""
        own = words[: words.index("--")] if "--" in words else words
        frame = cls(as_json="--json" in own, debug="--debug" in own)
        if frame.as_json:
            frame._keep_stdout_clean()
        return frame

    def _keep_stdout_clean(self) -> None:
        # On the level of file descriptors, so that child processes and C libraries cannot spoil the object either.
        sys.stdout.flush()
        self._stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def say(self, answer: Mapping[str, Any]) -> None:
        """Set the object that ``--json`` prints at the end."""
        self.answer = answer

    def fail(self, sentence: str, code: int) -> None:
        """Print one sentence on stderr, and make sure that ``--json`` has an object to print."""
        if sentence:
            click.echo(f"persona-ingest: {sentence}", err=True)
        state = {1: "failed", 2: "usage-error", 3: "stopped", 4: "awaiting-approval"}.get(code, "failed")
        self.answer = {"state": state, **(self.answer or {}), "error": sentence}

    def close(self, code: int) -> None:
        """Print the object."""
        if self._stdout is None:
            return
        with contextlib.suppress(BrokenPipeError):
            self._stdout.write(
                json.dumps({**(self.answer or {}), "exit_code": code}, ensure_ascii=False, indent=2) + "\n"
            )
            self._stdout.close()


pass_frame = click.make_pass_decorator(Frame)

_COMMON = (
    click.option("--state", type=click.Path(path_type=Path), metavar="DIR", help="Ledger and embedded knowledge base."),
    click.option("--ledger", metavar="URL", help="Ledger's database: SQLite in the state folder, or postgresql://..."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout; everything else to stderr."),
    click.option("--debug", is_flag=True, help="Show tracebacks and debug logs."),
)


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--state`, `--ledger`, `--json`, `--debug`; it gets a `Frame` and ``state``, a StateSettings."""

    @functools.wraps(command)
    def with_settings(
        *args: Any, state: Path | None, ledger: str | None, as_json: bool, debug: bool, **options: Any
    ) -> Any:
        frame: Frame = click.get_current_context().obj or Frame(as_json=as_json)
        logs(debug=debug)
        return command(frame, *args, state=state_settings(state, ledger), **options)

    for option in reversed(_COMMON):
        with_settings = option(with_settings)
    return with_settings


def logs(*, debug: bool) -> None:
    """Send our own warnings (with ``debug``: everything of ours) to stderr; other libraries' logs stay theirs."""
    import logging

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(levelname)s  %(message)s", datefmt="%H:%M:%S"))
    handler.setLevel(logging.DEBUG if debug else logging.WARNING)
    for name in ("connectors", "flows"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        logger.addHandler(handler)
        logger.propagate = False


def state_settings(state: Path | None = None, ledger: str | None = None) -> StateSettings:
    """Return where the state is: options first, then the environment."""
    from connectors.state import StateSettings

    given: dict[str, Any] = {"state": state, "ledger": ledger}
    return StateSettings(**{key: value for key, value in given.items() if value is not None})


def persona_settings(base_url: str = "") -> PersonaSettings:
    """Return where the persona is, from the environment; ``base_url`` overrides PERSONA_BASE_URL.

    Raises:
        UsageError: an address in the environment or in ``base_url`` is none.
    """
    from pydantic import ValidationError

    from connectors.errors import UsageError
    from connectors.settings import PersonaSettings

    try:
        return PersonaSettings(**({"base_url": base_url} if base_url else {}))
    except ValidationError as error:
        first = error.errors()[0]
        name = "--persona-url" if base_url else f"PERSONA_{'_'.join(map(str, first['loc'])).upper()}"
        raise UsageError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None
