"""The files that operators use: they parse, name what exists, and Prefect accepts them."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())
DEPLOYMENTS = {one["name"]: one for one in PROJECT["deployments"]}
FLOWS = {
    "import-website": "import-website",
    "import-documents": "import-documents",
    "nightly-sync": "sync-knowledge-base",
    "sync-source": "sync-source",
    "retry-failed-batches": "retry-failed-batches",
    "generate-prompts": "generate-prompts",
    "review-data": "review-data",
    "create-persona": "create-persona",
    "content-gaps": "find-content-gaps",
}


def test_the_public_deployments_are_there_and_no_other():
    assert DEPLOYMENTS.keys() == FLOWS.keys()


@pytest.mark.parametrize("name", FLOWS)
def test_an_entry_point_is_the_flow_of_that_name(name):
    module, _, attribute = DEPLOYMENTS[name]["entrypoint"].rpartition(".")
    assert getattr(importlib.import_module(module), attribute).name == FLOWS[name]


@pytest.mark.parametrize("name", FLOWS)
def test_every_field_of_a_run_form_is_explained(name):
    module, _, attribute = DEPLOYMENTS[name]["entrypoint"].rpartition(".")
    schema = getattr(importlib.import_module(module), attribute).parameters
    fields = dict(schema.properties)
    for model in (schema.definitions or {}).values():
        fields |= model.get("properties", {})
    assert [field for field, about in fields.items() if not about.get("description")] == []


def test_the_start_address_comes_first_in_its_form():
    schema = importlib.import_module("flows.import_website").import_website.parameters
    first = next(iter(schema.definitions["Website"]["properties"]))
    assert first == "website"


def test_every_schedule_has_a_slug_so_that_a_second_deploy_adds_none():
    schedules = [one for deployment in PROJECT["deployments"] for one in deployment.get("schedules", ())]
    assert len(schedules) == 3
    assert all(one.get("slug") for one in schedules)
    assert all(one.get("timezone") for one in schedules if "cron" in one)


def test_the_nightly_sync_runs_at_two_and_one_at_a_time():
    nightly = DEPLOYMENTS["nightly-sync"]
    assert nightly["schedules"][0]["cron"] == "0 2 * * *"
    assert nightly["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}


def test_no_task_that_calls_the_api_is_retried_by_prefect_too():
    from prefect import Flow, Task

    modules = [importlib.import_module(one["entrypoint"].rpartition(".")[0]) for one in PROJECT["deployments"]]
    modules.append(importlib.import_module("flows.stages"))
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Flow | Task)]
    assert len(found) > 12
    assert {one.retries or 0 for one in found} == {0}


@pytest.mark.parametrize("file", ["automations.yaml", "notices.yaml"])
def test_prefect_understands_the_automations(file):
    from prefect.automations import Automation

    wanted = yaml.safe_load((REPOSITORY / "docs" / "deploy" / file).read_text())["automations"]
    for one in wanted:
        assert Automation.model_validate(one).name.startswith("persona-ingest ")


def test_notices_name_events_that_are_sent():
    text = (REPOSITORY / "docs" / "deploy" / "notices.yaml").read_text()
    sent = (REPOSITORY / "flows" / "notices.py").read_text()
    for event in re.findall(r"expect: \[persona-ingest\.([a-z.]+)\]", text):
        assert f'"{event}"' in sent


@pytest.mark.parametrize("file", ["Containerfile.server", "Containerfile.worker"])
def test_a_container_is_not_root_and_says_whether_it_is_well(file):
    text = (REPOSITORY / "docs" / "deploy" / file).read_text()
    assert re.search(r"^USER 10001$", text, re.MULTILINE)
    assert "HEALTHCHECK" in text
    assert "--require-hashes" in text


def test_a_workers_container_has_the_git_that_reads_repositories():
    text = (REPOSITORY / "docs" / "deploy" / "Containerfile.worker").read_text()
    assert re.search(r"apt-get install .*\bgit\b", text.partition("\nUSER ")[0])


@pytest.mark.parametrize("file", ["Containerfile.server", "persona-ingest-server.service"])
def test_a_server_that_may_not_write_beside_its_program_still_has_its_ui(file):
    text = (REPOSITORY / "docs" / "deploy" / file).read_text()
    home = re.search(r"PREFECT_HOME=(\S+)", text)
    assert home
    assert f"PREFECT_SERVER_UI_STATIC_DIRECTORY={home[1]}/ui" in text


@pytest.mark.parametrize("file", ["persona-ingest-server.service", "persona-ingest-worker.service"])
def test_a_unit_does_not_run_as_root(file):
    text = (REPOSITORY / "docs" / "deploy" / file).read_text()
    assert "User=persona-ingest" in text
    assert "NoNewPrivileges=true" in text
