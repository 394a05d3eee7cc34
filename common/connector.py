"""Carries wakes from the stream to the functions: `POST /` to each function that has something to look at.

It decides nothing and knows no task. Wakes may be lost, doubled or forged; what it must do is to keep knocking: at
every function at the start, at one that failed until it answers, at each by the time that it asked for, at `schedule`
every minute.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from math import inf
from typing import Final, Protocol

import uvloop

from common.api import WakeAnswer
from common.config import Settings
from common.routes import FUNCTIONS, FunctionName
from common.telemetry import code_of, configure_logging, note
from common.wake_kinds import ANY, TARGETS, TOLD

# Seconds between two requests to a function: under load a wake stands for all that came meanwhile, and larger batches
# cost less a task (measured). One whose last wake brought it a single task is under none, and that task's follower may
# have somebody who waits; one that found many is under so much that they do not notice.
GAP: Final = 0.008
GAP_ALONE: Final = 0.001
GAP_MANY: Final = 0.016
MANY: Final = 8  # tasks
# What only ends waits and moves streams: they look by themselves as well, and work that somebody waits for goes first.
TELL_AFTER: Final = 0.05
JOIN_AFTER: Final = (
    0.025  # a wake that finds a request in flight waits so long for its end, then goes to whoever is free
)
PARALLEL: Final = 8  # requests in flight to one function: each of its replicas may hold one for its whole time budget
BACKOFF_MIN: Final = 0.1
BACKOFF_MAX: Final = 5.0
SILENCE: Final = 60.0  # after so long without an answer `schedule` is woken: maintenance is due every minute
AWAY_EVERY: Final = 5.0  # while Redis is away everybody is woken this often
RETRY_MIN: Final = 0.1
RETRY_MAX: Final = 1.0
SOONEST: Final = 0.02  # a function that asks to be woken at once, again and again, does not spin us
GRACE: Final = 2.0  # seconds for requests in flight, once we are told to stop


@dataclass(slots=True)
class Pace:
    """When one function is knocked at next. Pure: times are seconds on the caller's monotonic clock."""

    silence: float = inf  # wake it when it has not answered for so long
    pending: float = inf  # since when a wake waits
    timer: float = inf  # the earliest time that it asked for
    telling: float = inf  # when it is to be told of others' work
    blocked: float = 0.0  # not before: it failed
    last_sent: float = -inf
    in_flight: int = 0
    failures: int = 0
    gap: float = GAP

    def wake(self, now: float) -> None:
        """There may be something to do. Any number of these before the next request are one."""
        self.pending = min(self.pending, now)

    def tell(self, now: float) -> None:
        """Something happened that whoever waits there wants to know. Any number of these are one, too."""
        self.telling = min(self.telling, now + TELL_AFTER)

    def next_at(self) -> float:
        """When the next request may go; inf: not before something happens."""
        wanted = min(self.pending, self.timer, self.telling)
        busy = PARALLEL if self.failures == 0 else 1  # one that fails is asked by one request at a time
        if wanted == inf or self.in_flight >= busy:
            return inf
        apart = JOIN_AFTER if self.in_flight else self.gap
        return max(wanted, self.blocked, self.last_sent + apart)

    def sent(self, now: float) -> None:
        """A request is on its way; a wake from here on wants another."""
        self.pending = self.telling = inf
        if self.timer <= now:
            self.timer = inf
        self.last_sent = now
        self.in_flight += 1

    def answered(self, now: float, answer: WakeAnswer | None) -> None:
        """It answered; None: it joined a loop that runs, or said nothing of itself."""
        self.in_flight -= 1
        self.failures = 0
        self.blocked = 0.0
        self.timer = min(self.timer, now + self.silence)
        if answer is None:
            self.gap = GAP
            return
        if answer.claimed:
            self.gap = GAP_ALONE if answer.claimed == 1 else GAP_MANY if answer.claimed >= MANY else GAP
        if answer.more:  # one that did nothing although there is more is draining, or waits for another's locks
            self.pending = min(self.pending, now if answer.claimed else now + BACKOFF_MIN)
        if answer.wake_in_ms is not None:
            self.timer = min(self.timer, now + max(SOONEST, answer.wake_in_ms / 1000))

    def failed(self, now: float, draw: float) -> None:
        """No answer, or an error: again after a backoff with jitter (`draw` in [0, 1)), for ever."""
        self.in_flight -= 1
        self.failures += 1
        self.blocked = now + min(BACKOFF_MAX, BACKOFF_MIN * 2 ** min(self.failures - 1, 10)) * (0.5 + draw / 2)
        self.pending = min(self.pending, now)


class Wakes(Protocol):
    """Where wakes come from."""

    async def read(self) -> frozenset[str] | None:
        """Kinds that came, None if some may have been missed; raises if it cannot be asked now."""


Post = Callable[[FunctionName, str], Awaitable[WakeAnswer | None]]
"""Wake a function with an event type. Its answer; None: it joined a running loop. Raises if it gave none."""


class Connector:
    """Reads wakes and knocks at functions, until it is stopped."""

    def __init__(self, wakes: Wakes | None, post: Post, functions: Iterable[FunctionName] = FUNCTIONS) -> None:
        """`wakes` None: there is no stream, everybody is woken every 5 s."""
        self._wakes = wakes
        self._post = post
        self._paces = {name: Pace(silence=SILENCE if name == "schedule" else inf) for name in functions}
        self._kinds: dict[FunctionName, set[str]] = {name: set() for name in self._paces}  # since the last request
        self._timers: dict[FunctionName, asyncio.TimerHandle] = {}
        self._requests: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; then read no more and give requests in flight 2 s."""
        reader = asyncio.create_task(self._read())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({reader, stopped}, return_when=asyncio.FIRST_COMPLETED)
        self._stopping = True
        for timer in self._timers.values():
            timer.cancel()
        stopped.cancel()
        reader.cancel()
        results = await asyncio.gather(reader, return_exceptions=True)
        if self._requests:
            await asyncio.wait(set(self._requests), timeout=GRACE)
        for request in self._requests:
            request.cancel()
        if not stop.is_set() and isinstance(results[0], BaseException):
            raise results[0]  # the reader ended by itself: the supervisor starts us again, and that wakes everybody

    def wake_all(self) -> None:
        """Wakes may have been missed: look everywhere."""
        for name in self._paces:
            self._wake(name, ANY)

    def _wake(self, name: FunctionName, kind: str) -> None:
        self._kinds[name].add(kind)
        now = asyncio.get_running_loop().time()
        if kind in TOLD.get(name, ()):
            self._paces[name].tell(now)
        else:
            self._paces[name].wake(now)
        self._knock(name)

    async def _read(self) -> None:
        if self._wakes is None:
            while True:
                self.wake_all()
                await asyncio.sleep(AWAY_EVERY)
        failures, everybody_at = 0, 0.0
        while True:
            try:
                kinds = await self._wakes.read()
            except Exception as exc:  # noqa: BLE001 - whatever is wrong with Redis, the functions are still woken
                if not failures:
                    note("wakes_unavailable", logging.WARNING, error=code_of(exc))
                failures += 1
                everybody_at = self._instead(everybody_at)
                await asyncio.sleep(min(RETRY_MAX, RETRY_MIN * 2 ** min(failures, 10)))
                continue
            if failures:
                note("wakes_available", tries=failures)
                failures = 0
            self._heard(kinds)
            # Requests are begun before the stream is asked again: somebody may be waiting for them.
            await asyncio.sleep(0)

    def _heard(self, kinds: frozenset[str] | None) -> None:
        if kinds is None:
            self.wake_all()
            return
        for kind in kinds:
            for name in TARGETS.get(kind, ()):
                if name in self._paces:
                    self._wake(name, kind)

    def _instead(self, at: float) -> float:
        """While nothing can be heard: wake everybody at `at`; when to do it next."""
        now = asyncio.get_running_loop().time()
        if now < at:
            return at
        self.wake_all()
        return now + AWAY_EVERY

    def _knock(self, name: FunctionName) -> None:
        """Send what may go now, and come again when something may."""
        if self._stopping:
            return
        pace = self._paces[name]
        loop = asyncio.get_running_loop()
        if pace.next_at() <= loop.time():
            pace.sent(loop.time())
            # Of one kind a function may know that it need not claim; of several, or of its own timer, it does not.
            kinds = self._kinds[name]
            request = loop.create_task(self._request(name, kinds.pop() if len(kinds) == 1 else ANY))
            kinds.clear()
            self._requests.add(request)
            request.add_done_callback(self._requests.discard)
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        at = pace.next_at()
        if at != inf:
            self._timers[name] = loop.call_at(at, self._knock, name)

    async def _request(self, name: FunctionName, kind: str) -> None:
        pace = self._paces[name]
        now = asyncio.get_running_loop().time
        try:
            answer = await self._post(name, kind)
        except Exception as exc:  # noqa: BLE001 - a function may fail in any way; it is asked again
            pace.failed(now(), random.random())  # noqa: S311 - jitter
            if pace.failures == 1:
                note("wake_failed", logging.WARNING, function=name, error=code_of(exc))
        else:
            if pace.failures:
                note("wake_answered", function=name, tries=pace.failures)
            pace.answered(now(), answer)
        self._knock(name)


async def serve(settings: Settings) -> None:
    """Connect stream and functions, until SIGTERM or SIGINT."""
    from common.wiring import connect  # noqa: PLC0415 - the rest of this module needs none of what wiring imports

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    wakes, client = connect(settings)
    note("connector_started", pid=os.getpid())
    try:
        await Connector(wakes, client.post).run(stop)
    finally:
        client.close()
        if wakes is not None:
            await wakes.close()
    note("connector_stopped", pid=os.getpid())


def main() -> None:
    """The connector's process; returns after SIGTERM or SIGINT."""
    configure_logging()
    uvloop.run(serve(Settings()))


if __name__ == "__main__":
    main()
