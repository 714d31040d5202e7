"""Every outbound request goes through `connectors.web.guard`: no other file makes a client of its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MAKERS = {
    "httpx": {
        "AsyncClient", "Client", "AsyncHTTPTransport", "HTTPTransport", "get", "post", "put", "patch", "delete", "head",
        "options", "request", "stream",
    },
    "aiohttp": {"ClientSession", "TCPConnector", "request"},
    "requests": None,
    "urllib3": None,
    "urllib.request": {"urlopen", "urlretrieve", "build_opener", "OpenerDirector", "URLopener"},
    "http.client": {"HTTPConnection", "HTTPSConnection"},
    "httpcore": None,
    "httpx_aiohttp": None,
    "ftplib": None,
    "telnetlib": None,
    "smtplib": None,
    "websockets": None,
    "pycurl": None,
    "curl_cffi": None,
    "socket": {"create_connection"},
    "asyncio": {"open_connection"},
}  # fmt: skip

# An event loop's own ways out, whatever the loop is called.
DIALS = {"create_connection", "sock_connect", "create_datagram_endpoint"}

# Who may, what, and why.
ALLOWED = {
    ("connectors/web/door.py", "*"): "the door itself",
    ("connectors/web/http2.py", "*"): "the same door over HTTP/2",
    ("connectors/web/guard.py", "httpx.AsyncClient"): "httpx's interface over that door",
    ("connectors/persona/client.py", "httpx.AsyncClient"): "over a transport that is handed in: the embedded server",
    ("flows/cleaners.py", "socket.create_connection"): "knocks at the cluster that the operator named",
    ("flows/prefect_api.py", "http.client.HTTPConnection"): "tells the Prefect server that the operator named of a run",
    ("flows/local_server.py", "urllib.request.build_opener"): "asks our own Prefect server on loopback for its health",
}


def clients(source: str) -> list[str]:
    """Return what a file calls that makes a client, by dotted name."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        dotted = _dotted(node.func)
        head, _, rest = dotted.partition(".")
        full = f"{names.get(head, head)}.{rest}".rstrip(".")
        module, _, made = full.rpartition(".")
        for maker, which in MAKERS.items():
            if (which is None and (module == maker or module.startswith(maker + "."))) or (
                which is not None and module == maker and made in which
            ):
                found.append(full)
        if isinstance(node.func, ast.Attribute) and node.func.attr in DIALS and full not in found:
            found.append(f"loop.{node.func.attr}")
    return found


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_no_other_file_makes_a_client():
    guilty = []
    for folder in ("connectors", "flows"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            guilty += [
                f"{name}: {made}"
                for made in clients(path.read_text(encoding="utf-8"))
                if (name, "*") not in ALLOWED and (name, made) not in ALLOWED
            ]
    assert guilty == []


@pytest.mark.parametrize(
    "source",
    [
        "import httpx\nhttpx.AsyncClient()",
        "from httpx import AsyncClient as C\nC()",
        "import aiohttp\nasync def f():\n    async with aiohttp.ClientSession() as s: pass",
        "import urllib.request\nurllib.request.urlopen('x')",
        "from urllib.request import urlopen\nurlopen('x')",
        "import urllib.request as u\nu.urlopen('x')",
        "import requests\nrequests.get('x')",
        "import requests\nrequests.sessions.Session()",
        "import socket\nsocket.create_connection(('x', 1))",
        "import asyncio\nasyncio.open_connection('x', 1)",
        "import asyncio\nasync def f():\n    await asyncio.get_running_loop().create_connection(P, 'x', 1)",
        "async def f(loop):\n    await loop.sock_connect(s, ('x', 1))",
        "import http.client\nhttp.client.HTTPSConnection('x')",
    ],
)
def test_the_search_finds_a_client(source):
    assert clients(source)


def test_every_exception_is_still_needed():
    for name, made in ALLOWED:
        assert made == "*" or made in clients((ROOT / name).read_text(encoding="utf-8")), (name, made)
