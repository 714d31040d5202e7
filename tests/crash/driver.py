"""One run of the product's ledger and delivery, as a process that may be hit anywhere."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import resource
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import fates
import httpx
from cases import FIRST_NIGHT, SECOND_NIGHT, SETTLE_S, TIMEOUT_S

from connectors.errors import FatalError, IngestError, UsageError
from connectors.ledger import faults, lease, open_ledger
from connectors.models import Draft, Extracted, Found, Outgoing, Page, Resource, Skipped
from connectors.persona.client import PersonaClient
from connectors.pipeline.deliver import Delivery
from connectors.settings import DeliveryOptions

SITE = "https://docs.example/"
DONE, INCOMPLETE, STOPPED, BUSY, BROKEN = 0, 1, 3, 5, 70
_jumped = timedelta()


def content_of(name: str, text: str) -> str:
    """Return the text of a page as it is delivered."""
    body = " ".join(f"Line {number} of {name} says {text}." for number in range(12))
    return f"Source: {SITE}{name}\n\n# {name}\n\n{body}"


# -- one run ----------------------------------------------------------------------------------------------------------


async def ingest(order: dict) -> int:
    """Do what one run of the product does, with pages from the order instead of a crawl."""
    offset = timedelta(seconds=order.get("clock_s", 0))
    if order.get("restarted_ms"):
        _pretend_a_restart(order["restarted_ms"])
    try:
        ledger = open_ledger(
            order["ledger"],
            clock=lambda: datetime.now(tz=UTC) + offset + _jumped,
            stale_s=order.get("stale_s", 60.0),
            beat_s=order.get("beat_s", 5.0),
        )
    except FatalError as error:
        return _said(STOPPED, error)
    client = PersonaClient(
        base_url=order["url"],
        timeout_s=order.get("timeout_s", TIMEOUT_S),
        transport=httpx.AsyncHTTPTransport(verify=False, retries=0),
    )
    try:
        return await _run(order, ledger, client)
    except UsageError as error:
        return _said(BUSY, error)
    except FatalError as error:
        return _said(STOPPED, error)
    except IngestError as error:
        return _said(INCOMPLETE, error)
    finally:
        with suppress(FatalError):
            await ledger.close()
        await client.close()


def _said(code: int, error: Exception) -> int:
    os.write(2, f"{type(error).__name__}: {error}\n".encode())
    return code


async def _run(order: dict, ledger, client) -> int:
    run = await ledger.begin(
        source="docs",
        kind="website",
        origin=SITE,
        destination="there",
        options={},
        purpose=order.get("purpose", "import"),
        config="c",
    )
    delivery = make_delivery(order, ledger, client)
    if order.get("purpose") != "retry":
        await _collect(order, ledger, run)
    heads = await delivery.cut(run, final=True)
    slots = asyncio.Semaphore(2)

    async def one(head) -> None:
        async with slots:
            await delivery.deliver(run, head.id)

    await asyncio.gather(*(one(head) for head in heads))
    await delivery.change(run, complete=True)
    coverage = await delivery.verify(run)
    whole = coverage.verified + coverage.quarantined >= coverage.due
    await ledger.finish(run, state="completed" if whole else "failed", complete=True, summary={})
    return DONE if whole else INCOMPLETE


async def _collect(order: dict, ledger, run) -> None:
    await ledger.frontier(run).add([Found(uri=SITE + name, by="link") for name in order["pages"]])
    for name, rule in order.get("skipped", {}).items():
        await ledger.skip(run, Skipped(uri=SITE + name, rule=rule))
    for due in await ledger.frontier(run).take(1000):
        name = due.uri.removeprefix(SITE)
        text = order["pages"][name]
        whole = content_of(name, text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        page = Page(uri=due.uri, title=name, content=text)
        draft = Draft(page=page, content=whole, text_hash=digest, fingerprint=digest)
        moved = order.get("moved", {}).get(name)
        read = Resource(
            uri=due.uri,
            requested_uri=SITE + (moved or name),
            redirects=(SITE + moved,) if moved else (),
            media_type="text/html",
            body=whole.encode(),
            status=200,
        )
        await ledger.record(run, read, Extracted(pages=(page,)), [draft], config="c")


# -- the same with a part taken out: each of these must lose or double pages -------------------------------------------


def make_delivery(order: dict, ledger, client) -> Delivery:
    """Return the product's delivery, or one that lacks what ``without`` names."""
    without = order.get("without", "")
    made = Delivery(
        ledger,
        client,
        DeliveryOptions(
            settle=0 if without == "settling wait" else order.get("settle_s", SETTLE_S),
            delivery=order.get("method", "store"),
            **{"batch-size": order.get("batch", 2)},
        ),
        rng=random.Random(order.get("seed", 1)),
        first_pause_s=0.002,
        patience_s=5,
    )
    if without == "synced intent":
        _forget_intents(ledger.sending)
    elif without == "read-back":
        _assume_nothing_arrived(made)
    elif without == "sweep":
        made._changer.sweep = _sweep_nothing
    return made


def _forget_intents(sending) -> None:
    """Write the intent only together with the answer, as one who trusts that nothing happens in between."""
    intend, delivered, unapplied, note = (
        sending.mark_sent,
        sending.mark_delivered,
        sending.mark_not_applied,
        sending.note,
    )
    waiting: dict[int, dict] = {}

    async def mark_sent(_run, batch, hashes):
        waiting[batch] = hashes
        return set(hashes)

    def afterwards(verb):
        async def told(run, batch, *args, **more):
            if batch in waiting:
                await intend(run, batch, waiting.pop(batch))
            return await verb(run, batch, *args, **more)

        return told

    sending.mark_sent = mark_sent
    sending.mark_delivered, sending.mark_not_applied, sending.note = map(afterwards, (delivered, unapplied, note))


def _assume_nothing_arrived(made: Delivery) -> None:
    async def settle(run, work):
        await made._sending.settle(run, work.id, set())
        return ""

    made._sender._settle = settle


async def _sweep_nothing(_surplus) -> int:
    return len(_surplus)


# -- what most programs do --------------------------------------------------------------------------------------------


async def naive(order: dict) -> int:
    """Send each batch until it is answered well; remember on disk which ones were."""
    state = Path(order["notes"])
    done = set(json.loads(state.read_text())) if state.exists() else set()
    client = PersonaClient(base_url=order["url"], timeout_s=TIMEOUT_S, transport=httpx.AsyncHTTPTransport(verify=False))
    names = list(order["pages"])
    size = order.get("batch", 2)
    try:
        for start in range(0, len(names), size):
            if start in done:
                continue
            pages = [
                Outgoing(version_id=0, uri=SITE + name, title=name, content=content_of(name, order["pages"][name]))
                for name in names[start : start + size]
            ]
            for _ in range(8):
                faults.reach("call")
                try:
                    await client.store_pages(pages)
                except IngestError:
                    faults.reach("answer")
                    await asyncio.sleep(0.02)
                else:
                    faults.reach("answer")
                    break
            done.add(start)
            scratch = state.with_suffix(".new")
            scratch.write_text(json.dumps(sorted(done)))
            scratch.rename(state)
    finally:
        await client.close()
    return DONE


# -- its fate ---------------------------------------------------------------------------------------------------------


def _pretend_a_restart(at_ms: int) -> None:
    """Be on the machine after it was started anew: another name for this start, and its clock began at nothing."""
    since_boot = lease.tick_ms
    lease.tick_ms = lambda: since_boot() - at_ms
    lease.this_boot = lambda: "started anew"


def _fate(order: dict):
    match order.get("fate", "kill"):
        case "kill":
            return faults.die
        case "stop":
            return fates.stop
        case "jump":
            return fates.told(lambda: _jump(order["jump_s"]))
        case "disconnect":
            return fates.told(lambda: fates.disconnect(order["ledger"]))
        case how:
            return fates.break_disk(how)


def _jump(seconds: float) -> None:
    global _jumped  # noqa: PLW0603 - one process has one clock
    _jumped = timedelta(seconds=seconds)


def child(order: dict) -> None:
    """Be the process that an order asks for, and end."""
    code = BROKEN
    try:
        os.nice(2)  # the server and the bench answer in time, or the trial would say nothing
        os.dup2(os.open(order["errors"], os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
        lease.this_host.cache_clear()
        faults.plan(order.get("fault", ""), counting=bool(order.get("count")), fate=_fate(order))
        if order.get("file_bytes"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_bytes"], order["file_bytes"]))
        code = asyncio.run(naive(order) if order.get("naive") else ingest(order))
        if order.get("count"):
            Path(order["count"]).write_text(json.dumps(faults.met()))
    except BaseException:  # noqa: BLE001 - whatever it is, the report shows it
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


# -- what all processes share -----------------------------------------------------------------------------------------


async def warm_up(ledger: str) -> None:
    """Do everything once before the first fork: imports, caches."""
    from persona_server import Script, Server

    async with Server() as server:
        order = {"ledger": ledger, "url": server.url, "pages": FIRST_NIGHT}
        server.reset(Script(posts={1: "half 422"}))
        await ingest(order)
        await ingest(order | {"pages": SECOND_NIGHT, "skipped": {"p3": "deleted"}, "purpose": "sync"})
