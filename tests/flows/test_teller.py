"""The same runs, told by Prefect's engine and by us: what stands on a real server afterwards is compared."""

from __future__ import annotations

import json
import re
import time

import httpx
import pytest

from tests.flows.following import SUMMARY, companion, hear, say

ENGINE = {"PREFECT_CLIENT_MAX_RETRIES": "4"}  # a setting that only Prefect's own client understands
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(Z|\+00:00)")
MEASURED = {"total_run_time", "estimated_run_time", "estimated_start_time_delta"}
WEBSITE = ["flows.import_website", "import_website"], {"source": {"website": "http://user@host.example/docs/"}}
FOLDER = ["flows.import_documents", "import_documents"], {"source": {"documents": "/srv/handbook/"}}
SOURCE = ["flows.sync_knowledge_base", "sync_source"], {"name": "kept", "kind": "git", "address": "https://git.example"}


def story(told, ending):
    """A run in messages: three steps side by side, one of which fails, and a fourth."""
    (flow, parameters), name = told, "told.example"
    run = {"name": name, "kind": "website", "where": "the knowledge base", "resumed": ending != "completed"}
    yield {"follow": flow, "parameters": parameters, "run": run}
    yield {"begun": 0, "kind": "collect", "name": f"crawl {name}"}
    yield {"begun": 1, "kind": "deliver", "name": "deliver batch 1 (50 pages)"}
    yield {"begun": 2, "kind": "deliver", "name": "deliver batch 2 (1 page)"}
    yield {"log": "connectors.tested", "level": 30, "words": "odd: ünïcode", "at": 1_800_000_000.5}
    yield {"log": "elsewhere", "level": 30, "words": "of somebody else", "at": 1_800_000_000.5}
    yield {"ended": 2, "good": False, "words": '1 page: failed after 1 call. It\'s "so".'}
    yield {"ended": 1, "good": True, "words": "50 pages delivered in 1 call."}
    if ending == "dies":
        yield {"broken": "The command is gone."}
        return
    yield {"ended": 0, "good": True, "words": "Done."}
    yield {"begun": 3, "kind": "verify", "name": "verify"}
    yield {"ended": 3, "good": True, "words": "50 of 50 pages are in the knowledge base exactly once."}
    batch = {"batch": 2, "pages": 1, "bytes": 9, "state": "failed", "calls": 1, "detail": 'It\'s "so".'}
    facts = {"batches": [batch], "failures": [["http://told.example/x", "http-500", "oops"]], "pages": []}
    summary = SUMMARY | {"name": name, "state": ending, "quarantined": 1}
    yield {"summary": summary, "facts": facts, "prompts": ["What is told?"]}


STORIES = {
    "completed": (WEBSITE, "completed"),
    "failed": (FOLDER, "failed"),
    "stopped": (SOURCE, "stopped"),
    "awaiting": (SOURCE, "awaiting-approval"),
    "dies": (WEBSITE, "dies"),
}


@pytest.fixture(scope="module")
def runs(prefect_api, tmp_path_factory):
    """The flow runs of all stories, by who told them: the engine, and we."""
    told = {}
    for way, settings in (("engine", ENGINE), ("teller", {})):
        home = str(tmp_path_factory.mktemp("home"))
        with companion(PREFECT_API_URL=prefect_api, PREFECT_HOME=home, **settings) as process:
            for name, what in STORIES.items():
                say(process, story(*what))
                assert hear(process) == {"following": True}
                assert hear(process) == {"done": ""}
                newest = {"sort": "START_TIME_DESC", "limit": 1}
                told[way, name] = httpx.post(f"{prefect_api}/flow_runs/filter", json=newest, trust_env=False).json()[0]
            process.stdin.close()
            assert process.wait(60) == 0
    return {key: run["id"] for key, run in told.items()}


def plain(value):
    """Return what the server says without what no two runs share: ids, times, durations."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if key not in MEASURED}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return ID.sub("ID", TIME.sub("TIME", value)) if isinstance(value, str) else value


def record(api, run_id):
    """Return all that the server knows of a flow run."""
    with httpx.Client(base_url=api, trust_env=False) as client:
        mine = {"flow_runs": {"id": {"any_": [run_id]}}}
        tasks = client.post("/task_runs/filter", json=mine).json()
        named = {task["id"]: task["name"] for task in tasks} | {None: ""}
        logs = client.post("/logs/filter", json={"logs": {"flow_run_id": {"any_": [run_id]}}}).json()
        artifacts = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
        for log in logs:
            log["of"] = named.get(log["task_run_id"], "not yet")
        return {
            "run": client.get(f"/flow_runs/{run_id}").json(),
            "states": client.get("/flow_run_states/", params={"flow_run_id": run_id}).json(),
            "tasks": sorted(tasks, key=lambda task: task["name"]),
            "of tasks": {
                task["name"]: client.get("/task_run_states/", params={"task_run_id": task["id"]}).json()
                for task in tasks
            },
            "logs": logs,
            "artifacts": client.post("/artifacts/filter", json=artifacts).json(),
        }


def alike(found):
    """Return a record without the things in which the ways differ on purpose.

    A task's key holds a hash of its function's code, here of its module's. The engine's log says twice that a task
    failed, tells of our exception with its own lines of code, and names the file in which it keeps that.
    """
    found = plain(found)
    for state in (found["run"]["state"], *found["states"]):
        state.pop("data")
    for task in found["tasks"]:
        task["task_key"] = task["task_key"].rpartition("-")[0]
    own = ("Task run failed with", "Encountered exception")
    logs = [log for log in found["logs"] if not log["message"].startswith(own)]
    found["logs"] = sorted(json.dumps(log, sort_keys=True) for log in logs)
    found["run"]["tags"].sort()
    found["artifacts"] = sorted((one for one in found["artifacts"] if one["key"]), key=lambda one: one["key"])
    return found


def lines(value):
    return json.dumps(value, indent=1, sort_keys=True).splitlines()


@pytest.mark.parametrize("name", STORIES)
def test_what_we_write_down_is_what_the_engine_writes_down(prefect_api, runs, name):
    ways = [runs[way, name] for way in ("engine", "teller")]
    until, engine, teller = time.monotonic() + 30, {}, None
    while time.monotonic() < until:
        engine, teller = (alike(record(prefect_api, run)) for run in ways)
        if engine == teller and all(len(states) == 3 for states in teller["of tasks"].values()):
            break
        time.sleep(1)
    for part in engine:
        assert lines(teller[part]) == lines(engine[part]), part
    assert [len(states) for states in teller["of tasks"].values()] == [3] * (3 if name == "dies" else 4)


def events(api, run_id):
    """Return the events about a flow run, but those that the server makes of what it hears itself."""
    wanted = {"any_resource": {"id": [f"prefect.flow-run.{run_id}"]}, "occurred": {"since": "2020-01-01T00:00:00Z"}}
    found = httpx.post(f"{api}/events/filter", json={"filter": wanted, "limit": 50}, trust_env=False).json()["events"]
    kept = []
    for one in found:
        own = not one["event"].startswith(("prefect.flow-run.", "prefect.artifact-collection"))
        if own or one["event"] == "prefect.flow-run.heartbeat":
            one["payload"].get("task_run", {}).pop("task_key", None)
            if one["event"].endswith("Pending"):  # before the engine gives a run its name
                one["payload"]["task_run"].pop("name")
                one["resource"].pop("prefect.resource.name")
            kept.append(json.dumps(plain(one), sort_keys=True))
    return sorted(kept)


def test_the_events_that_automations_listen_to_are_the_same(prefect_api, runs):
    expected, until = ("persona-ingest.sync.finished", "prefect.flow-run.heartbeat"), time.monotonic() + 60
    while time.monotonic() < until:
        engine, teller = (events(prefect_api, runs[way, "completed"]) for way in ("engine", "teller"))
        if engine == teller and all(any(name in one for one in teller) for name in expected):
            return
        time.sleep(1)
    assert teller == engine
    assert not until, f"one of {expected} is missing"


def test_steps_are_listed_in_the_order_in_which_they_began(prefect_api, runs):
    mine = {"flow_runs": {"id": {"any_": [runs["teller", "completed"]]}}, "sort": "ID_DESC"}
    tasks = httpx.post(f"{prefect_api}/task_runs/filter", json=mine, trust_env=False).json()
    numbered = ["verify", "deliver batch 2 (1 page)", "deliver batch 1 (50 pages)", "crawl told.example"]
    assert [task["name"] for task in tasks] == numbered


def test_flows_are_known_by_the_names_and_parameters_that_they_have(prefect_api):
    from importlib import import_module

    from prefect.client.constants import SERVER_API_VERSION

    from flows import prefect_api as ours
    from flows import stages, told

    assert ours.API_VERSION == SERVER_API_VERSION
    for (module, name), known in told.FLOWS.items():
        flow = getattr(import_module(module), name)
        given = flow.parameters.properties
        defaults = {key: field["default"] for key, field in given.items() if "default" in field}
        assert (flow.name, flow.version, dict(known.defaults)) == (known.name, told.version_of(module), defaults)
    assert {kind: task.name for kind, task in stages._TASKS.items()} == told.TASKS
    assert [task.fn.__name__ for task in stages._TASKS.values()] == list(told.TASKS)


def test_a_line_that_is_no_text_costs_no_other_its_place(prefect_api, tmp_path):
    with companion(PREFECT_API_URL=prefect_api, PREFECT_HOME=str(tmp_path)) as process:
        first, *others = story(WEBSITE, "completed")
        say(process, [first, {"log": "connectors.tested", "level": 30, "words": "half: \ud800", "at": 1_800_000_000.5}])
        say(process, others)
        assert hear(process) == {"following": True}
        assert hear(process) == {"done": ""}
        newest = {"sort": "START_TIME_DESC", "limit": 1}
        (run,) = httpx.post(f"{prefect_api}/flow_runs/filter", json=newest, trust_env=False).json()
        told = {log["message"] for log in record(prefect_api, run["id"])["logs"]}
    assert {"half: ?", "odd: ünïcode"} <= told
