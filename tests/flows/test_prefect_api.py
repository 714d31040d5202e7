"""Which servers we speak to ourselves, and how; the server here is a small one that answers as it is told."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from importlib.metadata import version

import pytest

from flows import local_server, prefect_api
from tests.flows.following import companion, hear, messages, say

INSTALLED = version("prefect")


class Server:
    """Answers each path by what stands in `answers`, one after the other, the last for ever; keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.answers: dict[str, list[tuple[int, object]]] = {}
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = self.path.partition("?")[0].removeprefix("/api/")
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                server.asked.append((self.command, path, dict(self.headers)))
                waiting = server.answers.get(path, [(404, "nothing")])
                status, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                if status == 0:
                    self.close_connection = True
                    return
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_): ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/api"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    one = Server()
    one.answers = {"admin/version": [(200, INSTALLED)], "csrf-token": [(422, {"detail": "disabled"})]}
    yield one
    one.close()


def reached(server, tmp_path, **settings):
    return prefect_api.reach({"PREFECT_API_URL": server.url, "PREFECT_HOME": str(tmp_path)} | settings, folder=tmp_path)


def test_a_server_of_the_installed_version_is_spoken_to(server, tmp_path):
    assert reached(server, tmp_path) is not None
    assert {headers["X-PREFECT-API-VERSION"] for _, _, headers in server.asked} == {prefect_api.API_VERSION}


@pytest.mark.parametrize(
    "settings",
    [
        {"PREFECT_API_KEY": "k"},
        {"PREFECT_API_AUTH_STRING": "admin:admin"},
        {"PREFECT_CLIENT_CUSTOM_HEADERS": '{"a": "b"}'},
        {"PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "true"},
        {"PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true"},
        {"PREFECT_LOGGING_LEVEL": "ERROR"},
        {"PREFECT_SOMETHING_NEW": "1"},
        {"PREFECT_API_URL": "https://127.0.0.1/api"},
        {"PREFECT_API_URL": "http://user:secret@127.0.0.1/api"},
        {"PREFECT_API_URL": "http://prefect.example/api", "HTTP_PROXY": "http://127.0.0.1:3128"},
    ],
)
def test_what_only_prefects_client_understands_is_left_to_it(server, tmp_path, settings):
    assert reached(server, tmp_path, **settings) is None
    assert server.asked == []


@pytest.mark.parametrize(
    "name",
    [
        "PREFECT_SERVER_ANALYTICS_ENABLED",
        "PREFECT_UI_ENABLED",
        "PREFECT_UI_API_URL",
        "PREFECT_API_SERVICES_SCHEDULER_ENABLED",
        "PREFECT_API_DATABASE_CONNECTION_URL",
    ],
)
def test_what_is_set_for_a_server_is_no_matter_of_who_speaks_to_it(server, tmp_path, name):
    assert reached(server, tmp_path, **{name: "false"}) is not None


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".env", "prefect_api_key=k\n"),
        ("prefect.toml", "[client]\nmax_retries = 1\n"),
        ("pyproject.toml", "[tool.prefect.client]\nmax_retries = 1\n"),
        ("profiles.toml", 'active = "x"\n[profiles.x]\nPREFECT_API_KEY = "k"\n'),
    ],
)
def test_files_of_settings_are_left_to_prefects_client(server, tmp_path, file, text):
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["prefect"]\n')
    assert reached(server, tmp_path) is not None
    (tmp_path / file).write_text(text)
    assert reached(server, tmp_path) is None


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("admin/version", (200, "2.20.9")),
        ("admin/version", (200, f"{INSTALLED.partition('.')[0]}.999.0")),
        ("admin/version", (401, "who are you?")),
        ("admin/version", (0, "")),
        ("csrf-token", (500, "broken")),
        ("csrf-token", (200, ["odd"])),
    ],
)
def test_a_server_that_is_not_as_we_know_them_is_left_to_prefects_client(server, tmp_path, path, answer):
    server.answers[path] = [answer]
    assert reached(server, tmp_path) is None


def test_a_token_against_cross_site_requests_is_shown_and_renewed(server, tmp_path):
    server.answers |= {
        "csrf-token": [(200, {"token": "first"}), (200, {"token": "second"})],
        "flows/": [(201, {"id": 1}), (403, {"detail": "Invalid CSRF token"}), (201, {"id": 2})],
    }
    api = reached(server, tmp_path)
    assert [api.ask("POST", "flows/", {})["id"], api.ask("POST", "flows/", {})["id"]] == [1, 2]
    shown = [headers["Prefect-Csrf-Token"] for _, path, headers in server.asked if path == "flows/"]
    assert shown == ["first", "first", "second"]


def test_a_busy_server_and_one_that_hangs_up_are_asked_again(server):
    server.answers["flows/"] = [(503, "busy"), (429, "busy"), (0, ""), (201, {"id": 1})]
    assert prefect_api.PrefectApi(server.url, first_pause_s=0.01).ask("POST", "flows/", {}) == {"id": 1}


def test_a_refusal_is_told_at_once_and_says_what_it_was(server, tmp_path):
    server.answers["flows/"] = [(422, "no such field")]
    with pytest.raises(prefect_api.PrefectError, match=r"HTTP 422 to POST flows/.*no such field") as error:
        reached(server, tmp_path).ask("POST", "flows/", {})
    assert error.value.status == 422
    assert [path for _, path, _ in server.asked].count("flows/") == 1


def test_a_server_that_refuses_the_run_ends_the_record_and_not_the_process(server, tmp_path):
    server.answers["flows/"] = [(403, "not you")]
    with companion(PREFECT_API_URL=server.url, PREFECT_HOME=str(tmp_path)) as process:
        for _ in range(2):
            say(process, messages())
            assert hear(process) == {"following": True}
            assert "HTTP 403" in hear(process)["done"]
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.slow
def test_a_real_server_with_protection_against_cross_site_requests_takes_a_run(tmp_path):
    port = local_server.free_port()
    url = f"http://127.0.0.1:{port}/api"
    protected = {"PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"}
    serving = subprocess.Popen(
        [sys.executable, "-m", "flows.companion_process", str(port), "whole"],
        env=os.environ | local_server.temporary(tmp_path, api_url=url) | protected,
        stdin=subprocess.PIPE,
    )
    try:
        until = time.monotonic() + 150
        while not local_server.is_alive(url) and time.monotonic() < until:
            time.sleep(0.2)
        with companion(PREFECT_API_URL=url, PREFECT_HOME=str(tmp_path / "home")) as process:
            say(process, messages())
            assert hear(process) == {"following": True}
            assert hear(process) == {"done": ""}
            modules = [line for line in open(f"/proc/{process.pid}/maps") if "pydantic_core" in line]  # noqa: SIM115, PTH123
            assert modules == [], "it was told by us"
    finally:
        serving.kill()
        serving.wait()
        serving.stdin.close()
