"""What may happen to the product's process at a named place: death, a stop, a broken disk, a clock that jumps."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct
from urllib.parse import urlsplit

_NUMBERS = {  # of system calls: seccomp, pread64, pwrite64, fsync, fdatasync
    "x86_64": (317, 17, 18, 74, 75),
    "aarch64": (277, 67, 68, 82, 83),
}
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
DISKS = ("disk full", "writing fails", "syncing fails", "reading fails")


def stop() -> None:
    """Stand still until somebody says otherwise."""
    os.kill(os.getpid(), signal.SIGSTOP)


def break_disk(how: str):
    """Return a fate: from then on the system refuses this process's file access, as a disk would make it do."""
    _, read, write, *syncs = _NUMBERS[platform.machine()]
    table = {
        "disk full": {write: errno.ENOSPC},
        "writing fails": dict.fromkeys((write, *syncs), errno.EIO),
        "syncing fails": dict.fromkeys(syncs, errno.EIO),
        "reading fails": {read: errno.EIO},
    }[how]

    def broken() -> None:
        _struck()
        refuse(table)

    return broken


def address(url: str) -> dict:
    """Return what PostgreSQL's driver calls the parts of a ledger's address."""
    parts = urlsplit(url)
    return {"user": parts.username, "host": parts.hostname, "port": parts.port, "database": parts.path.strip("/")}


def disconnect(url: str) -> None:
    """Let the database server end all connections to a ledger."""
    import pg8000.dbapi

    connection = pg8000.dbapi.connect(**address(url))
    connection.autocommit = True
    connection.cursor().execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()"
    )
    connection.close()


def told(do):
    """Return a fate that says that it struck before it does."""

    def fate() -> None:
        _struck()
        do()

    return fate


def _struck() -> None:
    os.write(2, b"STRUCK\n")


def refuse(table: dict[int, int]) -> None:
    """Let system calls fail with an error number, in all threads of this process and for good (a seccomp filter)."""
    library = ctypes.CDLL(None, use_errno=True)
    program = [struct.pack("HBBI", 0x20, 0, 0, 0)]  # load the number of the call
    for number, error in table.items():
        program.append(struct.pack("HBBI", 0x15, 0, 1, number))  # is it this one?
        program.append(struct.pack("HBBI", 0x06, 0, 0, _ERRNO | error))
    program.append(struct.pack("HBBI", 0x06, 0, 0, _ALLOW))
    code = b"".join(program)
    buffer = ctypes.create_string_buffer(code, len(code))

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_void_p))

    filter_ = Filter(len(program), ctypes.addressof(buffer))
    no_new_privileges, set_filter, all_threads = 38, 1, 1
    if library.prctl(no_new_privileges, 1, 0, 0, 0) or library.syscall(
        _NUMBERS[platform.machine()][0], set_filter, all_threads, ctypes.byref(filter_)
    ):
        raise OSError(ctypes.get_errno(), "seccomp")
