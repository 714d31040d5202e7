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
