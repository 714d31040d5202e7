"""The command `persona-ingest`: finds the subcommand, and turns every ending into a sentence and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

from flows import bytecode

bytecode.keep()  # first of all: what is imported before it is compiled at every start

import click  # noqa: E402

from connectors import memory  # noqa: E402
from flows.commands.frame import Frame  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED, USAGE, STOPPED = 1, 2, 3

COMMANDS = {
    "import": ("flows.commands.imports:import_", "Import websites and documents once: crawl, clean, deliver, verify."),
    "sync": ("flows.commands.syncs:sync", "Bring the sources of sources.yaml up to date: add, update, remove."),
    "retry": ("flows.commands.operate:retry", "Send again what failed or whose outcome is unknown."),
    "verify": ("flows.commands.operate:verify", "Compare the knowledge base with the ledger; --repair mends it."),
    "preview": ("flows.commands.look:preview", "Show a page as it would be sent, and why. Stores and sends nothing."),
    "explain": ("flows.commands.look:explain", "Tell what became of a URL in each run, and by which rule."),
    "status": ("flows.commands.look:status", "List the sources: pages, last run, next run, batches by state."),
    "ask": ("flows.commands.persona:ask", "Ask the persona a question."),
    "chats": ("flows.commands.persona:chats", "Show the chat history; --gaps: questions it could not answer."),
    "persona": ("flows.commands.persona:persona", "Create a persona from a folder or file, or delete one."),
    "ui": ("flows.commands.servers:ui", "Start the local Prefect server with its UI; --stop ends it."),
    "serve": ("flows.commands.servers:serve", "Serve the embedded Persona knowledge base on a port."),
}


class Commands(click.Group):
    """A group whose commands are imported when they are called: `--help` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of a first meeting."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; one that is misspelt brings what was probably meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            meant = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {meant[0]!r}?" if meant else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"persona-ingest {version('persona-ingest')}")
        ctx.exit()


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
def cli() -> None:
    """Keep an AI persona's knowledge base equal to your website, help centre and documents.

    \b
    Examples:
      persona-ingest import https://docs.example.com
      persona-ingest import ./handbook --name handbook
      persona-ingest status
      persona-ingest ask "How do I reset my password?"

    Without PERSONA_CLIENT_SECRET the pages go to a knowledge base on this machine; no account is needed.

    \b
    Exit codes: 0 all delivered and verified; 1 something failed, `retry` takes it up; 2 wrong usage or
    configuration; 3 stopped: by Ctrl-C or a cancel in Prefect, or because the API refuses us, the state cannot be
    written, or too much waits to be sent; the same command goes on from there; 4 waits for approval.
    """


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and end the process with its exit code."""
    memory.collect_hardly()
    os.environ.setdefault("DO_NOT_TRACK", "1")  # Prefect's client reports its use to its makers unless told not to
    os.environ.setdefault(
        "PYDANTIC_DISABLE_PLUGINS", "__all__"
    )  # looking for some reads what every package says of itself
    words = list(sys.argv[1:] if argv is None else argv)
    frame = Frame.of(words)
    try:
        code = cli.main(args=words, prog_name="persona-ingest", standalone_mode=False, obj=frame)
    except BaseException as error:  # noqa: BLE001 - the one place where every ending gets its code
        code = _ending(error, frame)
    code = code if isinstance(code, int) else 0
    frame.close(code)
    sys.exit(code)


def _ending(error: BaseException, frame: Frame) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if frame.debug and not isinstance(error, click.ClickException):
        traceback.print_exception(error)
    code, sentence = _verdict(error)
    frame.fail(sentence, code)
    return code


def _verdict(error: BaseException) -> tuple[int, str]:
    """Return the exit code of an error, and the sentence that says what to do next."""
    if isinstance(error, click.ClickException):
        return USAGE, _usage(error)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return STOPPED, "Stopped on request. What was read is kept: the same command goes on from here."
    from connectors.errors import FatalError, IngestError, UsageError, unexpected

    if isinstance(error, IngestError):
        return (USAGE if isinstance(error, UsageError) else STOPPED if isinstance(error, FatalError) else FAILED), str(
            error
        )
    return STOPPED, unexpected(error)


def _usage(error: click.ClickException) -> str:
    ctx: Any = getattr(error, "ctx", None)
    hint = f" See `{ctx.command_path} --help`." if ctx else ""
    return error.format_message() + hint


if __name__ == "__main__":
    main()
