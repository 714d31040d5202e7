"""What a cleaning process gives up before it reads a byte: memory, CPU, files, the network and other programs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource as limits
import signal
import struct
import sys

MAX_FILE = 512 * 1024**2  # py3langid unpacks its model into a temporary file
MAX_OPEN = 64
NICENESS = 5
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_FLAG_TSYNC = 1
_ALLOW, _EPERM = 0x7FFF0000, 0x00050001
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_X32 = 0x40000000

# By machine: its audit name, the number of seccomp(2), and the calls that are refused: socket, connect, bind, listen,
# execve, execveat, ptrace, process_vm_writev, io_uring_setup, and fork and vfork where they exist.
_MACHINES = {
    "x86_64": (0xC000003E, 317, (41, 42, 49, 50, 57, 58, 59, 101, 311, 322, 425)),
    "aarch64": (0xC00000B7, 277, (117, 198, 200, 201, 203, 221, 271, 281, 425)),
}


def die_with(parent: int) -> None:
    """End when the parent does, however it does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked to die with it
        raise SystemExit(0)


def confine(max_memory: int) -> None:
    """Bound what parsing may take, on top of what the loaded libraries have, and close the ways out."""
    os.nice(NICENESS)
    _limit(limits.RLIMIT_CORE, 0)
    _limit(limits.RLIMIT_FSIZE, MAX_FILE)
    _limit(limits.RLIMIT_NOFILE, MAX_OPEN)
    if sys.platform == "linux":
        _limit(limits.RLIMIT_AS, _statm(0) + max_memory)
        _refuse_network_and_programs()


def allow_cpu(wall_s: float) -> None:
    """Give the next item its share of CPU: what endless code in C, which no signal handler interrupts, ends by."""
    used = limits.getrusage(limits.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + wall_s) + 2
    with contextlib.suppress(ValueError):  # a hard limit of the machine's own is lower, and holds
        limits.setrlimit(limits.RLIMIT_CPU, (soft, limits.getrlimit(limits.RLIMIT_CPU)[1]))


def resident() -> int:
    """Return the bytes of memory in use (at the peak, where the machine tells no more)."""
    if sys.platform == "linux":
        return _statm(1)
    return limits.getrusage(limits.RUSAGE_SELF).ru_maxrss


def _refuse_network_and_programs() -> bool:
    """Let the kernel answer "not permitted" to calls that open a connection or start a program, in every thread.

    Returns:
        False where the machine is of another kind or the kernel does not let us: then the other bounds remain.

    Source: Linux, Documentation/userspace-api/seccomp_filter.rst.
    """
    known = _MACHINES.get(os.uname().machine)
    if known is None:
        return False
    audit, seccomp, refused = known
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _EPERM), (_LOAD, 0, 0, 0)]
    steps.append((_AT_LEAST, len(refused), 0, _X32))  # the other numbering of the same calls
    steps += [(_EQUAL, len(refused) - place - 1, 0, number) for place, number in enumerate(refused)]
    # Every match jumps to the refusal; what matches nothing falls through to the permission before it.
    steps = [(code, yes + 1 if number > _LOADED else yes, no, k) for number, (code, yes, no, k) in enumerate(steps)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _EPERM)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    program = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return bool(libc.syscall(seccomp, _SECCOMP_SET_MODE_FILTER, _FLAG_TSYNC, ctypes.byref(header)) == 0)


_LOADED = 3  # the step that loads the call's number: the ones after it compare


def _limit(which: int, most: int) -> None:
    _, hard = limits.getrlimit(which)
    most = most if hard == limits.RLIM_INFINITY else min(most, hard)
    limits.setrlimit(which, (most, most))


def _statm(column: int) -> int:
    with open("/proc/self/statm", "rb") as told:  # noqa: PTH123 - pathlib is not loaded for it
        return int(told.read().split()[column]) * limits.getpagesize()
