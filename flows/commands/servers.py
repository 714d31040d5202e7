"""The commands that keep a server: `serve` (the embedded Persona API) and `ui` (a local Prefect)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flows.commands.frame import Frame, common, persona_settings

if TYPE_CHECKING:
    from connectors.settings import StateSettings

GRACE_S = 10


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any free one.")
@common
def serve(frame: Frame, *, state: StateSettings, host: str, port: int) -> int:  # noqa: ARG001 - its object is empty
    """Serve the embedded Persona knowledge base: the API, and a page to browse, search and ask.

    \b
    Examples:
      persona-ingest serve
      PERSONA_CLIENT_SECRET=s3cret persona-ingest serve --port 9000
      PERSONA_BASE_URL=http://127.0.0.1:9000/persona/ PERSONA_CLIENT_SECRET=s3cret persona-ingest import ./docs

    It listens on this machine only; SIGTERM or Ctrl-C ends it.
    """
    import socket

    import uvicorn

    from connectors.errors import UsageError
    from connectors.persona import server

    app = server.create_app(state.folder(), secret=persona_settings().client_secret)
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        raise UsageError(f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port.") from None
    port = listening.getsockname()[1]
    click.echo(f"Persona API   http://{host}:{port}/persona/", err=True)
    click.echo(f"Look and ask  http://{host}:{port}/", err=True)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=GRACE_S)
    uvicorn.Server(config).run(sockets=[listening])
    return 0


@click.command()
@click.option("--stop", is_flag=True, help="End the local server and its worker.")
@click.option("--port", type=click.IntRange(1, 65535), help="Default 4200, or any free one when that is taken.")
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="Flow runs at once.")
@click.option(
    "--open/--no-open", "browse", default=None, help="Open the nightly sync in the browser. Default: on a terminal."
)
@common
def ui(frame: Frame, *, state: StateSettings, stop: bool, port: int | None, workers: int, browse: bool | None) -> int:
    """Start the local Prefect server with its UI, the deployments and a worker; print its address.

    \b
    Examples:
      persona-ingest ui
      persona-ingest ui --port 4300 --no-open
      persona-ingest ui --stop

    A second start finds the first. `import` and `sync` use this server while it runs, and their runs are seen there.
    The nightly sync reads sources.yaml of the folder where `ui` was started.
    """
    from connectors.errors import FatalError
    from flows import local_server, local_ui

    folder = state.folder().absolute()
    if stop:
        ended = local_ui.stop(folder)
        frame.say({"running": False, "stopped": ended})
        click.echo("Ended." if ended else "No local server is running.", err=frame.as_json)
        return 0
    known = local_server.local_server(folder)
    if not known:
        click.echo("Starting Prefect (about half a minute, the first time longer) …", err=True)
        known = local_ui.start(folder, port=port, workers=workers)
    elif not local_ui.worker_lives(known):
        log = local_server.folder_of(folder) / "worker.log"
        raise FatalError(
            f"The server runs, but its worker has ended, so no run begins; see {log}. "
            "`persona-ingest ui --stop` and then `persona-ingest ui` start both again."
        )
    frame.say({"running": True, **known})
    if not frame.as_json:
        click.echo(f"Prefect UI     {known['ui_url']}")
        click.echo(f"Nightly sync   {known['nightly_sync']}")
        click.echo(
            f"When           {known.get('schedule', '')} (cron and time zone; status tells the next run, in UTC)"
        )
        click.echo("Ends with      persona-ingest ui --stop")
    _browse(known["nightly_sync"], browse)
    return 0


def _browse(address: str, wanted: bool | None) -> None:  # noqa: FBT001 - None: on a terminal
    import sys
    import webbrowser

    if wanted or (wanted is None and sys.stdout.isatty()):
        webbrowser.open(address)
