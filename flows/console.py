"""What a person sees of a run in a terminal: progress while it runs, a summary with the balance at the end."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from connectors.pipeline.progress import Progress

EVERY_S = 5.0
FRAMES_A_SECOND = 4
NARROWEST = 70
EXAMPLES = 3
MOST_ASKED = 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def safe(text: str, *, longest: int = 200) -> str:
    """Return a site's words without anything that moves a cursor, turns text round or fills the screen."""
    plain = _CONTROL.sub("�", text)
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


def line(text: str) -> None:
    """Print one event."""
    import click  # not for who only counts

    click.echo(f"{time.strftime('%H:%M:%S')}  {text}", err=True)


def numbers(progress: Progress) -> str:
    """Return a run's counts as one line."""
    parts = [f"{max(progress.discovered, progress.done)} found", f"{progress.read} read"]
    parts += [f"{progress.unmodified} not modified"] if progress.unmodified else []
    skipped = progress.rules.total()
    parts += [f"{skipped} passed over"] if skipped else []
    parts.append(f"{progress.delivered} delivered in {_batches(progress.batches - progress.batches_failed)}")
    parts += [f"{progress.batches_failed} batches FAILED"] if progress.batches_failed else []
    parts += [f"{progress.verified} verified"] if progress.verified else []
    return ", ".join(parts)


@asynccontextmanager
async def shown(name: str, progress: Progress) -> AsyncIterator[Callable[[str], None]]:
    """Show a run's progress while the block runs; yields what prints a line above it."""
    show = _live(name, progress) if _can_be_drawn_on() else _lines(name, progress)
    async with show as say:
        yield say


def _can_be_drawn_on() -> bool:
    """Say whether this is a terminal whose cursor moves, and wide enough for a picture that changes in its place."""
    moves = sys.stderr.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}
    return moves and shutil.get_terminal_size().columns >= NARROWEST


@asynccontextmanager
async def _lines(name: str, progress: Progress) -> AsyncIterator[Callable[[str], None]]:
    async def tell() -> None:
        stage, last = "", ""
        due = 0.0
        while True:
            now = time.monotonic()
            text = numbers(progress)
            if progress.stage != stage or (now >= due and text != last):
                line(f"{safe(name)}: {progress.stage}: {text}")
                stage, last, due = progress.stage, text, now + EVERY_S
            await asyncio.sleep(0.25)

    task = asyncio.create_task(tell())
    try:
        yield line
    finally:
        task.cancel()


@asynccontextmanager
async def _live(name: str, progress: Progress) -> AsyncIterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.live import Live
    from rich.markup import escape

    console = Console(stderr=True)
    started = time.monotonic()

    def picture() -> Any:
        return _picture(name, progress, seconds=time.monotonic() - started)

    with Live(picture(), console=console, refresh_per_second=FRAMES_A_SECOND, get_renderable=picture, transient=True):
        yield lambda text: console.print(escape(text), highlight=False)


def _picture(name: str, progress: Progress, *, seconds: float) -> Any:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    rate = progress.done / seconds if seconds else 0.0
    table = Table.grid(padding=(0, 2))
    table.add_row(Text(safe(name, longest=60), style="bold"), Text(progress.stage, style="cyan"), Text(_clock(seconds)))
    due = progress.verdicts["new"] + progress.verdicts["changed"]
    rows = (
        ("crawled", progress.done, max(progress.discovered, progress.done), f"{rate:.0f} a second"),
        ("delivered", progress.delivered, max(progress.delivered, due),
         _batches(progress.batches) + (f", {progress.batches_failed} failed" if progress.batches_failed else "")),
        ("verified", progress.verified, max(progress.verified, progress.delivered), ""),
    )  # fmt: skip
    bars = Table.grid(padding=(0, 2))
    for label, done, total, note in rows:
        bar = ProgressBar(total=max(total, 1), completed=done, width=30)
        bars.add_row(label, bar, Text(f"{done} of {total}", justify="right"), Text(note, style="dim"))
    recent = Text(safe(progress.recent[-1], longest=100) if progress.recent else "", style="dim")
    return Group(table, bars, recent)


def _batches(count: int) -> str:
    return "1 batch" if count == 1 else f"{count} batches"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def summary(
    source: Mapping[str, Any], *, examples: Mapping[str, Sequence[str]], where: str, prompts: Sequence[str]
) -> str:
    """Return one source's summary for a person: the balance of its URLs, what was delivered, what to do next."""
    out: list[str] = ["", f"{safe(str(source['name']))}: {source['state']}"]
    if "urls" in source:
        out += _urls(source["urls"], examples)
        out += [] if "would" in source else _delivery(source, where)
    if prompts:
        out.append(f"  Prompts     {len(prompts)}, such as: {safe(prompts[0], longest=90)}")
    if source.get("reviewed"):
        out.append(f"  For review  {source['reviewed']} findings a person should look at")
    out += [f"  Problem     {safe(problem, longest=400)}" for problem in source.get("problems", ())]
    out += [f"  Note        {safe(note, longest=400)}" for note in source.get("notes", ())]
    if would := source.get("would"):
        out += _would(would)
    if asked := source.get("approval"):
        out.append(f"  Waits       {safe(asked['why'], longest=300)}")
        out += [f"    {safe(page['uri'])}  ({safe(page['reason'])})" for page in asked["pages"][:MOST_ASKED]]
        out += [f"    … and {asked['count'] - MOST_ASKED} more"] if asked["count"] > MOST_ASKED else []
    return "\n".join(out)


def _urls(urls: Mapping[str, Any], examples: Mapping[str, Sequence[str]]) -> list[str]:
    skipped, failed = urls.get("skipped", {}), urls.get("failed", {})
    balance = (
        f"  URLs        {urls['discovered']} discovered = {urls['fetched']} fetched"
        f" + {urls['not_modified']} not modified + {sum(skipped.values())} skipped + {sum(failed.values())} failed"
    )
    out = [balance]
    for outcome, rules in (("skipped", skipped), ("failed", failed)):
        for rule, count in sorted(rules.items(), key=lambda item: -item[1]):
            out.append(f"    {outcome:8}  {count:>6}  {rule}")
            out += [
                f"                      {safe(uri, longest=100)}"
                for uri in examples.get(f"{outcome}:{rule}", ())[:EXAMPLES]
            ]
    return out


def _delivery(source: Mapping[str, Any], where: str) -> list[str]:
    pages, sent, batches = source["pages"], source["delivered"], source["batches"]
    seconds = source["seconds"]
    words = ", ".join(f"{count} {key}" for key, count in pages.items() if count) or "none"
    done = ", ".join(f"{count} {key}" for key, count in sent.items() if count) or "nothing due"
    lots = ", ".join(f"{count} {key}" for key, count in batches.items() if count) or "none"
    out = [
        f"  Pages       {words}",
        f"  Delivered   {done} → {safe(where)}",
        f"  Batches     {lots}",
        f"  Verified    {source['verified']} read back from the knowledge base",
    ]
    out += [f"  Quarantined {source['quarantined']}"] if source.get("quarantined") else []
    out.append(
        f"  Time        {seconds['total']:.1f} s (crawl {seconds['crawl']:.1f} s, delivery {seconds['deliver']:.1f} s)"
    )
    return out


def _would(would: Mapping[str, Any]) -> list[str]:
    """Return what a dry run found: the pages it would touch, how their text changes, and the calls it would take."""
    calls = would["calls"]
    kinds = ", ".join(f"{count} {key}" for key, count in calls.items() if key != "total")
    touched = f"add {len(would['add'])}, change {len(would['change'])}, delete {len(would['delete'])} pages"
    out = [f"  Would       {touched} in {calls['total']} calls ({kinds})"]
    out += [f"    + {safe(uri)}" for uri in would["add"][:MOST_ASKED]]
    out += [f"    … and {len(would['add']) - MOST_ASKED} more"] if len(would["add"]) > MOST_ASKED else []
    out += [f"    - {safe(page['uri'])}  ({safe(page['reason'])})" for page in would["delete"]]
    for page in would["change"]:
        out += [f"    ~ {safe(page['uri'])}", *(f"        {safe(line)}" for line in page["diff"])]
    return [*out, "  Dry run     nothing was written or sent"]


def next_steps(result: Mapping[str, Any]) -> str:
    """Return what to do now, by how the command ended."""
    state = result["state"]
    if state == "completed":
        return 'Next: persona-ingest ask "…" tries it; status shows what is known; sync keeps it up to date.'
    if state == "awaiting-approval":
        return (
            f"Next: look at the list, then persona-ingest sync --approve {result['run']} or --reject {result['run']}."
        )
    if state == "stopped" and not result.get("problems"):
        return "Next: the same command goes on from here."
    if state == "stopped":
        return "Next: put right what is said above, then run the same command; it goes on from here."
    return f"Next: {_after_failure(result)}"


def overall(summaries: Sequence[Mapping[str, Any]]) -> str:
    """Return in one line how several sources ended: what was right counted, what was not by name."""
    ended: dict[str, list[str]] = {}
    for summary in summaries:
        ended.setdefault(str(summary["state"]), []).append(safe(str(summary["name"])))
    told = [
        f"{len(names)} {state}" + ("" if state == "completed" else f" ({', '.join(names)})")
        for state, names in ended.items()
    ]
    return f"\n{len(summaries)} sources: {', '.join(told)}"


def _after_failure(result: Mapping[str, Any]) -> str:
    urls, batches = result.get("urls", {}), result.get("batches", {})
    if batches.get("failed") or batches.get("pending") or result.get("quarantined"):
        return "persona-ingest retry sends again what failed; persona-ingest explain URL tells why a page is missing."
    if not urls.get("fetched") and not urls.get("not_modified"):
        return "put right what is said above and run it again; persona-ingest preview URL tries one page."
    if urls.get("failed"):
        return "run it again when that has passed; persona-ingest explain URL tells what became of an address."
    return "run it again; persona-ingest verify compares the knowledge base with what it should hold."
