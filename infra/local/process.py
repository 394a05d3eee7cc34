"""Children of the supervisor: started alike whether they run another program or our own code, and told apart for sure.

A process id is reused, so a child is known by its id and the moment it started (`Identity`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from infra.local import ps

HAS_PROC: Final = Path("/proc/self/stat").exists()
PR_SET_PDEATHSIG: Final = 1
PR_SET_NAME: Final = 15
SECONDS_BETWEEN_LOOKS: Final = 0.02
# Loaded before any fork: a child between fork and exec should not have to look for a library.
_LIBC: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_FOREIGN_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, and no other that later has its id. `started` is opaque."""

    pid: int
    started: str

    def is_alive(self) -> bool:
        """Whether exactly this process still runs (a zombie does not)."""
        return identity(self.pid) == self

    def send(self, number: int) -> None:
        """Send a signal, to exactly this process or to none."""
        if self.is_alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                # It ended between the two lines, which is what every caller wants in the end.
                return


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a child starts. `user`: (uid, gid) to become, None to stay."""

    log: Path
    cwd: Path
    environment: Mapping[str, str]
    # Sent when the supervisor dies without a word: nothing is left that the next `up` cannot take over from.
    death_signal: signal.Signals = signal.SIGTERM
    user: tuple[int, int] | None = None
    close: Sequence[int] = ()


def identity(pid: int) -> Identity | None:
    """The process that has this id now, None if there is none (or only its remains)."""
    if not HAS_PROC:
        started = ps.started(pid)
        return None if started is None else Identity(pid, started)
    try:
        # The name in brackets may hold anything, blanks and brackets too; what follows it does not.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else Identity(pid, fields[19])


def run_program(argv: Sequence[str | Path], start: Start) -> int:
    """Start another program; returns its process id. If it cannot be run, the child ends and its log says why."""

    def become() -> NoReturn:
        os.execve(argv[0], [os.fspath(word) for word in argv], dict(start.environment))  # noqa: S606 - no shell is meant

    return fork(become, start)


def fork(body: Callable[[], object], start: Start) -> int:
    """Run `body` in a child of its own session; returns its process id. The caller must have no thread but this one."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _settle(parent, start)
        body()
        code = 0
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else 1
    except BaseException:  # noqa: BLE001 - a child must never run on into its parent's code; the log has the cause
        traceback.print_exc()
        code = 1
    finally:
        sys.stderr.flush()
        # Not sys.exit: the parent's cleanup belongs to the parent.
        os._exit(code)


def _settle(parent: int, start: Start) -> None:
    """Make of a fresh fork a process of its own: session, user, descriptors, signals, environment."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in _FOREIGN_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    for descriptor in start.close:
        os.close(descriptor)
    os.umask(0o077)
    log = os.open(start.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    if start.user is not None:
        os.setgroups([])
        os.setgid(start.user[1])
        os.setuid(start.user[0])
    os.chdir(start.cwd)
    _take_turns()
    if _LIBC is not None:
        # After setuid, which clears it.
        _LIBC.prctl(PR_SET_PDEATHSIG, start.death_signal, 0, 0, 0)
        # What `top` shows of a fork that has its parent's command line.
        _LIBC.prctl(PR_SET_NAME, f"aiw-{start.log.stem}"[:15].encode(), 0, 0, 0)
    if os.getppid() != parent:
        # The supervisor died before the line above took effect.
        os._exit(0)
    for name in os.environ.keys() - start.environment.keys():
        del os.environ[name]
    os.environ.update(start.environment)


def _take_turns() -> None:
    """A process that wakes up waits until one that runs has paused or had its slice: `SCHED_BATCH` of sched(7).

    A task goes through five processes, and each that woke up interrupted another one: with two cores and 32 clients
    that took a fifth of the CPU time (docs/performance.md). Everything that is forked later inherits it.
    """
    if sys.platform == "linux":
        # A sandbox may forbid it, and then everything runs as it did.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def give_back() -> None:
    """Give the system the memory that is free inside of this process, as far as its C library can (glibc)."""
    trim = getattr(_LIBC, "malloc_trim", None)
    if trim is not None:
        trim(0)


def wait_gone(processes: Sequence[Identity], seconds: float) -> list[Identity]:
    """Wait until all have ended; returns those that have not after `seconds`. Not for one's own children."""
    until = time.monotonic() + seconds
    left = [process for process in processes if process.is_alive()]
    while left and time.monotonic() < until:
        time.sleep(SECONDS_BETWEEN_LOOKS)
        left = [process for process in left if process.is_alive()]
    return left


def members(leader: Identity) -> list[Identity]:
    """The processes of the group that `leader` led: itself, and what it forked (nginx's workers outlive their master).

    Empty if its id belongs to somebody else by now. The kernel gives no id away while a group is called by it.
    """
    if identity(leader.pid) not in (None, leader):
        return []
    found = []
    for pid in _pids():
        process = identity(pid)
        if process is not None and _group(process.pid) == leader.pid and int(process.started) >= int(leader.started):
            found.append(process)
    return found


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def processes_in(folder: Path) -> list[Identity]:
    """Those whose working folder is exactly `folder`: PostgreSQL's, down to the last backend, stay in their cluster."""
    there = [pid for pid in _pids() if _works_in(pid, folder)] if HAS_PROC else ps.pids_in(folder)
    return [process for process in map(identity, there) if process is not None]


def program_of(process: Identity) -> str:
    """The name of the program that it runs; "" if it is gone, or somebody else's."""
    if not HAS_PROC:
        return ps.program(process.pid)
    try:
        return Path(f"/proc/{process.pid}/exe").readlink().name
    except OSError:
        return ""


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")] if HAS_PROC else ps.pids()


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == folder
    except OSError:
        # Gone meanwhile, or somebody else's: not ours.
        return False
