"""`serve` as a process: it says where it is, and SIGTERM ends it, whatever hangs on it."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

PROGRAM = """
import sys
from pathlib import Path
from connectors.persona.server import serve
serve(Path(sys.argv[1]), host="127.0.0.1", port=0, secret=None)
"""


@pytest.fixture
def process(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_it_prints_its_address_serves_and_ends_on_sigterm_while_a_request_hangs(process, tmp_path):
    line = process.stdout.readline()
    port = int(re.search(r"http://127\.0\.0\.1:([0-9]+)/persona/", line)[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"pages": [{"title": "t", "content": "c"}]})
    connection.request("POST", "/persona/api/kb/store-pages", body, {"content-type": "application/json"})
    assert connection.getresponse().status == 200
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(
            b"POST /persona/api/kb/store-pages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        )
        slow.sendall(b"content-length: 1000\r\n\r\n{")
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        process.wait(20)
    assert time.monotonic() - started < 20
    assert (tmp_path / "knowledge-base.sqlite3").exists()
