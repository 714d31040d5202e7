"""What the proofs share: servers on loopback, a resolver of our own, and an ear on every dial of this process."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

for folder in (Path(__file__).resolve().parents[1], Path(__file__).resolve().parent):
    sys.path.append(str(folder))

from loopback import Site  # noqa: E402
from ssrf_forms import SITE, names  # noqa: E402

_dials: list[tuple[object, ...]] = []
_listening = False


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _listening and threading.current_thread() is threading.main_thread() and event == "socket.connect":
        _dials.append(arguments[1])


@pytest.fixture
async def site():
    made = await Site().start()
    yield made
    await made.stop()


@pytest.fixture
async def canary():
    """A server inside that nobody named: it must never be asked."""
    made = await Site(fallback=lambda _: _caught()).start()
    yield made
    await made.stop()


def _caught():
    from loopback import Reply

    return Reply("inside")


@pytest.fixture(scope="session")
def _ear():
    sys.addaudithook(_hear)


@pytest.fixture
def dials(_ear):
    """Every address that the test's own thread dials, heard from the interpreter itself.

    Prefect's threads, left by other tests of this process, call their own server whenever they like; the product dials
    in the thread of its event loop, and a canary hears whoever comes.
    """
    global _listening  # noqa: PLW0603 - an audit hook cannot be taken away
    _dials.clear()
    _listening = True
    yield _dials
    _listening = False


@pytest.fixture
def resolver():
    """Names of the test's own; no name leaves this machine. ``resolver.asked`` are those that were looked up."""
    table = {
        "localhost": ["127.0.0.1"],
        "a.localhost": ["127.0.0.1"],
        "inside.test": ["127.0.0.1"],
        "mixed.test": ["93.184.216.34", "127.0.0.1"],
        "six.test": ["::1"],
        SITE: ["127.0.0.1"],
    } | names(SITE)

    async def resolve(host: str, port: int) -> list[str]:
        resolve.asked.add(host)
        found = table.get(host.rstrip("."))
        if found is None:
            raise OSError(f"no {host} here")
        return found

    resolve.asked = set()
    return resolve
