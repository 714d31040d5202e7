"""Prefect as its users meet it: a real server, a real worker, `prefect deploy --all`, and the UI in a real Chromium."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

DEPLOYMENTS = {
    "import-website/import-website",
    "import-documents/import-documents",
    "sync-knowledge-base/nightly-sync",
    "sync-source/sync-source",
    "retry-failed-batches/retry-failed-batches",
    "generate-prompts/generate-prompts",
    "review-data/review-data",
    "create-persona/create-persona",
    "find-content-gaps/content-gaps",
}


def test_one_command_registers_everything_and_a_second_one_finds_it(local_prefect, command):
    flows = {flow["id"]: flow["name"] for flow in local_prefect.post("/flows/filter")}
    found = {f"{flows[one['flow_id']]}/{one['name']}" for one in local_prefect.post("/deployments/filter")}
    assert found == DEPLOYMENTS
    nightly = local_prefect.get("/deployments/name/sync-knowledge-base/nightly-sync")
    assert [one["schedule"]["cron"] for one in nightly["schedules"]] == ["0 2 * * *"]
    assert nightly["global_concurrency_limit"]["limit"] == 1
    _until(lambda: _scheduled(local_prefect, nightly["id"]) > 0)
    automations = {one["name"] for one in local_prefect.post("/automations/filter")}
    assert {
        "persona-ingest marks silent runs as crashed",
        "persona-ingest retry after a failed import or sync",
    } <= automations
    assert "persona-credentials" in {one["slug"] for one in local_prefect.post("/block_types/filter")}
    again = command("ui", "--no-open", "--json", env=local_prefect.env)
    assert json.loads(again.stdout)["pids"] == local_prefect.known["pids"]


def test_the_form_is_filled_and_the_report_is_read_in_a_browser(local_prefect, site, page, picture):
    deployment = local_prefect.get("/deployments/name/import-website/import-website")
    page.goto(f"{local_prefect.ui_url}/v2/deployments/deployment/{deployment['id']}/run")
    page.get_by_text("Start address").first.wait_for()
    picture(page, "run-form")
    page.locator("textarea").first.fill(site.url)
    with page.expect_response(lambda answer: "create_flow_run" in answer.url) as created:
        page.get_by_role("button", name="Submit").click()
    run = created.value.json()["id"]
    message = local_prefect.wait(run, "COMPLETED")
    assert message == "21 new, 0 changed, 0 unchanged; all verified."
    assert local_prefect.get(f"/flow_runs/{run}")["name"] == f"import {site.url.split('//')[1].rstrip('/')}"
    assert any(name.startswith("deliver batch 1 (") for name in local_prefect.task_names(run))
    page.goto(f"{local_prefect.ui_url}/v2/runs/flow-run/{run}")
    page.get_by_text("all verified").first.wait_for()
    picture(page, "run")
    report = local_prefect.latest_report(run)
    page.goto(f"{local_prefect.ui_url}/v2/artifacts/artifact/{report['id']}")
    told = re.compile(r"(\d+) discovered = (\d+) fetched \+ (\d+) not modified \+ (\d+) skipped \+ (\d+) failed")
    parts_of_it = ("What to do next", "About page-7", "Slowest to read")

    def balance_of_the_report():
        """The UI draws the words, then loads what draws Markdown and draws them again: in between there are none."""
        shown = page.inner_text("body")
        return all(part in shown for part in parts_of_it) and told.search(shown)

    discovered, *parts = map(int, _until(balance_of_the_report).groups())
    assert discovered == sum(parts)
    assert parts[0] == 21
    page.wait_for_load_state("networkidle")
    picture(page, "report")


def test_a_wrong_value_is_refused_before_anything_runs(local_prefect):
    found = local_prefect.get("/deployments/name/import-website/import-website")
    answer = local_prefect._http.post(
        f"/deployments/{found['id']}/create_flow_run", json={"parameters": {"source": {"website": 5, "batch-size": 0}}}
    )
    assert answer.status_code == 409
    assert "batch-size" in answer.text or "5" in answer.text


def test_every_other_deployment_runs(local_prefect, site, tmp_path):
    documents = tmp_path / "handbook"
    documents.mkdir()
    (documents / "intro.md").write_text("# Intro\n\nThe handbook says how things are done here, at some length.\n" * 3)
    (local_prefect.work / "sources.yaml").write_text(f"sources:\n  - name: manual\n    website: {site.url}\n")
    runs = {
        "import-documents/import-documents": {"source": {"documents": str(documents)}},
        "sync-knowledge-base/nightly-sync": {},
        "sync-source/sync-source": {"name": "manual"},
        "retry-failed-batches/retry-failed-batches": {},
        "generate-prompts/generate-prompts": {"source": str(documents)},
        "review-data/review-data": {"source": str(documents)},
        "find-content-gaps/content-gaps": {},
    }
    persona = tmp_path / "persona.yaml"
    persona.write_text("name: Anna\ndescription: Answers questions about the manual.\n")
    for deployment, parameters in (runs | {"create-persona/create-persona": {"file": str(persona)}}).items():
        run = local_prefect.run(deployment, **parameters)
        local_prefect.wait(run, "COMPLETED")


def test_the_block_serves_instead_of_the_environment_and_its_secret_is_never_shown(local_prefect, site, notices):
    local_prefect.make_block(
        "persona-credentials", "other", client_secret="wrong-s3cret", base_url=local_prefect.persona_url
    )
    run = local_prefect.run(
        "import-website/import-website", source={"website": site.url, "name": "blocked"}, credentials="other"
    )
    message = local_prefect.wait(run, "FAILED")
    assert "stopped" in message
    body = notices.message("Not everything of blocked was delivered")
    assert "401" in body or "refuse" in body
    shown = json.dumps(local_prefect.get(f"/flow_runs/{run}")) + str(local_prefect.logs(run)) + str(notices.messages)
    assert "wrong-s3cret" not in shown
    _until(lambda: _asked_for_by(local_prefect, run))


def test_a_sync_that_would_remove_too_much_waits_for_a_person_in_the_ui(local_prefect, sites, page, picture, notices):
    """One nightly sync, three sources: each is asked about in turn, and each answer is carried out to the letter."""
    site, other, third = sites(), sites(), sites()
    (local_prefect.work / "sources.yaml").write_text(
        f"sources:\n  - name: shrinking\n    website: {site.url}\n"
        f"  - name: partly\n    website: {other.url}\n  - name: kept\n    website: {third.url}\n"
    )
    local_prefect.wait(local_prefect.run("sync-knowledge-base/nightly-sync"), "COMPLETED")
    for one in (site, other, third):
        one.pages = 8
    local_prefect.wait(local_prefect.run("sync-knowledge-base/nightly-sync"), "COMPLETED")
    run = local_prefect.run("sync-knowledge-base/nightly-sync")
    local_prefect.wait(run, "PAUSED")
    assert "21 new, 0 changed" in notices.message("shrinking: completed")
    body = notices.message("shrinking waits for your approval")
    assert "12 of 21 pages would be deleted" in body
    assert "persona-ingest sync --approve" in body
    requests = [one.requests for one in (site, other, third)]
    _decide(page, local_prefect, run, "shrinking", "approve all", picture=picture)
    local_prefect.wait(run, "PAUSED")
    gone = [f"{other.url}page-20.html", f"{other.url}page-9.html"]
    _decide(page, local_prefect, run, "partly", "approve some", addresses=gone)
    local_prefect.wait(run, "PAUSED")
    _decide(page, local_prefect, run, "kept", "reject")
    message = local_prefect.wait(run, "COMPLETED")
    assert message == "kept: rejected, 12 pages stay as they are."
    told = " ".join(local_prefect.logs(run))
    assert "shrinking: approve all: 12 removed, 0 updated." in told
    assert "partly: approve some: 2 removed, 0 updated." in told
    assert [one.requests for one in (site, other, third)] == requests, "the resumed run crawled again"
    assert "The report of run" in notices.message("12 pages of shrinking were removed")
    held = local_prefect.pages_held()
    assert [sum(f"{one.url}page-" in address for address in held) for one in (site, other, third)] == [8, 18, 20]
    assert not set(gone) & set(held)


def _decide(page, local_prefect, run: str, source: str, decision: str, *, addresses=(), picture=None) -> None:
    """Resume a suspended run in the UI, as a person does: menu, form, button."""
    page.goto(f"{local_prefect.ui_url}/v2/runs/flow-run/{run}")
    page.get_by_role("button", name="Open menu").first.click()
    page.get_by_role("menuitem", name="Resume").click()
    form = page.get_by_role("dialog").last
    form.get_by_text("Waits for approval: 12 pages").wait_for()
    form.get_by_text(f"{source}, run ").wait_for()
    if picture:
        picture(page, "approval")
    form.get_by_role("button", name="Select").click()
    page.get_by_role("option", name=decision).click()
    for place, address in enumerate(addresses):
        form.get_by_role("button", name="Add item").click()
        form.locator("textarea").nth(place).fill(address)
    said = []
    while not said or (said[-1] != "201" and len(said) < 5):  # when the server's database is busy the UI says so
        with page.expect_response(lambda answer: answer.url.endswith("/resume")) as resumed:
            form.get_by_role("button", name="Resume").click()
        answer = resumed.value
        said.append("201" if answer.status == 201 else f"{answer.status} {answer.text()[:300]}")
        page.wait_for_timeout(1000)
    assert said[-1] == "201", said
    _until(lambda: local_prefect.state_of(run)[0] != "PAUSED")


def test_a_cancel_in_the_ui_stops_within_ten_seconds_and_the_next_run_goes_on(local_prefect, site, page):
    site.pages, site.delay_s = 200, 0.5
    source = {"website": site.url, "name": "cancelled", "concurrency": 1}
    run = local_prefect.run("import-website/import-website", source=source)
    local_prefect.wait(run, "RUNNING")
    page.goto(f"{local_prefect.ui_url}/v2/runs/flow-run/{run}")
    page.get_by_role("button", name="Open menu").first.click()
    page.get_by_role("menuitem", name="Cancel").click()
    _until(lambda: site.requests > 3)
    with page.expect_response(lambda answer: answer.url.endswith("/set_state")) as clicked:
        page.get_by_role("alertdialog").get_by_role("button", name="Cancel Flow Run").click()
    before = site.requests
    assert clicked.value.ok, clicked.value.text()
    local_prefect.wait(run, "CANCELLED")
    assert site.requests - before < 10 / site.delay_s, "ten seconds by the crawl's own clock, on any machine"
    first, site.delay_s = site.requests, 0
    message = local_prefect.wait(local_prefect.run("import-website/import-website", source=source), "COMPLETED")
    assert "201 new" in message
    assert site.requests - first < 205


def test_a_killed_run_is_marked_crashed_and_the_next_one_takes_its_work_up(local_prefect, site, command):
    site.pages, site.delay_s = 60, 0.5
    source = {"website": site.url, "name": "killed", "concurrency": 1, "batch-size": 5}
    run = local_prefect.run("import-website/import-website", source=source)
    local_prefect.wait(run, "RUNNING")
    _until(lambda: site.requests > 20)
    os.killpg(local_prefect.known["pids"][0], signal.SIGKILL)
    for pid in _flow_processes(local_prefect.known["pids"][0], run):
        os.kill(pid, signal.SIGKILL)
    assert "No heartbeat for 90 seconds" in local_prefect.wait(run, "CRASHED", timeout_s=240)
    _until(lambda: _asked_for_by(local_prefect, run))
    site.delay_s = 0
    told = command("import", site.url, "--name", "killed", "--json", env=local_prefect.env)
    assert told.returncode == 0, told.stderr
    summary = json.loads(told.stdout)["sources"][0]
    assert summary["verified"] == 61


def _scheduled(local_prefect, deployment: str) -> int:
    wanted = {"type": {"any_": ["SCHEDULED"]}}
    return len(
        local_prefect.post("/flow_runs/filter", deployments={"id": {"any_": [deployment]}}, flow_runs={"state": wanted})
    )


def _asked_for_by(local_prefect, run: str) -> bool:
    """Say whether the trigger started `retry-failed-batches` for this run."""
    flows = {"name": {"any_": ["retry-failed-batches"]}}
    return any(
        one["parameters"].get("failed_run") == run for one in local_prefect.post("/flow_runs/filter", flows=flows)
    )


def _until(condition, timeout_s: float = 180):
    """Wait for a condition; returns what it gave."""
    until = time.monotonic() + timeout_s
    while not (met := condition()):
        assert time.monotonic() < until
        time.sleep(0.1)
    return met


def _flow_processes(_worker: int, run: str) -> list[int]:
    """Return the processes that carry out a flow run: those with its id in their environment."""
    told = subprocess.run(["ps", "-eo", "pid="], capture_output=True, text=True).stdout.split()
    found = []
    for pid in told:
        try:
            if run.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(int(pid))
        except OSError:
            continue
    return found
