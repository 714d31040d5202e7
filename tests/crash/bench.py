"""The bench of the crash proof: trials over a server, a zygote and a ledger in a scratch folder."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from persona_server import Script, Server

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from driver import BUSY, DONE, INCOMPLETE, STOPPED, content_of  # noqa: E402

from connectors.ledger.migrate import migrate  # noqa: E402 - the path comes first
from connectors.ledger.writer import open_engine  # noqa: E402

if TYPE_CHECKING:
    import random

MOST_RUNS = 8
FOREIGN = "Somebody's own notes, which nobody may touch."
FIRST_NIGHT = {f"p{number}": f"text {number}" for number in range(5)}
SECOND_NIGHT = {"p0": "text 0", "p1": "changed 1", "moved": "text 2", "p5": "text 5", "p6": "changed 6"}
_BEFORE = FIRST_NIGHT | {"p6": "text 6"}


@dataclass(frozen=True)
class Case:
    """What is to be done, and how the server answers.

    ``twice`` says that pages may be created twice on the way, because the server applies what it was sent after
    the settling time, or forgets: then only what is at rest counts.
    """

    name: str
    script: Script
    night: int = 1
    method: str = "store"
    refused_at_first: bool = False
    twice: bool = False
    quarantined: tuple[str, ...] = ()
    order: dict = field(default_factory=dict)


@dataclass
class Verdict:
    """What one trial showed."""

    case: str
    fault: str
    lost: int = 0
    double: int = 0
    created_twice: int = 0
    foreign: int = 0
    stuck: bool = False
    killed: int = 0
    open_batches: int = 0
    runs: int = 0
    posts: int = 0
    words: str = ""

    @property
    def bad(self) -> bool:
        return bool(self.lost or self.double or self.foreign or self.stuck or self.created_twice)


class CountingServer(Server):
    """A server that also knows how often each text was created."""

    def __init__(self) -> None:
        super().__init__()
        self.created: Counter[str] = Counter()

    def reset(self, script: Script) -> None:
        super().reset(script)
        self.created.clear()

    def add(self, content: str) -> str:
        self.created[content] += 1
        return super().add(content)


class Bench:
    """One zygote, one server, one scratch folder: trials run one after another."""

    def __init__(self) -> None:
        self.server = CountingServer()
        self.folder = Path(tempfile.mkdtemp(prefix="crash", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self._zygote: asyncio.subprocess.Process | None = None
        self._number = 0
        self._night_before: tuple[Path, dict[str, str]] | None = None

    async def __aenter__(self):
        await self.server.__aenter__()
        self._zygote = await asyncio.create_subprocess_exec(
            sys.executable,
            str(HERE / "driver.py"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=(self.folder / "errors").open("ab"),
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        )
        return self

    async def __aexit__(self, *_):
        self._zygote.stdin.close()
        await self._zygote.wait()
        await self.server.__aexit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    def words(self) -> str:
        """Return the last lines that a child wrote."""
        return (self.folder / "errors").read_text("utf-8", "replace")[-600:]

    async def spawn(self, order: dict) -> int:
        """Start a process and return its pid; `ended` waits for it unless the order says ``detach``."""
        self._zygote.stdin.write((json.dumps(order) + "\n").encode())
        await self._zygote.stdin.drain()
        return json.loads(await self._zygote.stdout.readline())["pid"]

    async def ended(self) -> int:
        return json.loads(await self._zygote.stdout.readline())["code"]

    async def do(self, order: dict) -> int:
        """Run a process to its end."""
        await self.spawn(order)
        return await self.ended()

    async def prepare(self, case: Case) -> dict:
        """Set the server up and return the order that every process of the trial gets."""
        self._number += 1
        path = self.folder / f"{self._number}.sqlite3"
        order = {"ledger": f"sqlite:///{path}", "url": self.server.url, "method": case.method} | case.order
        if case.night == 1:
            self.server.reset(case.script)
            order["pages"] = FIRST_NIGHT
            shutil.copy(self._empty(), path)
        else:
            await self._copy_the_night_before(path, case)
            order |= {
                "pages": SECOND_NIGHT,
                "skipped": {"p3": "deleted", "p4": "deleted", "p2": "redirect"},
                "moved": {"moved": "p2"},
                "purpose": "sync",
            }
        self.server.add(FOREIGN)
        self.server.created.clear()
        if case.refused_at_first:
            self.server.go_down()
        return order

    def _empty(self) -> Path:
        """Return a ledger with nothing in it but its tables, which take longer to make than all that follows."""
        empty = self.folder / "empty.sqlite3"
        if not empty.exists():
            engine = open_engine(f"sqlite:///{empty}")
            with engine.begin() as connection:
                migrate(connection)
            connection = sqlite3.connect(empty)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
        return empty

    async def _copy_the_night_before(self, path: Path, case: Case) -> None:
        pieces = case.script.pieces
        template = self.folder / f"before{pieces}.sqlite3"
        if not template.exists():
            self.server.reset(Script(pieces=pieces))
            first = {"ledger": f"sqlite:///{template}", "url": self.server.url, "pages": _BEFORE}
            assert await self.do(first) == DONE, self.words()
            connection = sqlite3.connect(template)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
            (self.folder / f"before{pieces}.json").write_text(json.dumps(self.server.items))
        shutil.copy(template, path)
        self.server.reset(case.script)
        for item in json.loads((self.folder / f"before{pieces}.json").read_text()).values():
            self.server.add(item)
        victim = next(i for i, text in self.server.items.items() if "/p6\n" in text)
        del self.server.items[victim]  # somebody deleted a page that changed tonight

    def open_batches(self, order: dict) -> int:
        """Count the batches whose outcome was unknown when the process died."""
        path = order["ledger"].removeprefix("sqlite:///")
        try:
            connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            (number,) = connection.execute("SELECT count(*) FROM batches WHERE state = 'sent'").fetchone()
            connection.close()
        except sqlite3.Error:
            return 0
        return number

    async def trial(self, case: Case, *faults: str, **more) -> Verdict:
        """Kill the process at each of these places, one run each, then let it run to its end, and look."""
        order = await self.prepare(case) | more
        verdict = Verdict(case.name, " then ".join(faults))
        code = None
        for number in range(MOST_RUNS):
            fault = faults[number] if number < len(faults) else ""
            code = await self.do(order | {"fault": fault})
            verdict.runs += 1
            if code == -signal.SIGKILL:
                verdict.killed += 1
                verdict.open_batches += self.open_batches(order)
            elif code == DONE or code not in {INCOMPLETE, STOPPED, BUSY}:
                break
        verdict.stuck = code != DONE
        return await self.judge(case, order, verdict)

    async def judge(self, case: Case, order: dict, verdict: Verdict) -> Verdict:
        """Compare what is there, when everything is at rest, with what should be."""
        await self.server.quiet()
        if case.twice:  # what came after the settling time is found by the next reading, whoever makes it
            code = await self.do(order | {"purpose": "retry", "fault": ""})
            verdict.stuck = verdict.stuck or code != DONE
        wanted: Counter[str] = Counter({FOREIGN: 1})
        for name, text in order["pages"].items():
            if name not in case.quarantined:
                wanted.update(self.server.cut(content_of(name, text)))
        there = Counter(self.server.items.values())
        verdict.lost = sum((wanted - there).values())
        verdict.double = sum((there - wanted).values())
        verdict.foreign = int(there[FOREIGN] != 1)
        if not case.twice and not self.server.script.pieces:
            verdict.created_twice = sum(number - 1 for number in self.server.created.values() if number > 1)
        verdict.posts = self.server.calls["post"]
        if verdict.bad:
            verdict.words += self.words()
        self._tidy(order)
        return verdict

    def _tidy(self, order: dict) -> None:
        path = Path(order["ledger"].removeprefix("sqlite:///"))
        for scrap in path.parent.glob(path.name + "*"):
            scrap.unlink()

    async def random_kill(self, case: Case, dice: random.Random) -> Verdict:
        """Kill the process some moment after the API heard from it, then let it run to its end, and look."""
        order = await self.prepare(case)
        verdict = Verdict(case.name, "random")
        self.server.heard.clear()
        pid = await self.spawn(order)
        for _ in range(dice.randrange(1, 4)):
            with suppress(TimeoutError):
                await asyncio.wait_for(self.server.heard.wait(), 0.6)
            self.server.heard.clear()
        await asyncio.sleep(dice.random() * 0.012)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        verdict.killed = int(await self.ended() == -signal.SIGKILL)
        verdict.open_batches = self.open_batches(order) if verdict.killed else 0
        code = DONE
        for _ in range(MOST_RUNS):
            code = await self.do(order)
            verdict.runs += 1
            if code == DONE:
                break
        verdict.stuck = code != DONE
        return await self.judge(case, order, verdict)

    async def takeover(self, case: Case, fault: str) -> Verdict:
        """Stop the process at a place, let another one take its source over and end, then wake the first one up."""
        order = await self.prepare(case) | {"stale_s": 0.8, "beat_s": 0.1}
        verdict = Verdict(case.name, f"stop at {fault}")
        pid = await self.spawn(order | {"fault": fault, "stop": True, "detach": True})
        while (state := _state_of(pid)) not in {"T", "Z", ""}:
            await asyncio.sleep(0.01)
        verdict.killed = int(state == "T")
        await asyncio.sleep(0.9)
        verdict.open_batches = self.open_batches(order)
        code = await self.do(order)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        self._zygote.stdin.write((json.dumps({"wait": pid}) + "\n").encode())
        first = await self.ended()
        verdict.stuck = code != DONE or first not in {STOPPED, DONE}
        verdict.words = f"first ended with {first}, second with {code}"
        return await self.judge(case, order, verdict)

    async def full_disk(self, case: Case, file_bytes: int) -> Verdict:
        """Let no file grow beyond a size; the program must say so and stop, and go on when there is room again."""
        order = await self.prepare(case)
        verdict = Verdict(case.name, f"disk full at {file_bytes}")
        code = await self.do(order | {"file_bytes": file_bytes})
        verdict.killed = int(code == STOPPED)
        verdict.stuck = code not in {STOPPED, DONE}
        verdict.words = f"ended with {code}"
        if not verdict.stuck:
            verdict.stuck = await self.do(order) != DONE
        return await self.judge(case, order, verdict)

    async def naive(self, case: Case, fault: str) -> Verdict:
        """Do the same with a program that resends what was not answered."""
        order = await self.prepare(case) | {"naive": True}
        verdict = Verdict(case.name, fault)
        for planned in (fault, ""):
            code = await self.do(order | {"fault": planned})
            if code == DONE:
                break
        return await self.judge(case, order, verdict)

    async def survey(self, case: Case) -> tuple[dict[str, int], Verdict]:
        """Run a case undisturbed: how often it comes by each place, and what is there in the end."""
        order = await self.prepare(case)
        counts = self.folder / "counts.json"
        met: Counter[str] = Counter()
        verdict = Verdict(case.name, "")
        code = None
        for _ in range(MOST_RUNS):
            verdict.runs += 1
            code = await self.do(order | {"count": str(counts)})
            met |= Counter(json.loads(counts.read_text())) if counts.exists() else Counter()
            if code != INCOMPLETE:
                break
        verdict.stuck = code != DONE
        return dict(met), await self.judge(case, order, verdict)


def _state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
