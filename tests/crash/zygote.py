"""A process that has imported everything, and forks the product's process for each order: many at a time.

Run as a program it is that process; `Zygote` is the side that gives the orders.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import selectors
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

LIMIT_S = 90
HANGS = -99


@dataclass
class Child:
    """A process of the product. ``ended`` gives its exit code, or minus the signal that ended it."""

    pid: asyncio.Future
    ended: asyncio.Future
    order: dict = field(default_factory=dict)


class Zygote:
    """Starts processes: each line of JSON in is an order, each line out says a pid or how a process ended."""

    def __init__(self, ledger: str) -> None:
        self._ledger = ledger  # to get warm with
        self._children: dict[int, Child] = {}
        self._number = 0

    async def __aenter__(self):
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).resolve()),
            self._ledger,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert json.loads(await self._process.stdout.readline()) == {"ready": True}
        self._hearing = asyncio.create_task(self._hear())
        return self

    async def __aexit__(self, *_):
        self._process.stdin.close()
        await self._process.wait()
        await self._hearing

    async def _hear(self) -> None:
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            child = self._children[said["id"]]
            if "pid" in said:
                child.pid.set_result(said["pid"])
            else:
                child.ended.set_result(said["code"])
                del self._children[said["id"]]

    async def start(self, order: dict) -> Child:
        """Start a process and wait until it lives."""
        loop = asyncio.get_running_loop()
        self._number += 1
        child = Child(loop.create_future(), loop.create_future(), order)
        self._children[self._number] = child
        self._process.stdin.write((json.dumps(order | {"id": self._number}) + "\n").encode())
        await self._process.stdin.drain()
        await child.pid
        return child

    async def do(self, order: dict) -> int:
        """Run a process to its end."""
        return await (await self.start(order)).ended


# -- the process ------------------------------------------------------------------------------------------------------


class Nursery:
    """Forks a process for each order, and says how each ended; one that hangs is killed."""

    def __init__(self, child) -> None:
        self._child = child
        self._watch = selectors.DefaultSelector()
        self._watch.register(0, selectors.EVENT_READ, None)
        self._deadlines: dict[int, float] = {}
        self._text = b""
        self._open = True

    def tend(self) -> None:
        _say({"ready": True})
        while self._open or self._deadlines:
            for key, _ in self._watch.select(1.0):
                if key.data is None:
                    self._obey()
                else:
                    self._bury(key.fd, *key.data)
            for pid, deadline in list(self._deadlines.items()):
                if time.monotonic() > deadline:
                    self._deadlines[pid] = float("inf")
                    os.kill(pid, signal.SIGKILL)

    def _obey(self) -> None:
        text = os.read(0, 1 << 16)
        if not text:
            self._open = False
            self._watch.unregister(0)
        *lines, self._text = (self._text + text).split(b"\n")
        for line in lines:
            order = json.loads(line)
            pid = os.fork()
            if pid == 0:
                self._child(order)
            self._deadlines[pid] = time.monotonic() + LIMIT_S
            self._watch.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, order["id"]))
            _say({"id": order["id"], "pid": pid})

    def _bury(self, watched: int, pid: int, number: int) -> None:
        self._watch.unregister(watched)
        os.close(watched)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        hung = self._deadlines.pop(pid) == float("inf")
        _say({"id": number, "code": HANGS if hung else code})


def _say(what: dict) -> None:
    os.write(1, (json.dumps(what) + "\n").encode())


def main() -> None:
    import driver

    ledger = sys.argv[1]
    asyncio.run(driver.warm_up(ledger))
    gc.collect()
    gc.freeze()
    gc.disable()  # a fork that collects garbage copies every page of memory
    Nursery(driver.child).tend()


if __name__ == "__main__":
    main()
