"""Who looks after the parts: restarts one that falls over, and stops all of them in an order that loses nothing.

One thread and no polling: it sleeps until a signal, the end of a child, or a restart that is due.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

from infra.local.part import Part, Stage
from infra.local.screen import Screen
from infra.local.timer import until_next_minute

# How long each stage may take before it is killed. Functions finish what runs, up to `drain_seconds`.
PATIENCE: Final = {Stage.FUNCTIONS: 25.0, Stage.DOORS: 5.0, Stage.VALKEY: 5.0, Stage.POSTGRES: 60.0}
_STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Has the parts in the order in which they were added. `changed` is called when a process id changes."""

    def __init__(self, screen: Screen, changed: Callable[[], None], minute: Callable[[], None]) -> None:
        """`minute` is called at the start of each. Signals are caught from here on."""
        self.parts: list[Part] = []
        self.stops = 0
        self._screen = screen
        self._changed = changed
        self._minute = minute
        self._wake_read, self._wake_write = os.pipe()
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end, False)  # as the module `signal` wants it
        self._reaped: dict[int, int] = {}
        self._minute_at = _next_minute()
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in _STOPPING:
            signal.signal(number, self._asked_to_stop)
        signal.signal(signal.SIGCHLD, _noticed)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a forked child has to close."""
        return self._wake_read, self._wake_write

    def launch(self, part: Part) -> None:
        """Start a part, and look after it from now on."""
        self.parts.append(part)
        part.start()
        self._changed()

    def exit_code(self, pid: int) -> int | None:
        """How a child that is no part ended (negative: by that signal), None while it runs."""
        self._reap()
        return self._reaped.get(pid)

    def fallen(self) -> list[Part]:
        """The parts that have fallen over since they were started last, without restarting them."""
        self._reap()
        return [part for part in self.parts if part.process is None]

    def run(self) -> None:
        """Look after the parts until a signal asks to stop."""
        while not self.stops:
            self._reap()
            self._restart_due()
            if time.monotonic() >= self._minute_at:
                self._minute()
                self._minute_at = _next_minute()
            wakes = [part.due for part in self.parts if part.due is not None]
            self.sleep(min([*wakes, self._minute_at]) - time.monotonic())

    def sleep(self, seconds: float) -> None:
        """Sleep, but not through a signal or the end of a child."""
        ready, _, _ = select.select([self._wake_read], [], [], max(0.0, seconds))
        if ready:
            os.read(self._wake_read, 4096)

    def drain(self, before: Callable[[], None]) -> None:
        """Stop everything, stage by stage. A second signal ends the patience with a stage. `before`: shut the doors."""
        self.stops = max(1, self.stops)
        before()
        for stage in Stage:
            # Newest first within a stage, so a part ends before those that were there when it started.
            self._end([part for part in reversed(self.parts) if part.stage is stage], PATIENCE[stage])
        self._changed()

    def _end(self, parts: Sequence[Part], patience: float) -> None:
        stops = self.stops
        for part in parts:
            part.due = None
            part.send(part.stop_signal)
        until = time.monotonic() + patience
        while any(part.process for part in parts) and time.monotonic() < until and self.stops == stops:
            self._reap(draining=True)
            if any(part.process for part in parts):
                self.sleep(min(0.5, until - time.monotonic()))
        for part in parts:
            if part.process is not None and part.stage is not Stage.POSTGRES:
                part.send(signal.SIGKILL)
        self._wait_for(parts)

    def _wait_for(self, parts: Sequence[Part]) -> None:
        """Until the last one is gone. PostgreSQL is never killed: it writes its checkpoint however long that takes."""
        while any(part.process for part in parts):
            self._reap(draining=True)
            if any(part.process for part in parts):
                self.sleep(0.5)

    def _restart_due(self) -> None:
        now = time.monotonic()
        for part in self.parts:
            if part.due is not None and part.due <= now:
                if part.mend is not None:
                    part.mend()
                part.start()
                self._changed()
                self._screen.tell("restarted", part=part.name)

    def _reap(self, *, draining: bool = False) -> None:
        """Take note of every child that has ended."""
        for pid, code in iter(_next_ended, None):
            part = next((each for each in self.parts if each.process and each.process.pid == pid), None)
            if part is None:
                self._reaped[pid] = code
            elif draining:
                part.process = None
            else:
                delay = part.fell(time.monotonic())
                self._screen.tell("fell", part=part.name, how=_how(code), seconds=delay)

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stops += 1


def _next_minute() -> float:
    """When the next full minute begins, on the monotonic clock."""
    return time.monotonic() + until_next_minute(time.time())


def _noticed(number: int, frame: FrameType | None) -> None:
    """Only there so that the signal is delivered: the wake-up descriptor does the rest."""
    del number, frame


def _next_ended() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, os.waitstatus_to_exitcode(status)) if pid else None


def _how(code: int) -> str:
    """An exit code as a person knows it: SIGKILL, or a number."""
    return signal.Signals(-code).name if code < 0 else str(code)
