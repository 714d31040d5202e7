"""What a person reads in Prefect's UI during and after a run: artifacts, with everything from a site escaped."""

from __future__ import annotations

import hashlib
import html
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from flows.pictures import as_address, nights_svg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from connectors.pipeline.gaps import GapReport
    from connectors.pipeline.progress import Progress
    from flows.facts import Facts

EXAMPLES = 3
MOST_PROMPTS = 10
MOST_LISTED = 100
MOST_SLOWEST = 10
MOST_OF_A_NAME = 60
BAR = 40
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~>$])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")


def key_of(kind: str, name: str) -> str:
    """Return an artifact's key: ``report-docs-example-org``; the same source has the same key in every run.

    Prefect allows lower-case letters, digits and dashes; two names that differ only in other signs keep two keys.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if slug != name.lower() or len(slug) > MOST_OF_A_NAME:
        slug = f"{slug[:MOST_OF_A_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}".strip("-")
    return f"{kind}-{slug}"


def escaped(text: str, *, longest: int = 160) -> str:
    """Return a site's words so that neither Markdown nor HTML nor a terminal sees anything in them but words."""
    plain = " ".join(_CONTROL.sub(" ", text).split())
    if len(plain) > longest:
        plain = plain[: longest - 1] + "…"
    words = _MARKDOWN.sub(r"\\\1", html.escape(plain, quote=False))
    # Prefect's Markdown makes links of bare addresses too.
    return words.replace("://", "&#58;//").replace("@", "&#64;").replace("www\\.", "www&#46;")


def link(text: str, uri: str) -> str:
    """Return a Markdown link to a web page; anything else than http and https stays text."""
    if urlsplit(uri).scheme not in {"http", "https"}:
        return escaped(text)
    return f"[{escaped(text, longest=90)}]({quote(uri, safe='/:?&=%#~;,@+$!*')})"


def progress_percent(progress: Progress) -> float:
    """Return how much of what is known to be due is done."""
    if progress.stage == "done":
        return 100.0
    due = max(progress.discovered, progress.done) + progress.verdicts["new"] + progress.verdicts["changed"]
    done = progress.done + progress.delivered
    return min(99.0, round(100.0 * done / due, 1)) if due else 0.0


def report(summary: Mapping[str, Any], facts: Facts, *, prompts: Sequence[str]) -> str:
    """Return one source's report in Markdown."""
    title = escaped(str(summary["name"]))
    parts = [f"## {title}", _headline(summary), _approval(summary)]
    if "urls" in summary:
        parts += [_totals(summary), _outcomes(summary["urls"], facts), _changes(summary, facts)]
    parts += [_failures(facts), _batches(facts), _slowest(facts), _prompts(prompts)]
    parts += [_findings(summary, facts), _nights(facts), _next(summary)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(summary: Mapping[str, Any]) -> str:
    where = escaped(str(summary.get("where", "")))
    head = f"**{str(summary['state']).capitalize()}** · run {summary.get('run', '')} · into {where}"
    problems = "\n".join(f"- {escaped(problem, longest=400)}" for problem in summary.get("problems", ()))
    notes = "\n".join(f"- **Note:** {escaped(note, longest=400)}" for note in summary.get("notes", ()))
    return "\n\n".join(part for part in (head, problems, notes) if part)


def _totals(summary: Mapping[str, Any]) -> str:
    pages, sent, seconds = summary["pages"], summary["delivered"], summary["seconds"]
    rows = [
        ("Pages", _counted(pages)),
        ("Delivered", _counted(sent)),
        ("Read back from the knowledge base", summary["verified"]),
        ("Batches", _counted(summary["batches"])),
        ("Quarantined", summary["quarantined"]),
        ("Time", f"{seconds['total']:.1f} s (crawl {seconds['crawl']:.1f} s, delivery {seconds['deliver']:.1f} s)"),
    ]
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows)


def _counted(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in numbers.items() if count) or "none"


def _outcomes(urls: Mapping[str, Any], facts: Facts) -> str:
    """Return the balance of the URLs, as a sum, a bar and a table."""
    skipped, failed = urls["skipped"], urls["failed"]
    parts = {
        "fetched": urls["fetched"],
        "not modified": urls["not_modified"],
        "skipped": sum(skipped.values()),
        "failed": sum(failed.values()),
    }
    total = max(1, urls["discovered"])
    bar = "".join(sign * round(BAR * count / total) for sign, count in zip("█▓░✗", parts.values(), strict=True))
    head = f"### Every URL\n\n{urls['discovered']} discovered = " + " + ".join(
        f"{count} {name}" for name, count in parts.items()
    )
    out = [head, f"`{bar}`", "█ fetched · ▓ not modified · ░ skipped · ✗ failed"]
    rows = [("skipped", *item) for item in skipped.items()] + [("failed", *item) for item in failed.items()]
    if rows:
        table = ["| outcome | rule | URLs | such as |", "|---|---|---|---|"]
        for outcome, rule, count in sorted(rows, key=lambda row: (row[0], -row[2])):
            some = ", ".join(link(uri, uri) for uri in facts.examples.get(f"{outcome}:{rule}", ())[:EXAMPLES])
            table.append(f"| {outcome} | {escaped(rule)} | {count} | {some} |")
        out.append("\n".join(table))
    return "\n\n".join(out)


def _changes(summary: Mapping[str, Any], facts: Facts) -> str:
    pages = summary["pages"]
    out = []
    for verdict, word in (("new", "Added"), ("changed", "Changed"), ("removed", "Removed")):
        listed = [(title, uri) for title, uri, kind in facts.pages if kind == verdict]
        count = pages.get("vanished" if verdict == "removed" else verdict, 0)
        if not count:
            continue
        lines = [f"- {link(title or uri, uri)}" for title, uri in listed]
        if count > len(listed):
            lines.append(f"- … and {count - len(listed)} more" if listed else f"- {count} pages")
        out.append(f"### {word}: {count}\n\n" + "\n".join(lines))
    return "\n\n".join(out)


def _failures(facts: Facts) -> str:
    if not facts.failures:
        return ""
    rows = [f"| {link(uri, uri)} | {escaped(rule)} | {escaped(detail)} |" for uri, rule, detail in facts.failures]
    return "### What failed\n\n| URL | rule | why |\n|---|---|---|\n" + "\n".join(rows)


def _batches(facts: Facts) -> str:
    failed = [row for row in facts.batches if row["state"] not in {"delivered", "split"}]
    if not failed:
        return ""
    rows = [
        f"| {row['batch']} | {row['pages']} | {row['state']} | {row['calls']} | {escaped(row['detail'])} |"
        for row in failed
    ]
    return (
        "### Batches that did not arrive\n\n| batch | pages | state | calls | why |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
    )


def _prompts(prompts: Sequence[str]) -> str:
    if not prompts:
        return ""
    shown = "\n".join(f"- {escaped(prompt)}" for prompt in prompts[:MOST_PROMPTS])
    more = f"\n- … and {len(prompts) - MOST_PROMPTS} more" if len(prompts) > MOST_PROMPTS else ""
    return f"### Prompts: {len(prompts)}\n\n{shown}{more}"


def _findings(summary: Mapping[str, Any], facts: Facts) -> str:
    """Return what was submitted for review, each article with its note."""
    count, listed = summary.get("reviewed", 0), facts.findings[:MOST_LISTED]
    if not count:
        return ""
    text = f"### For review\n\n{count} findings were submitted: pages that a person should look at."
    if listed:
        rows = [f"| {link(article or uri, uri)} | {escaped(note, longest=300)} |" for uri, article, note in listed]
        text += "\n\n| article | note |\n|---|---|\n" + "\n".join(rows)
        text += f"\n\n… and {count - len(listed)} more" if count > len(listed) else ""
    return text


def _slowest(facts: Facts) -> str:
    """Return what took longest to read."""
    if not facts.slowest:
        return ""
    rows = [
        f"| {link(uri, uri)} | {seconds:.2f} s | {escaped(outcome.replace('_', ' '))} |"
        for uri, seconds, outcome in facts.slowest[:MOST_SLOWEST]
    ]
    return "### Slowest to read\n\n| URL | time | outcome |\n|---|---|---|\n" + "\n".join(rows)


def _nights(facts: Facts) -> str:
    """Return the picture of the last nights; Prefect's Markdown shows a picture that stands in its own address."""
    if len(facts.nights) < 2:  # noqa: PLR2004 - one night is no history
        return ""
    first, last = facts.nights[0]["day"], facts.nights[-1]["day"]
    head = f"### The last {len(facts.nights)} runs, {first} to {last}"
    return f"{head}\n\n![Pages, changes and failures by run]({as_address(nights_svg(facts.nights))})"


def _approval(summary: Mapping[str, Any]) -> str:
    """Return what waits for a person: why, and the pages."""
    return _asked(summary["approval"]) if summary.get("approval") else ""


def approval_request(waiting: Mapping[str, Any]) -> str:
    """Return what the approval form tells, in Markdown: the source, why it waits, the pages."""
    return f"## {escaped(str(waiting['source']))}, run {waiting['run']}\n\n{_asked(waiting['approval'])}"


def decision_report(waiting: Mapping[str, Any], words: str) -> str:
    """Return what became of a sync that waited for a person: the source's report from then on, in Markdown."""
    head = f"## {escaped(str(waiting['source']))}\n\n**Decided** · run {waiting['run']}"
    return f"{head}\n\n{escaped(words, longest=400)}\n\n### What was asked\n\n{_list(waiting['approval'])}"


def _asked(asked: Mapping[str, Any]) -> str:
    return f"### Waits for approval: {asked['count']} pages\n\n{_list(asked)}"


def _list(asked: Mapping[str, Any]) -> str:
    listed = "\n".join(
        f"- {link(page['uri'], page['uri'])}: {escaped(page['reason'])}" for page in asked["pages"][:MOST_LISTED]
    )
    more = f"\n- … and {asked['count'] - MOST_LISTED} more" if asked["count"] > MOST_LISTED else ""
    return f"{escaped(asked['why'], longest=400)}\n\n{listed}{more}"


def _next(summary: Mapping[str, Any]) -> str:
    words = {
        "completed": "Nothing: everything due is in the knowledge base exactly once.",
        "failed": "Run the deployment `retry-failed-batches` (or `persona-ingest retry`); "
        "`persona-ingest explain URL` tells why a page is missing.",
        "stopped": "Put right what is said at the top, then run this source again; it goes on from where it stopped.",
        "awaiting-approval": "Look at the list, then approve or reject it: resume this run, or on a terminal "
        f"`persona-ingest sync --approve {summary.get('run', 'RUN')}` or `--reject {summary.get('run', 'RUN')}`.",
    }
    return f"### What to do next\n\n{words.get(str(summary['state']), '')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What stands beside a run in the UI, in the form in which Prefect keeps it."""

    key: str
    type: Literal["markdown", "table", "progress"]
    description: str
    data: str | float


def progress_bar(name: str) -> Artifact:
    """Return the progress bar of a run that begins."""
    return Artifact(key=key_of("progress", name), type="progress", description=f"Progress of {escaped(name)}", data=0.0)


async def open_progress(name: str) -> UUID | None:
    """Create the progress artifact of a run."""
    from prefect.artifacts import acreate_progress_artifact

    made = progress_bar(name)
    return await acreate_progress_artifact(progress=float(made.data), key=made.key, description=made.description)


async def update_progress(artifact: UUID | None, progress: Progress) -> None:
    """Move the bar, and say in its description what was counted."""
    from prefect.artifacts import aupdate_progress_artifact

    from flows.console import numbers

    if artifact is not None:
        words = f"{progress.stage}: {numbers(progress)}"
        await aupdate_progress_artifact(artifact, progress=progress_percent(progress), description=words)


def artifacts(summary: Mapping[str, Any], facts: Facts, *, prompts: Sequence[str]) -> list[Artifact]:
    """Return the report of one source, then tables of its batches and failures, where there are any."""
    from flows.facts import with_tonight

    facts = with_tonight(facts, summary)
    name = str(summary["name"])
    text = report(summary, facts, prompts=prompts)
    words = f"{name}: {summary['state']}"[:200]
    made = [Artifact(key=key_of("report", name), type="markdown", description=words, data=text)]
    failed = [{"url": uri, "rule": rule, "why": detail} for uri, rule, detail in facts.failures]
    for kind, what, rows in (("batches", "Batches", facts.batches), ("failures", "What failed", failed)):
        if rows:
            table = json.dumps(_plain(rows))
            made.append(Artifact(key=key_of(kind, name), type="table", description=what, data=table))
    return made


async def publish(summary: Mapping[str, Any], facts: Facts, *, prompts: Sequence[str]) -> UUID:
    """Create the report of one source, and tables of its batches and failures; returns the report's id."""
    report, *tables = artifacts(summary, facts, prompts=prompts)
    written = await _written(report)
    for table in tables:
        await _written(table)
    return written


async def _written(made: Artifact) -> UUID:
    from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

    words = {"key": made.key, "description": made.description}
    if made.type == "table":
        return await acreate_table_artifact(table=json.loads(str(made.data)), **words)
    return await acreate_markdown_artifact(markdown=str(made.data), **words)


def _plain(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {key: _CONTROL.sub(" ", value) if isinstance(value, str) else value for key, value in row.items()}
        for row in rows
    ]


def settled_report(answer: Mapping[str, Any]) -> str:
    """Return what `retry` or `verify` found, in Markdown."""
    rows = ["| source | due | verified | missing | quarantined |", "|---|---|---|---|---|"]
    for name, coverage in answer["sources"].items():
        numbers = [coverage.get(key, 0) for key in ("due", "verified", "missing", "quarantined")]
        rows.append(f"| {escaped(name)} | " + " | ".join(str(_length(value)) for value in numbers) + " |")
    refused = "".join(f"\n- {link(uri, uri)}" for uri in answer["quarantined"])
    head = "Everything due is in the knowledge base exactly once." if answer["ok"] else "Not everything is there yet."
    return f"# Settled\n\n{head}\n\n" + "\n".join(rows) + (f"\n\n## Quarantined\n{refused}" if refused else "")


def set_aside(quarantined: Sequence[str]) -> str:
    """Say how many pages wait for a person in quarantine, and the command for them; nothing when none does."""
    if not quarantined:
        return ""
    pages = "1 page waits" if len(quarantined) == 1 else f"{len(quarantined)} pages wait"
    return f" {pages} in quarantine: `persona-ingest retry --quarantined all` sends them again."


def _length(value: Any) -> int:
    return value if isinstance(value, int) else len(value)


def overview(summaries: Sequence[Mapping[str, Any]]) -> str:
    """Return all sources of a sync as one table, in Markdown."""
    rows = [
        "| source | state | new | changed | gone | unchanged | verified | problem |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for summary in summaries:
        pages = summary.get("pages", {})
        numbers = " | ".join(str(pages.get(key, "")) for key in ("new", "changed", "vanished", "unchanged"))
        problem = escaped("; ".join(summary.get("problems", ())), longest=300)
        name = escaped(str(summary["name"]))
        rows.append(f"| {name} | {summary['state']} | {numbers} | {summary.get('verified', '')} | {problem} |")
    return f"# {len(summaries)} sources\n\n" + "\n".join(rows) + "\n"


def prompts_report(prompts: Sequence[str]) -> str:
    """Return generated prompts, in Markdown."""
    return f"# {len(prompts)} prompts\n\n" + "".join(f"- {escaped(prompt, longest=400)}\n" for prompt in prompts)


def findings_report(found: Sequence[tuple[str, str]]) -> str:
    """Return what was submitted for review, in Markdown."""
    rows = [f"| {escaped(article)} | {escaped(note, longest=300)} |" for article, note in found]
    return f"# {len(found)} findings for review\n\n| article | note |\n|---|---|\n" + "\n".join(rows) + "\n"


def gaps_report(report: GapReport) -> str:
    """Return content gaps, in Markdown: those asked most often first."""
    rows = [
        f"| {escaped(gap.topic)} | {gap.asked} | {gap.users} | {gap.reason} | {gap.standing} | "
        f"{link(gap.uri, gap.uri) if gap.uri else ''} | {escaped(gap.questions[0])} |"
        for gap in report.gaps
    ]
    head = f"# {len(report.gaps)} content gaps\n\nFrom {report.questions} questions in {report.chats} chats."
    table = "| topic | asked | by | why | the source | page | first wording |\n|---|---|---|---|---|---|---|\n"
    return f"{head}\n\n{table}" + "\n".join(rows) + "\n"
