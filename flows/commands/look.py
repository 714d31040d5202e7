"""The commands that only look: `preview`, `explain`, `status`. They import neither Prefect nor a server."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

from flows.commands.frame import Frame, common
from flows.options import page_options, source_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.state import StateSettings

_SHOWN_OF_A_REPORT = 20


@click.command()
@click.argument("where", metavar="URL_OR_PATH")
@page_options
@common
def preview(frame: Frame, where: str, *, state: StateSettings, **options: Any) -> int:  # noqa: ARG001 - looks at no state
    """Show a page as it would be sent, and why. Stores and sends nothing.

    Exits with 1 when nothing would be sent.

    \b
    Examples:
      persona-ingest preview https://docs.example.com/guide/install.html
      persona-ingest preview page.html --select main --remove .cookie-banner
      persona-ingest preview handbook.pdf --json
    """
    from connectors.pipeline import operate

    found = asyncio.run(operate.preview(source_of(where, options)))
    answer = {
        "uri": found.uri,
        "pages": found.pages,
        "reason": found.reason,
        "detail": found.detail,
        "report": found.report,
        "links": found.links,
    }
    frame.say(answer)
    if not frame.as_json:
        click.echo(_preview_text(answer))
    return 1 if found.reason else 0


def _preview_text(answer: Mapping[str, Any]) -> str:
    from flows.console import safe

    out: list[str] = []
    for page in answer["pages"]:
        out += [f"title:    {safe(page['title'])}"]
        about = {key: value for key, value in page["metadata"].items() if (key, value) != ("title", page["title"])}
        out += [f"{key + ':':9} {safe(str(value))}" for key, value in about.items()]
        out += ["", "\n".join(safe(row, longest=10_000) for row in page["content"].splitlines()), "", "-" * 72]
    if answer["reason"]:
        out.append(f"Nothing would be sent: {answer['reason']}. {safe(answer['detail'])}")
    elif answer["detail"]:
        out.append(f"Why: {safe(answer['detail'])}")
    for key, value in list(answer["report"].items())[:_SHOWN_OF_A_REPORT]:
        out.append(
            f"  {key}: {safe(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))}"
        )
    out.append(f"  links: {answer['links']}")
    return "\n".join(out)


@click.command()
@click.argument("url", metavar="URL_OR_FILE")
@common
def explain(frame: Frame, url: str, *, state: StateSettings) -> int:
    """Tell what became of a URL or file in each run, newest first, and by which rule.

    \b
    Examples:
      persona-ingest explain https://docs.example.com/guide/old.html
      persona-ingest explain ./handbook/scanned.pdf
    """
    from connectors.pipeline import operate

    told = [plain(row) for row in asyncio.run(operate.explain(url, state=state))]
    frame.say({"url": url, "runs": told})
    if not frame.as_json:
        click.echo(_rows(told) if told else f"No run has met {url}. `persona-ingest status` lists what is known.")
    return 0


@click.command()
@common
def status(frame: Frame, *, state: StateSettings) -> int:
    """List the sources: pages, last run, next run, batches by state.

    \b
    Examples:
      persona-ingest status
      persona-ingest status --json --state /srv/persona
    """
    from connectors.pipeline import operate
    from flows import local_server

    rows = [plain(row) for row in asyncio.run(operate.status(state=state))]
    server = local_server.local_server(state.folder().absolute())
    api_url = local_server.named_server() or server.get("api_url", "")
    upcoming = local_server.next_nightly_sync(api_url) if api_url else ""
    answer = {"state": str(state.folder()), "sources": rows, "next_run": upcoming, "ui": server.get("ui_url", "")}
    frame.say(answer)
    if not frame.as_json:
        click.echo(_status_text(answer))
    return 0


def _status_text(answer: Mapping[str, Any]) -> str:
    from flows.console import safe

    out: list[str] = []
    for row in answer["sources"]:
        last = row["last_run"] or {}
        when = (last.get("ended_at") or last.get("started_at") or "").replace("T", " ").removesuffix("+00:00")
        out += [
            f"{safe(row['name'])}  ({row['kind']} → {safe(row['destination'])}){'  RUNNING' if row['busy'] else ''}"
        ]
        out += [f"  pages     {row['pages']}: {_counted(row['versions'])}"]
        out += [f"  batches   {_counted(row['batches'])}"]
        if last:
            out += [f"  last run  {last['purpose']} {last['id']}: {_ended(row, last['state'])}, {when} UTC"]
            out += [f"            {line}" for line in _brought(last["summary"])]
            out += [f"            {safe(told, longest=300)}" for told in last["summary"].get("problems", ())]
            out += _asked(last)
        out.append("")
    if not out:
        out = ["Nothing was imported yet: persona-ingest import https://docs.example.com", ""]
    upcoming = _in_utc(answer["next_run"]) or "none is scheduled; persona-ingest ui brings it up"
    out.append(f"Next nightly sync: {upcoming}")
    out.append(f"State: {answer['state']}" + (f"   UI: {answer['ui']}" if answer["ui"] else ""))
    return "\n".join(out)


def _in_utc(when: str) -> str:
    """Return an ISO time as people read it, as that of the last run is written; empty stays empty."""
    from datetime import UTC, datetime

    return f"{datetime.fromisoformat(when).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if when else ""


def _ended(row: Mapping[str, Any], state: str) -> str:
    """Return a run's state in words: one that nobody carries out any more was interrupted."""
    return "interrupted, the next run goes on from there" if state == "running" and not row["busy"] else state


def _asked(last: Mapping[str, Any]) -> list[str]:
    """Return what a run that waits for a person asks, and how to answer."""
    if last["state"] != "awaiting-approval" or "approval" not in last["summary"]:
        return []
    asked = last["summary"]["approval"]
    return [f"            {asked['why']}", f"            {asked['approve']}   or   {asked['reject']}"]


def _brought(summary: Mapping[str, Any]) -> list[str]:
    """Return in one line what a run brought; none when it left no summary."""
    if "pages" not in summary:
        return []
    pages, urls = summary["pages"], summary["urls"]
    told = {
        "added": pages["new"],
        "changed": pages["changed"],
        "removed": summary["delivered"]["deleted"],
        "unchanged": pages["unchanged"],
        "failed": sum(urls["failed"].values()),
        "skipped": sum(urls["skipped"].values()),
    }
    return [", ".join(f"{count} {word}" for word, count in told.items())]


def _counted(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in numbers.items() if count) or "none"


def plain(row: Any) -> dict[str, Any]:
    """Return a row as JSON values; times as ISO 8601."""
    from dataclasses import asdict

    values: dict[str, Any] = json.loads(json.dumps(asdict(row), default=_iso))
    return values


def _iso(value: Any) -> str:
    return value.isoformat(timespec="seconds") if hasattr(value, "isoformat") else str(value)


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one paragraph a row: names and values, nested ones flattened."""
    from flows.console import safe

    out: list[str] = []
    for row in rows:
        out.append("")
        for key, value in row.items():
            shown = ", ".join(f"{v} {k}" for k, v in value.items() if v) if isinstance(value, dict) else value
            if shown not in (None, "", []):
                out.append(f"  {key.replace('_', ' '):14} {safe(str(shown))}")
    return "\n".join(out)
