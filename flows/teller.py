"""Tells a Prefect server of a command's runs by its REST API: the records that a flow's own engine would make there.

The run is carried out elsewhere, so nothing of the engine is needed, and its import would cost ten times what telling
does. `stages.story` is the same story told by the engine; the tests compare the records of both field by field.
"""

from __future__ import annotations

import queue
import time
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from flows import notices, reports, run_states, told
from flows.console import numbers, safe
from flows.facts import Facts
from flows.messages import NO_WORD, show
from flows.prefect_api import PrefectError
from flows.step_events import StepEvents, event, moment, related

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flows.prefect_api import PrefectApi

    Messages = queue.SimpleQueue[dict[str, Any] | None]

SEND_EVERY_S = 1.0
SEND_EVERY_UNWATCHED_S = 5.0
COUNTS_EVERY_S = 5.0
LOOK_EVERY_S = 3.0
BEAT_EVERY_S = 30.0
MOST_AT_ONCE = 25
MOST_OF_A_LINE = 100_000
_INFO, _WARNING, _ERROR = 20, 30, 40
_CANCELLED = {"CANCELLING", "CANCELLED"}


class Teller:
    """Tells of one run after the other, as the messages come.

    Args:
        answer: says how far it is, as `session` hears it.
        watched: others see the flow runs too, and may cancel one.
        ui: address of the server's pages.
        loggers: whose lines belong to a run's log.
    """

    def __init__(
        self,
        api: PrefectApi,
        answer: Callable[..., None],
        *,
        watched: bool,
        ui: str,
        loggers: Sequence[str],
    ) -> None:
        self._api = api
        self._answer = answer
        self._watched = watched
        self._ui = ui
        self._loggers = tuple(loggers)
        self._story: Story | None = None
        self.steps: dict[str, int] = {}
        """How many steps each flow run has that was told to its end."""

    def follow_all(self, heard: Messages) -> None:
        """Go on until there are no more messages."""
        while True:
            try:
                message = heard.get(timeout=self._story.due_in_s() if self._story else None)
            except queue.Empty:
                message = {}
            if message is None:
                break
            if "follow" in message:
                self._let_go()
                self._told(self._begin, message)
            elif self._story is not None:
                self._told(self._hear, message)
        self._let_go()

    def is_heard(self) -> bool:
        """Say whether the server answers what goes down to its database."""
        with suppress(PrefectError):
            return self._api.ask("POST", "flow_runs/count", {}) is not None
        return False

    def is_written_down(self) -> bool:
        """Say whether the server knows how every step ended: it hears of them by events, a moment later."""
        try:
            ended = self._api.ask("POST", "task_runs/count", told.ended_steps_of(self.steps))
        except PrefectError:
            return True
        return int(ended) >= sum(self.steps.values())

    def _told(self, tell: Callable[[Mapping[str, Any]], None], message: Mapping[str, Any]) -> None:
        """Tell something; a server that does not take it ends the record, and the run goes on without."""
        try:
            tell(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the command says it in a sentence
            self._story = None
            self._answer(done=str(error) if isinstance(error, PrefectError) else f"{type(error).__name__}: {error}")

    def _begin(self, message: Mapping[str, Any]) -> None:
        self._answer(following=True)
        self._story = Story(self._api, message, watched=self._watched, ui=self._ui, loggers=self._loggers)
        self._story.begin()

    def _hear(self, message: Mapping[str, Any]) -> None:
        assert self._story is not None
        self._story.hear(message)
        if self._story.send_due():
            self._answer(cancelled=True)
        if self._story.is_over:
            self.steps[self._story.id] = self._story.steps
            self._story = None
            self._answer(done="")

    def _let_go(self) -> None:
        """Say so of a run of which there will be no more word."""
        if self._story is not None:
            self._told(self._hear, {"broken": NO_WORD})


class Story:
    """One run's records: what is small is collected, and sent together every so often.

    Attributes:
        id: of the flow run.
        is_over: its end is told.
        steps: how many were told of.
    """

    def __init__(
        self, api: PrefectApi, message: Mapping[str, Any], *, watched: bool, ui: str, loggers: tuple[str, ...]
    ) -> None:
        from connectors.pipeline.progress import Progress

        self.id = ""
        self.is_over = False
        self._api = api
        self._run: Mapping[str, Any] = message["run"]
        self._flow = told.FLOWS[tuple(message["follow"])]
        self._module: str = message["follow"][0]
        self._parameters = {**message["parameters"], **self._defaults(message["parameters"])}
        self._name = self._flow.run_name(self._parameters)
        self._watched, self._ui, self._loggers = watched, ui, loggers
        self._key = told.version_of("flows.stages")[:8]
        self._progress = Progress()
        self._bar = ""
        self._counted = ""
        self.steps = 0
        self._open: dict[int, StepEvents] = {}
        self._begun_at = 0.0
        self._events: list[dict[str, Any]] = []
        self._lines: list[dict[str, Any]] = []
        self._about: list[dict[str, str]] = []
        self._cancelled = False
        self._due: dict[str, float] = {}

    def _defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in self._flow.defaults.items() if name not in given}

    def begin(self) -> None:
        """Make the flow run.

        Raises:
            PrefectError: the server does not take it.
        """
        flow = self._api.ask("POST", "flows/", {"name": self._flow.name, "tags": [], "labels": {}})["id"]
        pending: dict[str, Any] = {
            "type": "PENDING",
            "name": "Pending",
            "message": None,
            "state_details": {},
            "data": None,
        }
        asked = {
            "state": pending,
            "name": self._name,
            "flow_id": flow,
            "flow_version": told.version_of(self._module),
            "parameters": self._parameters,
            "context": {},
            "parent_task_run_id": None,
            "empirical_policy": {"retries": 0, "retry_delay": 0},
            "tags": sorted({self._run["name"], self._run["kind"]}),
        }
        self.id = str(self._api.ask("POST", "flow_runs/", asked)["id"])
        self._about = [related("flow-run", self.id, self._name), related("flow", flow, self._flow.name)]
        run_states.set_running(self._api, self.id)
        self._log(_INFO, f"Beginning flow run {self._name!r} for flow {self._flow.name!r}")
        how = "Going on with" if self._run["resumed"] else "Reading"
        self._log(_INFO, f"{how} {safe(self._run['name'])} into {safe(self._run['where'])}")
        self._begun_at, now = time.time(), time.monotonic()
        self._due = {"send": now + self._pace_s, "count": now + COUNTS_EVERY_S}
        if self._watched:
            self._due |= {"look": now + LOOK_EVERY_S, "beat": now}
            self._open_bar()

    @property
    def _pace_s(self) -> float:
        return SEND_EVERY_S if self._watched else SEND_EVERY_UNWATCHED_S

    def due_in_s(self) -> float | None:
        """Return how long there is nothing to do, in seconds."""
        waiting = self._events or self._lines
        due = [at for what, at in self._due.items() if what != "send" or waiting]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def hear(self, message: Mapping[str, Any]) -> None:
        """Take one message of `mirror.retell`.

        Raises:
            PrefectError: the server does not take how the run ended.
        """
        at = max(message.get("at", 0.0) or time.time(), self._begun_at)
        match message:
            case {"begun": number, "kind": kind, "name": name}:
                step = StepEvents(name=name, kind=kind, key=self._key, begun_at=at, about=self._about)
                self.steps += 1
                self._open[number] = step
                self._events += step.begun()
            case {"ended": number, "good": good, "words": words}:
                self._end_step(number, good=good, words=words, at=at)
            case {"progress": counted}:
                show(self._progress, counted)
            case {"log": name, "level": level, "words": words}:
                if any(name == own or name.startswith(f"{own}.") for own in self._loggers):
                    self._log(level, words, name=name, at=message["at"])
            case {"summary": summary, "facts": facts, "prompts": prompts}:
                self._end_steps()
                try:
                    self._report(summary, Facts(**facts), prompts)
                except PrefectError as error:
                    if not error.status:
                        raise  # the server is gone
                    self._log(_WARNING, f"The report is not written down: {error}")
                ending = told.verdict(summary)
                self._end(ending.ended, ending.message)
            case {"broken": why}:
                self._end_steps()
                self._count(ended=True)
                self._log(_ERROR, f"Encountered exception during execution: {why}")
                self._end("FAILED", f"Flow run encountered an exception: RuntimeError: {why}", retriable=False)

    def _end_step(self, number: int, *, good: bool, words: str, at: float) -> None:
        step = self._open.pop(number)
        self._events.append(step.ended(good=good, words=words, at=at))
        ending = f"Finished in state {'Completed' if good else 'Failed'}({words!r})"
        self._log(_INFO if good else _ERROR, ending, name="prefect.task_runs", task=step.id, at=at)

    def _end_steps(self) -> None:
        for number in sorted(self._open):
            self._end_step(number, good=False, words=NO_WORD, at=time.time())

    def _log(self, level: int, words: str, *, name: str = "prefect.flow_runs", task: str = "", at: float = 0.0) -> None:
        self._lines.append(
            {
                "name": name,
                "level": level,
                "message": words[:MOST_OF_A_LINE],
                "timestamp": moment(at or time.time()),
                "flow_run_id": self.id,
                "task_run_id": task or None,
            }
        )

    def send_due(self) -> bool:
        """Send what it is time for; returns whether somebody has cancelled the flow run meanwhile, once.

        A server that is away for a while gets it later.
        """
        if self.is_over:
            return False
        now, found = time.monotonic(), False
        for what in [what for what, at in self._due.items() if at <= now]:
            with suppress(PrefectError):
                match what:
                    case "send":
                        self._send()
                    case "count":
                        self._count()
                    case "beat":
                        self._beat()
                    case "look":
                        found = self._look()
            self._due[what] = time.monotonic() + self._every_s(what)
        return found

    def _every_s(self, what: str) -> float:
        if what == "look" and self._cancelled:
            return float("inf")
        return {"send": self._pace_s, "count": COUNTS_EVERY_S, "beat": BEAT_EVERY_S, "look": LOOK_EVERY_S}[what]

    def _send(self, *, lines: bool = True) -> None:
        """Send what is collected.

        Args:
            lines: those of the log too; at a run's end they wait for the last one.

        Raises:
            PrefectError: the server does not take it; it is kept.
        """
        for path, waiting in (("events", self._events), ("logs/", self._lines if lines else [])):
            while waiting:
                self._api.ask("POST", path, waiting[:MOST_AT_ONCE])
                del waiting[:MOST_AT_ONCE]

    def _beat(self) -> None:
        resource = {
            "prefect.resource.id": f"prefect.flow-run.{self.id}",
            "prefect.resource.name": self._name,
            "prefect.version": version("prefect"),
        }
        self._events.append(event("prefect.flow-run.heartbeat", resource, self._about[1:], {}, at=time.time()))

    def _look(self) -> bool:
        state = self._api.ask("GET", f"flow_runs/{self.id}").get("state") or {}
        self._cancelled = state.get("type") in _CANCELLED
        if self._cancelled:
            words = "Cancelled: the command stops at a safe point; the same command goes on from there"
            self._log(_WARNING, words)
        return self._cancelled

    def _count(self, *, ended: bool = False) -> None:
        """Write down the counts when they are news, and move the bar."""
        self._open_bar()
        text = numbers(self._progress)
        if text == self._counted and not ended:
            return
        self._counted = text
        self._log(_INFO, f"{self._progress.stage}: {text}")
        moved = {"data": reports.progress_percent(self._progress), "description": f"{self._progress.stage}: {text}"}
        self._api.ask("PATCH", f"artifacts/{self._bar}", moved)
        self._events.append(self._of_artifact("updated", self._bar, moved))

    def _open_bar(self) -> None:
        if not self._bar:
            self._bar = self._artifact(reports.progress_bar(str(self._run["name"])))

    def _artifact(self, made: reports.Artifact) -> str:
        shown = {"key": made.key, "type": made.type, "description": made.description}
        of = {"flow_run_id": self.id, "task_run_id": None}
        number = str(self._api.ask("POST", "artifacts/", {**shown, "data": made.data, **of})["id"])
        self._events.append(self._of_artifact("created", number, shown))
        return number

    def _of_artifact(self, what: str, number: str, payload: dict[str, Any]) -> dict[str, Any]:
        resource = {"prefect.resource.id": f"prefect.artifact.{number}"}
        if "key" in payload:
            resource["prefect.resource.name"] = payload["key"]
        return event(f"prefect.artifact.{what}", resource, self._about, payload, at=time.time())

    def _report(self, summary: Mapping[str, Any], facts: Facts, prompts: Sequence[str]) -> None:
        self._count(ended=True)
        report, *_ = [self._artifact(made) for made in reports.artifacts(summary, facts, prompts=prompts)]
        for name, payload in notices.of(summary):
            of, what = notices.resource(summary), f"{notices.PREFIX}.{name}"
            self._events.append(event(what, of, self._about, payload, at=time.time()))
        self._log(_INFO, f"Report: {self._ui}/artifacts/artifact/{report}")

    def _end(self, ended: told.Ended, message: str, **details: bool) -> None:
        try:
            self._send(lines=False)
        except PrefectError as error:  # what is not taken now is sent again below
            if not error.status:
                raise
        details = {"untrackable_result": not details} | details
        state = run_states.set_ended(self._api, self.id, ended, message, **details)
        words = f"Finished in state {state['name']}({state['message']!r})"
        self._log(_INFO if state["type"] == "COMPLETED" else _ERROR, words)
        self._send()
        self.is_over = True
