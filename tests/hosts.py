"""Other hosts, on this machine: each has a network, a process table, a name and a boot of its own."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=60)


@dataclass(slots=True, kw_only=True)
class Host:
    """A host: what is started on it dies with it.

    Attributes:
        address: its own.
        gateway: the address under which it reaches this machine.
    """

    name: str
    address: str
    gateway: str
    boot: Path
    _cable: str
    _running: list[subprocess.Popen] = field(default_factory=list)

    def start(self, *words: str, **options) -> subprocess.Popen:
        """Start a program there; killing what is returned kills everything that it started."""
        script = f'hostname "{self.name}"; mount --bind "{self.boot}" /proc/sys/kernel/random/boot_id; exec "$@"'
        inside = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "sh", "-c", script]
        command = ["ip", "netns", "exec", self.name, *inside, "sh", *words]
        self._running.append(subprocess.Popen(command, cwd=ROOT, **options))
        return self._running[-1]

    def pids(self) -> list[int]:
        """Return what runs there, by this machine's process ids."""
        told = subprocess.run(["ip", "netns", "pids", self.name], check=True, capture_output=True, timeout=60)
        return [int(word) for word in told.stdout.split()]

    def unplug(self) -> None:
        """Pull the cable: nobody is told that it is gone."""
        _ip("link", "set", self._cable, "down")

    def plug_in(self) -> None:
        _ip("link", "set", self._cable, "up")

    def kill(self) -> None:
        """Switch it off."""
        for process in self._running:
            process.kill()
            process.wait()
        self._running.clear()


@contextlib.contextmanager
def network(*names: str) -> Iterator[list[Host]]:
    """Make hosts on a network of their own, with this machine as their gateway; all is gone afterwards."""
    if os.getuid() != 0 or not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("hosts of their own need root and iproute2")
    mark, net = uuid.uuid4().hex[:6], f"10.213.{random.randrange(1, 255)}"
    bridge, boots = f"pib{mark}", Path("/tmp") / f"boots-{mark}"
    boots.mkdir()
    hosts: list[Host] = []
    try:
        try:
            _ip("link", "add", bridge, "type", "bridge")
            _ip("addr", "add", f"{net}.1/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces cannot be made here: {error.stderr.decode().strip()}")
        for number, name in enumerate(names, start=2):
            hosts.append(_host(f"{name}-{mark}", bridge=bridge, net=net, number=number, boots=boots))
        yield hosts
    finally:
        for host in hosts:
            host.kill()
            subprocess.run(["ip", "netns", "del", host.name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", bridge], check=False, capture_output=True)
        shutil.rmtree(boots, ignore_errors=True)


def _host(name: str, *, bridge: str, net: str, number: int, boots: Path) -> Host:
    cable = f"{bridge}{number}"
    _ip("netns", "add", name)
    _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
    _ip("link", "set", cable, "master", bridge, "up")
    _ip("-n", name, "addr", "add", f"{net}.{number}/24", "dev", "eth0")
    _ip("-n", name, "link", "set", "eth0", "up")
    _ip("-n", name, "link", "set", "lo", "up")
    _ip("-n", name, "route", "add", "default", "via", f"{net}.1")
    boot = boots / name
    boot.write_text(f"{uuid.uuid4()}\n")
    return Host(name=name, address=f"{net}.{number}", gateway=f"{net}.1", boot=boot, _cable=cable)
