"""A real Prefect as `persona-ingest ui` starts it, a Persona API on a port, a site that can change, and Chromium."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.loopback import free_port

SECRET = "s3cret-of-the-test"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    # The UI calls an analytics host by itself. Chromium refuses, and not a route of Playwright's: that one answers only
    # while the test waits for the page, and a click whose request nobody passes on does nothing.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
REPOSITORY = Path(__file__).resolve().parents[2]


def command(*words: str, env: dict[str, str], timeout: float = 500) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *words], env=env, capture_output=True, text=True, timeout=timeout
    )


class Site:
    """A documentation site of so many pages, slow when asked, whose pages can go away."""

    def __init__(self) -> None:
        self.pages = 20
        self.delay_s = 0.0
        self.requests = 0
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.requests += 1
                time.sleep(site.delay_s)
                name = self.path.strip("/")
                known = {f"page-{number}.html" for number in range(1, site.pages + 1)}
                if name not in known | {"", "robots.txt"}:
                    self.send_error(404)
                    return
                body = b"" if name == "robots.txt" else site.page(name).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_): ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def page(self, name: str) -> str:
        links = "".join(f'<li><a href="/page-{n}.html">Page {n}</a></li>' for n in range(1, self.pages + 1))
        topic = name.removesuffix(".html") or "the manual"
        words = " ".join(f"Paragraph {n} of {topic} says how part {n} of it is used and why." for n in range(12))
        menu = f"<ul>{links}</ul>" if not name else ""
        return (
            f"<html lang=en><head><title>About {topic}</title></head>"
            f"<body><main><h1>About {topic}</h1><p>{words}</p>{menu}</main></body></html>"
        )

    def close(self) -> None:
        self._server.shutdown()


@pytest.fixture
def sites():
    """Give one site more with each call."""
    made: list[Site] = []

    def make() -> Site:
        made.append(Site())
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(sites):
    return sites()


class Receiver:
    """A webhook on loopback that keeps the messages it gets."""

    def __init__(self) -> None:
        self.messages: list[dict[str, str]] = []
        messages = self.messages

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_): ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def message(self, subject: str, *, timeout_s: float = 60) -> str:
        """Wait for the message with this subject; returns its body."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            for message in self.messages:
                if message["subject"] == subject:
                    return message["body"]
            time.sleep(0.2)
        raise AssertionError(f"{subject!r} is not among {self.messages}")

    def close(self) -> None:
        self._server.shutdown()


class LocalPrefect:
    """The server's API, as the UI uses it."""

    def __init__(self, known: dict, env: dict[str, str], state: Path) -> None:
        self.known, self.env, self.state = known, env, state
        self.ui_url = known["ui_url"]
        self._http = httpx.Client(base_url=known["api_url"], trust_env=False, timeout=30)
        token = self._http.get("/csrf-token", params={"client": "test"}).json()["token"]
        self._http.headers.update({"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": token})

    def get(self, path: str):
        return self._http.get(path).json()

    def post(self, path: str, **body):
        answer = self._http.post(path, json=body)
        for _ in range(20):
            if answer.status_code != 503:  # its database is busy on a loaded machine; Prefect's own client asks again
                break
            time.sleep(1)
            answer = self._http.post(path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def run(self, deployment: str, **parameters) -> str:
        found = self.get(f"/deployments/name/{deployment}")
        return self.post(f"/deployments/{found['id']}/create_flow_run", parameters=parameters)["id"]

    def state_of(self, run: str) -> tuple[str, str]:
        flow_run = self.get(f"/flow_runs/{run}")
        return flow_run["state_type"], (flow_run["state"] or {}).get("message") or ""

    def wait(self, run: str, *states: str, timeout_s: float = 400) -> str:
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            kind, message = self.state_of(run)
            if kind in (states or {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}):
                return message
            assert kind in {"SCHEDULED", "PENDING", "RUNNING", "CANCELLING", "PAUSED"}, (kind, message, self.logs(run))
            time.sleep(0.5)
        raise AssertionError(f"{run} is {self.state_of(run)}, not {states}: {self.logs(run)}")

    def logs(self, run: str) -> list[str]:
        rows = self.post("/logs/filter", logs={"flow_run_id": {"any_": [run]}}, sort="TIMESTAMP_ASC")
        return [row["message"] for row in rows]

    def task_names(self, run: str) -> set[str]:
        return {row["name"] for row in self.post("/task_runs/filter", flow_runs={"id": {"any_": [run]}})}

    def pages_held(self) -> list[str]:
        """Return the addresses in the knowledge base: each item's first line names its source."""
        address = f"{self.persona_url}api/kb/training-data"
        items = httpx.get(address, headers={"Authorization": SECRET}, trust_env=False).json()["training_data"]
        return [item["content"].splitlines()[0].removeprefix("Source: ") for item in items]

    def make_block(self, kind: str, name: str, /, **data) -> str:
        """Make a block as the UI's form does; returns its id."""
        block_type = self.get(f"/block_types/slug/{kind}")["id"]
        schema = self.post("/block_schemas/filter", block_schemas={"block_type_id": {"any_": [block_type]}})[0]["id"]
        made = self.post("/block_documents/", name=name, block_type_id=block_type, block_schema_id=schema, data=data)
        return made["id"]

    def latest_report(self, run: str) -> dict:
        rows = self.post(
            "/artifacts/filter", flow_runs={"id": {"any_": [run]}}, artifacts={"type": {"any_": ["markdown"]}}
        )
        return next(row for row in rows if row["key"].startswith("report-"))


@pytest.fixture(scope="module")
def local_prefect(tmp_path_factory):
    state = tmp_path_factory.mktemp("state")
    work = tmp_path_factory.mktemp("work")
    port = free_port()
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT", "PERSONA"))}
    env |= {"PERSONA_INGEST_STATE": str(state), "PERSONA_INGEST_CONFIG": str(work / "sources.yaml")}
    persona = env | {"PERSONA_CLIENT_SECRET": SECRET, "PERSONA_INGEST_STATE": str(tmp_path_factory.mktemp("persona"))}
    served = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "serve", "--port", str(port)], env=persona, stderr=subprocess.DEVNULL
    )
    env |= {"PERSONA_CLIENT_SECRET": SECRET, "PERSONA_BASE_URL": f"http://127.0.0.1:{port}/persona/"}
    env |= {"PERSONA_VOICE_BASE_URL": f"http://127.0.0.1:{port}/"}
    try:
        started = command("ui", "--no-open", "--json", "--port", str(free_port()), env=env)
        assert started.returncode == 0, started.stderr
        prefect = LocalPrefect(json.loads(started.stdout), env, state)
        prefect.work = work
        prefect.persona_url = env["PERSONA_BASE_URL"]
        yield prefect
    finally:
        ended = command("ui", "--stop", env=env)
        served.send_signal(signal.SIGTERM)
        served.wait(25)
    assert ended.returncode == 0


@pytest.fixture(scope="module")
def notices(local_prefect, tmp_path_factory):
    """The automations of docs/deploy/notices.yaml, created as its head says, with a webhook as their block."""
    receiver = Receiver()
    told = {"subject": "{{subject}}", "body": "{{body}}"}
    block = local_prefect.make_block("custom-webhook", "notices", name="test", url=receiver.url, json_data=told)
    text = (REPOSITORY / "docs" / "deploy" / "notices.yaml").read_text()
    file = tmp_path_factory.mktemp("notices") / "notices.yaml"
    file.write_text(text.replace("00000000-0000-0000-0000-000000000000", block))
    words = [sys.executable, "-m", "prefect", "automation", "create", "--from-file", str(file)]
    env = local_prefect.env | {"PREFECT_API_URL": local_prefect.known["api_url"]}
    made = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)
    assert made.returncode == 0, made.stdout + made.stderr
    yield receiver
    receiver.close()


@pytest.fixture
def page(local_prefect):
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        yield page
        browser.close()


@pytest.fixture(name="command")
def _command():
    return command


@pytest.fixture(name="picture")
def _picture():
    return picture


def picture(page, name: str, *, full: bool = False) -> None:
    """Keep a screenshot for the documentation when PERSONA_INGEST_PICTURES names a folder."""
    folder = os.environ.get("PERSONA_INGEST_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=full)
