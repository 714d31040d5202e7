"""The door over HTTP/2, against a real nginx."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import ssl
import subprocess
import time

import pytest
from loopback import free_port

from connectors.models import Resource
from connectors.web.address_book import AddressBook
from connectors.web.fetcher import Fetcher, Limits
from connectors.web.http2 import Http2Door

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(not NGINX or not shutil.which("openssl"), reason="needs nginx and openssl")

CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port} ssl http2; server_name good.test;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    location / {{ default_type text/plain; return 200 "$server_protocol $request_uri $http_user_agent"; }}
    location /moved {{ return 301 /there; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=good.test",
            "-addext", "subjectAltName=DNS:good.test", "-keyout", folder / "key.pem", "-out", folder / "cert.pem",
        ],
        capture_output=True,
        check=True,
    )  # fmt: skip
    port = free_port()
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, port=port))
    server = subprocess.Popen(
        [NGINX, "-c", folder / "nginx.conf", "-e", folder / "error.log"], stderr=subprocess.DEVNULL
    )
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert server.poll() is None, (folder / "error.log").read_text()
        time.sleep(0.05)
    yield port, ssl.create_default_context(cafile=folder / "cert.pem")
    server.terminate()
    server.wait(10)


async def to_loopback(host, port):
    return ["127.0.0.1"]


async def test_many_pages_come_over_http2_through_the_guard(nginx):
    port, trust = nginx
    start = f"https://good.test:{port}"
    door = Http2Door(AddressBook((start,), resolver=to_loopback), tls=trust)
    fetcher = Fetcher(user_agent="persona-ingest/0", door=door)
    got = await asyncio.gather(*[fetcher.fetch(f"{start}/page{n}?a=b|c") for n in range(20)])
    assert all(isinstance(item, Resource) for item in got)
    assert got[7].body == b"HTTP/2.0 /page7?a=b|c persona-ingest/0"
    assert (await fetcher.fetch(f"{start}/moved")).uri == f"{start}/there"
    await fetcher.aclose()


async def test_an_inside_address_and_another_name_are_refused_here_too(nginx):
    port, trust = nginx
    named = f"https://other.test:{port}"
    door = Http2Door(AddressBook((named,), resolver=to_loopback), tls=trust)
    fetcher = Fetcher(user_agent="x/1", door=door, limits=Limits(attempts=1))
    assert (await fetcher.fetch(f"{named}/x")).rule == "tls"
    assert (await fetcher.fetch(f"https://good.test:{port}/x")).rule == "private-address"
    await fetcher.aclose()


async def test_no_log_tells_what_is_sent(nginx, caplog):
    caplog.set_level(logging.DEBUG)
    port, trust = nginx
    start = f"https://good.test:{port}"
    door = Http2Door(AddressBook((start,), resolver=to_loopback), tls=trust)
    fetcher = Fetcher(user_agent="persona-ingest/0", headers={"Authorization": "hush-canary"}, door=door)
    assert isinstance(await fetcher.fetch(f"{start}/page"), Resource)
    await fetcher.aclose()
    assert "canary" not in caplog.text
    coded = [record.name for record in caplog.records if record.name.startswith(("hpack", "h2", "httpcore"))]
    assert coded == [], "a coded head is as good as the plain one"


async def test_what_is_not_there_is_refused(nginx):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{probe.getsockname()[1]}/"
        fetcher = Fetcher(user_agent="x/1", door=Http2Door(AddressBook((gone,))), limits=Limits(attempts=1))
        assert (await fetcher.fetch(gone)).rule == "refused"
        await fetcher.aclose()
