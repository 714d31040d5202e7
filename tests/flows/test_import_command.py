"""`persona-ingest import` as a script or a person calls it: a real process, a real site, a real Prefect server."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import httpx
import pytest

from tests.flows.following import cancel


class Site:
    """So many pages that link to each other, each after a delay."""

    def __init__(self, pages: int, delay_s: float) -> None:
        self.requests: list[str] = []
        self.pages = pages
        self.delay_s = delay_s
        self.at_first_request = lambda: None
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.requests.append(self.path)
                if len(site.requests) == 1:
                    site.at_first_request()
                time.sleep(site.delay_s)
                name = self.path.strip("/")
                if name not in {"", *(f"{number}.html" for number in range(site.pages))}:
                    self.send_error(404)
                    return
                links = "".join(f'<a href="/{number}.html">{number}</a> ' for number in range(site.pages))
                words = " ".join(
                    f"Sentence {n} of page {name or 'one'} is a sentence with some words." for n in range(9)
                )
                body = (
                    f"<html lang=en><title>T {name}</title><main><h1>T {name}</h1><p>{words}</p>{links}</main></html>"
                )
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_): ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # a client that stops is no error here
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve():
    """Return what makes a site that serves as long as the test goes on."""
    made = []

    def begin(*, pages, delay_s):
        made.append(Site(pages, delay_s))
        return made[-1]

    yield begin
    for site in made:
        site.close()


@pytest.fixture
def start(tmp_path):
    """Return what starts the command with a clean environment and its own state."""
    running = []

    def begin(*words, stderr=subprocess.PIPE, **variables):
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT", "PERSONA"))}
        env |= {"PERSONA_INGEST_STATE": str(tmp_path / "state"), "PREFECT_HOME": str(tmp_path / "home")} | variables
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *words],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=env,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_json_is_one_object_that_balances_and_a_secret_header_stays_here(serve, start, prefect_api):
    site = serve(pages=12, delay_s=0)
    words = ["import", site.url, "--json", "--name", "twelve", "--header", "X-Token: t0ken-of-the-test"]
    process = start(*words, PREFECT_API_URL=prefect_api)
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert result["state"] == "completed"
    source = result["sources"][0]
    urls = source["urls"]
    parts = [urls["fetched"], urls["not_modified"], *urls["skipped"].values(), *urls["failed"].values()]
    assert urls["discovered"] == sum(parts)
    assert source["delivered"]["stored"] == source["verified"] == source["pages"]["new"] == 13
    assert re.search(r"crawling: \d+ found", err)
    assert "t0ken-of-the-test" not in out + err
    with httpx.Client(base_url=prefect_api, trust_env=False) as client:
        found = client.post("/flow_runs/filter", json={"flow_runs": {"tags": {"all_": ["twelve"]}}}).json()
    assert [one["state_type"] for one in found] == ["COMPLETED"]
    assert "t0ken-of-the-test" not in json.dumps(found)


@pytest.mark.slow
def test_the_first_page_is_asked_for_before_prefect_or_its_server_is_there(serve, start, tmp_path):
    site = serve(pages=2, delay_s=0)
    imported = tmp_path / "imported"
    seen = {}

    def at_first_request():
        seen["imported"] = re.findall(r"\| +(\w+)[\w.]*$", imported.read_text(), re.MULTILINE)
        seen["answers"] = [port for port in server_ports(process.pid) if answers(port)]

    site.at_first_request = at_first_request
    with imported.open("w") as told:
        process = start("import", site.url, "--json", stderr=told, PYTHONPROFILEIMPORTTIME="1")
        out, _ = process.communicate(timeout=170)
    assert json.loads(out)["state"] == "completed"
    assert "httpx" in seen["imported"]
    assert not {"prefect", "fastapi", "trafilatura"} & set(seen["imported"])
    assert seen["answers"] == []
    assert not re.search(r"\| +prefect$", imported.read_text(), re.MULTILINE), "the command never needs it"
    beside = (tmp_path / "state" / "prefect" / "companion.log").read_text()
    assert re.search(r"\| +prefect$", beside, re.MULTILINE), "it came beside the crawl"


def server_ports(parent):
    """Return the ports of the temporary Prefect servers that a process has started."""
    told = subprocess.run(["ps", "--ppid", str(parent), "-o", "args="], capture_output=True, text=True).stdout
    return [int(port) for port in re.findall(r"flows\.companion_process (\d+)", told)]


def answers(port):
    with suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/api/health", trust_env=False).is_success
    return False


def test_ctrl_c_stops_at_a_safe_point_and_the_same_command_goes_on(serve, start, prefect_api):
    site = serve(pages=40, delay_s=0.3)
    words = ["import", site.url, "--json", "--concurrency", "2", "--batch-size", "5"]
    process = start(*words, PREFECT_API_URL=prefect_api)
    until = time.monotonic() + 90
    while len(site.requests) < 12 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert "Traceback" not in err
    assert json.loads(out)["state"] == "stopped"
    kept, before = json.loads(out)["sources"][0]["urls"]["fetched"], len(site.requests)
    assert kept > 0
    again = start(*words, PREFECT_API_URL=prefect_api)
    out, err = again.communicate(timeout=150)
    assert again.returncode == 0, err
    assert json.loads(out)["sources"][0]["verified"] == 41
    assert len(site.requests) - before <= 41 + 4 - kept, "it read again what it had"


@pytest.mark.parametrize("nohup", [False, True])
def test_the_end_of_the_terminal_stops_at_a_safe_point_and_nothing_under_nohup(serve, start, nohup):
    site = serve(pages=8, delay_s=0.5)
    words = ["import", site.url, "--json", "--concurrency", "1", "--no-prompts", "--no-review"]
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)  # the tests may be under nohup
    try:
        process = start(*words)
    finally:
        signal.signal(signal.SIGHUP, before)
    until = time.monotonic() + 90
    while len(site.requests) < 4 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=150)
    assert (process.returncode, json.loads(out)["state"]) == ((0, "completed") if nohup else (3, "stopped")), err


def test_cancelling_the_flow_run_in_prefect_stops_the_command_at_a_safe_point(serve, start, prefect_api):
    site = serve(pages=60, delay_s=0.5)
    words = ["import", site.url, "--name", "cancelled", "--concurrency", "1", "--batch-size", "5", "--no-prompts"]
    process = start(*words, PREFECT_API_URL=prefect_api)
    wanted = {"flow_runs": {"tags": {"all_": ["cancelled"]}, "state": {"type": {"any_": ["RUNNING"]}}}}
    runs, until = [], time.monotonic() + 90
    while (not runs or len(site.requests) < 4) and time.monotonic() < until:
        runs = httpx.post(f"{prefect_api}/flow_runs/filter", json=wanted, trust_env=False).json()
        time.sleep(0.2)
    cancel(prefect_api, runs[0]["id"])
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert "Cancelled in Prefect" in err
    assert "the same command goes on from here" in out
    assert "without Prefect" not in err
    assert "Traceback" not in out + err
    assert httpx.get(f"{prefect_api}/flow_runs/{runs[0]['id']}", trust_env=False).json()["state_type"] == "CANCELLED"
    read, site.delay_s = len(site.requests), 0
    again = start(*words, "--json", PREFECT_API_URL=prefect_api)
    out, err = again.communicate(timeout=150)
    assert again.returncode == 0, err
    assert json.loads(out)["sources"][0]["verified"] == 61
    assert len(site.requests) - read < 65, "it read again what it had"


def test_a_prefect_server_that_does_not_answer_does_not_keep_the_import_from_its_work(serve, start):
    site = serve(pages=3, delay_s=0)
    process = start("import", site.url, PREFECT_API_URL="http://127.0.0.1:9/api")
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    assert "4 read back" in out
    assert "without Prefect" in err
    assert "Traceback" not in err


def test_a_wrong_secret_stops_with_3_and_one_sentence(serve, start, prefect_api, tmp_path):
    served = start("serve", "--port", "0", PERSONA_CLIENT_SECRET="right", PERSONA_INGEST_STATE=str(tmp_path / "kb"))
    address = re.search(r"http://\S+/persona/", served.stderr.readline()).group()
    site = serve(pages=3, delay_s=0)
    process = start(
        "import", site.url, PERSONA_CLIENT_SECRET="wr0ng", PERSONA_BASE_URL=address, PREFECT_API_URL=prefect_api
    )
    out, err = process.communicate(timeout=150)
    assert process.returncode == 3, err
    assert "PERSONA_CLIENT_SECRET" in out + err
    assert "wr0ng" not in out + err
    assert "Traceback" not in err
    served.terminate()
    assert served.wait(20) is not None


@pytest.mark.parametrize(
    ("address", "said"),
    [("http://127.0.0.1:9/", "no connection"), ("http://nope.invalid/", "does not resolve"), ("missing.html", "404")],
)
def test_a_source_that_cannot_be_read_is_one_sentence_and_exit_code_1(serve, start, prefect_api, address, said):
    site = serve(pages=1, delay_s=0)
    address = address if "://" in address else site.url + address
    process = start("import", address, PREFECT_API_URL=prefect_api)
    out, err = process.communicate(timeout=150)
    assert process.returncode == 1, err
    assert said in out
    assert "Traceback" not in out + err


def test_a_sync_that_would_remove_too_much_exits_with_4_and_does_what_a_person_says(
    serve, start, prefect_api, tmp_path
):
    site = serve(pages=20, delay_s=0)
    (tmp_path / "sources.yaml").write_text(
        f"sources:\n  - name: manual\n    website: {site.url}\n    no-prompts: true\n"
    )

    def sync(*words):
        process = start(
            "sync", "--config", str(tmp_path / "sources.yaml"), "--json", *words, PREFECT_API_URL=prefect_api
        )
        out, err = process.communicate(timeout=150)
        assert "Traceback" not in err
        return process.returncode, json.loads(out), err

    assert sync("--check")[0] == 0
    assert sync()[0] == 0
    site.pages = 8
    assert sync()[0] == 0, "absent once is not gone"
    code, result, err = sync()
    assert code == 4, err
    assert result["state"] == "awaiting-approval"
    source = result["sources"][0]
    assert source["approval"]["count"] == 12
    assert source["delivered"]["deleted"] == 0
    assert sync("--approve", "999")[0] == 2
    code, result, err = sync("--approve", source["run"], "--only", f"{site.url}9.html")
    assert (code, result["deleted"]) == (0, 1), err


def test_a_mistake_in_the_sources_file_is_named_by_line(start, tmp_path):
    (tmp_path / "sources.yaml").write_text("sources:\n  - website: https://docs.example.com/\n    max-pgaes: 5\n")
    process = start("sync", "--config", str(tmp_path / "sources.yaml"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "sources.yaml:3" in err
    assert "max-pages" in err


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["by itself", "killed"])
def test_nothing_is_left_running(serve, start, tmp_path, ending):
    site = serve(pages=3, delay_s=0)
    process = start("import", site.url)
    if ending == "killed":
        until = time.monotonic() + 60
        while not _servers(tmp_path) and time.monotonic() < until:
            time.sleep(0.1)
        assert _servers(tmp_path)
        process.kill()
    process.communicate(timeout=150)
    until = time.monotonic() + 20
    while _servers(tmp_path) and time.monotonic() < until:
        time.sleep(0.2)
    assert _servers(tmp_path) == []


def _servers(folder) -> list[str]:
    """Return the processes whose settings name this folder."""
    found = []
    for pid in subprocess.run(["ps", "-eo", "pid="], capture_output=True, text=True).stdout.split():
        try:
            with open(f"/proc/{pid}/environ", "rb") as environ:  # noqa: PTH123 - Linux' own
                if str(folder).encode() in environ.read():
                    found.append(pid)
        except OSError:
            continue
    return found
