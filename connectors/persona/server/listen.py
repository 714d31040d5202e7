"""The embedded server on a port."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

import uvicorn

from connectors.errors import UsageError
from connectors.persona.server import create_app

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr


def run(
    state: Path, *, host: str, port: int, secret: SecretStr | None, max_item_chars: int | None, stop_s: int
) -> None:
    """Serve until a signal ends it; see `connectors.persona.server.serve`."""
    local = _is_loopback(host)
    if not local and secret is None:
        raise UsageError(f"{host} can be reached from other machines: set PERSONA_CLIENT_SECRET first.")
    app = create_app(state, secret=secret, max_item_chars=max_item_chars, hosts=frozenset() if local else None)
    with _bound(host, port) as listener:
        address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/"
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=stop_s,
            server_header=False,
            proxy_headers=False,
            ws="none",
        )
        print(f"Knowledge base: {address}   API: {address}persona/", flush=True)  # noqa: T201 - what serve is for
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            pass
        finally:
            app.state.store.close()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(256)
    except (OSError, OverflowError) as error:
        raise UsageError(f"{host}:{port} cannot be served: {error}. Choose another with --host or --port.") from error
    return listener
