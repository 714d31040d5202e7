"""The tasks that flows share: each carries out one step of a run, under a name that reads like a story."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect import settings, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.exceptions import TerminationSignal
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from flows import notices, reports, told
from flows.console import numbers, safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import State

    from flows.conductor import Conductor, Step
    from flows.mirror import Mirror, MirroredStep

log = logging.getLogger(__name__)

COUNTS_EVERY_S = 5.0
LOOK_EVERY_S = 3.0
LAST_COUNT_S = 5.0
STOP_WITHIN_S = 8.0
_adopted: ContextVar[Conductor | Mirror | None] = ContextVar("adopted", default=None)
_listening: ContextVar[bool] = ContextVar("listening", default=False)
_on_cancel: ContextVar[Callable[[], None] | None] = ContextVar("on_cancel", default=None)


@contextmanager
def adopting(
    conductor: Conductor | Mirror, *, listening: bool, on_cancel: Callable[[], None] | None = None
) -> Iterator[None]:
    """Hand a run that is under way to the flow that is called inside.

    Args:
        listening: the caller hears SIGTERM itself and stops the run.
        on_cancel: is called when somebody cancels the flow run, and stops the run: no worker is there who would be
            told. None: a worker tells the process.
    """
    tokens = _adopted.set(conductor), _listening.set(listening), _on_cancel.set(on_cancel)
    try:
        yield
    finally:
        _adopted.reset(tokens[0])
        _listening.reset(tokens[1])
        _on_cancel.reset(tokens[2])


def adopted() -> Conductor | Mirror | None:
    """Return the run that was handed to this flow, if one was."""
    return _adopted.get()


def _named(function: Callable[..., Any]) -> Callable[..., Any]:
    # No retries: the delivery stage retries by itself, and two layers would multiply. No tags: Prefect asks its server
    # for a slot of each tag's concurrency limit, waits long when SQLite is busy, and every asking has its own client.
    return task(
        name=told.TASKS[function.__name__],
        task_run_name="{name}",
        retries=0,
        persist_result=False,
        cache_policy=NO_CACHE,
    )(function)


async def _carried_out(step: Step | MirroredStep) -> State[Any]:
    """Return a step's outcome as a state: counts and ids, never pages."""
    good, words = await step.told()
    return (Completed if good else Failed)(message=words)


@_named
async def collect(name: str, step: Step | MirroredStep) -> State[Any]:  # noqa: ARG001 - names the task run
    """Crawl, clean and record one source."""
    return await _carried_out(step)


@_named
async def deliver(name: str, step: Step | MirroredStep) -> State[Any]:  # noqa: ARG001
    """Deliver one batch; a batch that fails fails here, and the others go on."""
    return await _carried_out(step)


@_named
async def change(name: str, step: Step | MirroredStep) -> State[Any]:  # noqa: ARG001
    """Update what changed at the source and remove what is gone."""
    return await _carried_out(step)


@_named
async def verify(name: str, step: Step | MirroredStep) -> State[Any]:  # noqa: ARG001
    """Read the knowledge base back: is every page there exactly once?"""
    return await _carried_out(step)


@_named
async def prompts(name: str, step: Step | MirroredStep) -> State[Any]:  # noqa: ARG001
    """Ask for prompts about what the run brought."""
    return await _carried_out(step)


@_named
async def review(name: str, step: Step | MirroredStep) -> State[Any]:  # noqa: ARG001
    """Submit what a person should look at."""
    return await _carried_out(step)


_TASKS = dict(zip(told.TASKS, (collect, deliver, change, verify, prompts, review), strict=True))


async def follow(conductor: Conductor | Mirror) -> dict[str, Any]:
    """Carry out a run, each step as a task run, and return its summary; a cancelled flow stops it at a safe point.

    Raises:
        TerminationSignal: the flow run's process was told to end; the run is resumable.
    """
    logger = get_run_logger()
    following: set[asyncio.Task[Any]] = set()
    work = conductor.start()
    terminated = asyncio.Event()
    over = asyncio.Event()
    counting = asyncio.create_task(_count(conductor, over))
    on_cancel = _on_cancel.get()
    watching = asyncio.create_task(_watch(on_cancel)) if on_cancel else None
    try:
        with _sigterm(terminated):
            ending = asyncio.create_task(terminated.wait())
            telling = asyncio.create_task(_tell(conductor, following))
            await asyncio.wait({work, ending}, return_when=asyncio.FIRST_COMPLETED)
            if terminated.is_set():
                logger.warning("Cancelled: stopping at a safe point, the next run goes on from here")
                await conductor.stop(within_s=STOP_WITHIN_S)
            ending.cancel()
            await (telling if not terminated.is_set() else asyncio.wait({telling}, timeout=1))
        if following:
            await asyncio.wait(following, timeout=None if not terminated.is_set() else 1)
    except BaseException:
        if not work.done() and adopted() is None:
            await conductor.stop(within_s=STOP_WITHIN_S)
        raise
    finally:
        if watching:
            watching.cancel()
        over.set()
        await asyncio.wait({counting}, timeout=LAST_COUNT_S)
        counting.cancel()
    if terminated.is_set() and not await _cancelling():
        raise TerminationSignal(signal=signal.SIGTERM)
    return work.result()


async def _cancelling() -> bool:
    """Say whether somebody cancelled this flow run; else its process is being shut down."""
    with contextlib.suppress(Exception):
        async with get_client() as client:
            return await _is_cancelled(client, flow_run.get_root_flow_run_id() or flow_run.get_id())
    return False


async def _is_cancelled(client: PrefectClient, run_id: object) -> bool:
    state = (await client.read_flow_run(UUID(str(run_id)))).state
    return state is not None and state.type in {StateType.CANCELLING, StateType.CANCELLED}


async def _watch(on_cancel: Callable[[], None]) -> None:
    run_id, cancelled = flow_run.get_id(), False
    async with get_client() as client:
        while not cancelled:
            await asyncio.sleep(LOOK_EVERY_S)
            with contextlib.suppress(Exception):  # a busy server is asked again
                cancelled = await _is_cancelled(client, run_id)
    get_run_logger().warning("Cancelled: the command stops at a safe point; the same command goes on from there")
    on_cancel()


async def _tell(conductor: Conductor | Mirror, following: set[asyncio.Task[Any]]) -> None:
    async for step in conductor.follow():
        telling = asyncio.create_task(_TASKS[step.kind](name=step.name, step=step, return_state=True))
        following.add(telling)
        telling.add_done_callback(following.discard)


async def _count(conductor: Conductor | Mirror, over: asyncio.Event) -> None:
    """Log the counts and move the progress bar every few seconds, and once when the run is over."""
    logger = get_run_logger()
    progress, last = conductor.run.progress, ""
    artifact = None
    with contextlib.suppress(Exception):
        artifact = await reports.open_progress(conductor.run.name)
    ended = False
    while not ended:
        with contextlib.suppress(TimeoutError):
            ended = await asyncio.wait_for(over.wait(), COUNTS_EVERY_S)
        text = numbers(progress)
        if text != last or ended:
            logger.info("%s: %s", progress.stage, text)
            last = text
            with contextlib.suppress(Exception):
                await reports.update_progress(artifact, progress)


async def story(conductor: Conductor | Mirror) -> dict[str, Any]:
    """Carry out a run as part of a flow: task runs, tags, counts, report and events; returns its summary.

    Raises:
        TerminationSignal: the flow run's process was told to end; the run is resumable.
    """
    run, logger = conductor.run, get_run_logger()
    logger.info("%s %s into %s", "Going on with" if run.resumed else "Reading", safe(run.name), safe(run.where))
    await _tag(run.name, run.kind)
    summary = await follow(conductor)
    report = await reports.publish(summary, conductor.facts, prompts=conductor.prompts)
    notices.emit(summary)
    logger.info("Report: %s/artifacts/artifact/%s", settings.PREFECT_UI_URL.value() or "", report)
    return summary


async def _tag(*tags: str) -> None:
    with contextlib.suppress(Exception):
        async with get_client() as client:
            known = {*flow_run.get_tags(), *tags}
            await client.update_flow_run(UUID(str(flow_run.get_id())), tags=sorted(known))


@contextmanager
def _sigterm(terminated: asyncio.Event) -> Iterator[None]:
    """Turn SIGTERM into an event, so that the run ends between two writes and not in one.

    Prefect's own handler raises wherever the program happens to be. A command that has handed us its run listens by
    itself: there it is enough that nothing is raised.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    loop = asyncio.get_running_loop()
    if not _listening.get():
        loop.add_signal_handler(signal.SIGTERM, terminated.set)
    else:
        signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        yield
    finally:
        if not _listening.get():
            loop.remove_signal_handler(signal.SIGTERM)
        with contextlib.suppress(TypeError, ValueError):
            signal.signal(signal.SIGTERM, before)


def verdict(summary: dict[str, Any]) -> State[Any]:
    """Return the flow run's final state."""
    given = told.verdict(summary)
    data = {"run": summary.get("run"), "state": summary["state"], "verified": summary.get("verified", 0)}
    if given.ended == "COMPLETED":
        return Completed(message=given.message, data=data)
    return (Cancelled if given.ended == "CANCELLED" else Failed)(message=given.message)
