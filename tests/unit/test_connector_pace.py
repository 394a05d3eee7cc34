"""When a function is knocked at: the pure half of the connector, and the connector over fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf

import pytest

from common import connector
from common.api import WakeAnswer
from common.connector import (
    BACKOFF_MAX,
    GAP,
    GAP_ALONE,
    GAP_MANY,
    JOIN_AFTER,
    MANY,
    PARALLEL,
    SILENCE,
    TELL_AFTER,
    Connector,
    Pace,
)
from common.routes import FUNCTIONS, FunctionName
from common.wake_kinds import TARGETS


def answer(*, claimed: int = 1, more: bool = False, wake_in_ms: int | None = None) -> WakeAnswer:
    """A function's answer to a wake."""
    return WakeAnswer(claimed=claimed, done=claimed, more=more, wake_in_ms=wake_in_ms)


def test_any_number_of_wakes_before_a_request_are_one() -> None:
    """A thousand waiting wakes lead to one request, at once."""
    pace = Pace()
    for _ in range(1000):
        pace.wake(10.0)
    assert pace.next_at() == 10.0
    pace.sent(10.0)
    assert pace.next_at() == inf


def test_a_wake_during_a_request_leads_to_another_right_after_it() -> None:
    """What was committed after the claim that is under way began is looked at as soon as that one has answered."""
    pace = Pace()
    pace.wake(10.0)
    pace.sent(10.0)
    pace.wake(10.001)
    assert pace.next_at() == 10.0 + JOIN_AFTER
    pace.answered(10.012, answer())
    assert pace.next_at() <= 10.012


@pytest.mark.parametrize(
    ("answered", "gap"),
    [
        (answer(claimed=MANY), GAP_MANY),
        (answer(claimed=MANY - 1), GAP),
        (None, GAP),
        (answer(claimed=1), GAP_ALONE),
        (answer(claimed=0), GAP),
    ],
)
def test_requests_to_a_function_keep_a_gap(answered: WakeAnswer | None, gap: float) -> None:
    """Under load wakes are absorbed instead of sent one by one; what comes alone is not kept waiting."""
    pace = Pace()
    pace.wake(10.0)
    pace.sent(10.0)
    pace.answered(10.0001, answered)
    pace.wake(10.0002)
    assert pace.next_at() == 10.0 + gap


def test_who_only_waits_is_told_a_little_later_and_once() -> None:
    """What is told gathers for a moment; a wake that goes earlier tells it, too."""
    pace = Pace()
    for now in (10.0, 10.001, 10.015):
        pace.tell(now)
    assert pace.next_at() == 10.0 + TELL_AFTER
    pace.wake(10.016)
    assert pace.next_at() == 10.016
    pace.sent(10.016)
    pace.answered(10.017, answer())
    assert pace.next_at() == inf


def test_a_look_that_found_nothing_does_not_change_the_gap() -> None:
    """The task was claimed by the turn before; whether there is load is known by the wakes that brought something."""
    pace = Pace()
    for claimed, gap in ((1, GAP_ALONE), (0, GAP_ALONE), (MANY, GAP_MANY), (0, GAP_MANY), (7, GAP), (0, GAP)):
        pace.sent(10.0)
        pace.answered(10.0, answer(claimed=claimed))
        assert pace.gap == gap


def test_a_long_request_does_not_keep_other_replicas_from_being_woken() -> None:
    """While one replica works, wakes go to the others, a few in parallel and no more."""
    pace = Pace()
    now = 0.0
    for _ in range(PARALLEL):
        pace.wake(now)
        assert pace.next_at() != inf
        now = pace.next_at()
        pace.sent(now)
    pace.wake(now)
    assert pace.in_flight == PARALLEL
    assert pace.next_at() == inf
    pace.answered(now + 1, None)
    assert pace.next_at() != inf


def test_the_earliest_time_asked_for_is_kept() -> None:
    """Of several `wake_in_ms` the earliest counts, and is used once."""
    pace = Pace()
    pace.sent(0.0)
    pace.answered(0.0, answer(wake_in_ms=5000))
    pace.sent(1.0)
    pace.answered(1.0, answer(wake_in_ms=60_000))
    assert pace.next_at() == 5.0
    pace.sent(5.0)
    pace.answered(5.0, answer())
    assert pace.next_at() == inf


def test_asking_to_be_woken_at_once_does_not_spin() -> None:
    """`wake_in_ms: 0`, answered again and again, costs at most fifty requests a second."""
    pace = Pace()
    pace.sent(1.0)
    pace.answered(1.0, answer(wake_in_ms=0))
    assert pace.next_at() >= 1.02


def test_more_is_asked_for_at_once_but_not_in_circles() -> None:
    """`more` leads to another request; from one that did nothing (draining) only after a pause."""
    pace = Pace()
    pace.sent(1.0)
    pace.answered(2.0, answer(claimed=100, more=True))
    assert pace.next_at() == 2.0
    pace.sent(2.0)
    pace.answered(2.0, answer(claimed=0, more=True))
    assert pace.next_at() >= 2.1


@pytest.mark.parametrize("draw", [0.0, 0.999])
def test_a_failing_function_is_asked_for_ever_with_backoff(draw: float) -> None:
    """From 0.1 s up to 5 s, with jitter, one request at a time; new wakes do not shorten it, an answer ends it."""
    pace = Pace()
    pace.wake(0.0)
    now, gaps = 0.0, []
    for _ in range(50):
        pace.sent(now)
        pace.failed(now, draw)
        pace.wake(now)
        gaps.append(pace.next_at() - now)
        now = pace.next_at()
    assert 0.05 <= gaps[0] <= 0.1
    assert gaps[-1] <= BACKOFF_MAX
    assert gaps[-1] >= BACKOFF_MAX / 2
    pace.sent(now)
    pace.wake(now + 1)
    assert pace.next_at() == inf
    pace.answered(now + 2, answer())
    assert pace.next_at() <= now + 2


def test_silence_of_a_minute_wakes_schedule() -> None:
    """A function with a limit of silence is woken a minute after its last answer, with no wake at all."""
    pace = Pace(silence=SILENCE)
    pace.sent(0.0)
    pace.answered(0.5, None)
    assert pace.next_at() == 0.5 + SILENCE


def test_every_kind_reaches_the_functions_that_the_design_names() -> None:
    """The table of who is woken by what: five kinds, real functions, and only `schedule` lives by the clock alone."""
    assert set(TARGETS) == {
        "aiw.task.received", "aiw.task.queued", "aiw.approval.requested", "aiw.task.manual", "aiw.task.finished"
    }  # fmt: skip
    woken = {name for names in TARGETS.values() for name in names}
    assert woken == set(FUNCTIONS) - {"schedule"}


# --- the connector over fakes ---------------------------------------------------------------------------------------


class Script:
    """Wakes as told: each item is what one read returns or raises; then it blocks."""

    def __init__(self, *items: frozenset[str] | Exception | None) -> None:
        """`items`: what the reads return or raise, in order."""
        self.items = list(items)

    async def read(self) -> frozenset[str] | None:
        """The next item."""
        if not self.items:
            await asyncio.sleep(3600)
        item = self.items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item


Post = Callable[[FunctionName, str], Awaitable[WakeAnswer | None]]


def ran(wakes: Script | None, post: Post, *, seconds: float) -> float:
    """Run a connector for so long, then stop it; how long the stop took."""

    async def scene() -> float:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(Connector(wakes, post).run(stop))
        await asyncio.sleep(seconds)
        stop.set()
        began = loop.time()
        await task
        return loop.time() - began

    return asyncio.run(scene())


def recorder(seen: list[tuple[str, str]]) -> Post:
    """A function that answers at once and remembers who was woken with what."""

    async def post(name: FunctionName, kind: str) -> WakeAnswer | None:
        seen.append((name, kind))
        return answer()

    return post


def test_all_five_are_woken_when_wakes_may_have_been_missed() -> None:
    """I1: after a start or a wiped stream every function looks for itself."""
    seen: list[tuple[str, str]] = []
    ran(Script(None), recorder(seen), seconds=0.05)
    assert sorted(name for name, _ in seen) == sorted(FUNCTIONS)


def test_a_kind_wakes_its_functions_and_unknown_kinds_nobody() -> None:
    """Anybody may write to the stream: what is not a kind is passed over."""
    seen: list[tuple[str, str]] = []
    ran(Script(frozenset({"aiw.task.queued", "nonsense", "aiw.task.finished"})), recorder(seen), seconds=0.05)
    assert sorted(seen) == [
        ("analyze", "aiw.task.finished"), ("dashboard", "aiw.task.finished"), ("execute", "aiw.task.queued")
    ]  # fmt: skip


def test_while_the_stream_is_away_everybody_is_woken_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """I1: no Redis, yet every function is woken again and again, and wakes work once it is back."""
    monkeypatch.setattr(connector, "AWAY_EVERY", 0.1)
    monkeypatch.setattr(connector, "RETRY_MAX", 0.02)
    seen: list[tuple[str, str]] = []
    ran(Script(*[OSError("away")] * 20, frozenset({"aiw.task.queued"})), recorder(seen), seconds=0.6)
    assert seen.count(("schedule", "aiw.wake")) in range(2, 8)
    assert ("execute", "aiw.task.queued") in seen


def test_without_a_stream_everybody_is_woken_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without Redis works, only slower."""
    monkeypatch.setattr(connector, "AWAY_EVERY", 0.05)
    seen: list[tuple[str, str]] = []
    ran(None, recorder(seen), seconds=0.2)
    assert seen.count(("execute", "aiw.wake")) >= 3


def test_a_function_that_fails_is_asked_until_it_answers() -> None:
    """A wake to a function that is just starting is not lost."""
    tries: list[str] = []

    async def post(name: FunctionName, _kind: str) -> WakeAnswer | None:
        tries.append(name)
        if len(tries) < 3:
            raise ConnectionRefusedError
        return None

    ran(Script(frozenset({"aiw.task.queued"})), post, seconds=0.6)
    assert tries == ["execute"] * 3


def test_told_to_stop_it_lets_requests_in_flight_end() -> None:
    """SIGTERM: what is in flight is answered, nothing new is sent."""
    ended: list[str] = []

    async def post(name: FunctionName, _kind: str) -> WakeAnswer | None:
        await asyncio.sleep(0.2)
        ended.append(name)
        return answer(more=True)

    took = ran(Script(frozenset({"aiw.task.queued"})), post, seconds=0.05)
    assert ended == ["execute"]
    assert took < 1


def test_told_to_stop_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that holds its request does not hold the connector."""
    monkeypatch.setattr(connector, "GRACE", 0.1)

    async def post(_name: FunctionName, _kind: str) -> WakeAnswer | None:
        await asyncio.sleep(3600)
        return None

    assert ran(Script(frozenset({"aiw.task.queued"})), post, seconds=0.05) < 1
