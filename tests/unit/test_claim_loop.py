"""The claim loop: one a process, no wake lost, an end in time."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import pytest

from common import claim_loop
from common.claim_loop import ClaimLoop, Turn
from common.core.errors import Unavailable


@dataclass
class HandClock:
    """A clock that moves when told."""

    now: float = 1000.0

    def monotonic(self) -> float:
        """See Clock."""
        return self.now

    def unix_ms(self) -> int:
        """See Clock."""
        return int(self.now * 1000)

    def draw(self) -> float:
        """See Clock."""
        return 0.5

    def entropy(self, size: int) -> bytes:
        """See Clock."""
        return bytes(size)


@dataclass
class Scene:
    """A loop over scripted turns; each item of `turns` is a Turn or something that makes one."""

    turns: list[Turn | Callable[[], Turn]]
    clock: HandClock = field(default_factory=HandClock)
    taken: int = 0
    calls: int = 0

    def __post_init__(self) -> None:
        """Make the loop."""
        self.loop = ClaimLoop(self._turn, self.clock, self._help)

    def _turn(self) -> Turn:
        item = self.turns[self.taken] if self.taken < len(self.turns) else Turn()
        self.taken += 1
        return item if isinstance(item, Turn) else item()

    def _help(self) -> None:
        self.calls += 1


def test_a_wake_with_nothing_due_costs_one_claim() -> None:
    """An idle function claims once, finds nothing and says so."""
    scene = Scene([])
    answer = scene.loop.run(50)
    assert answer is not None
    assert (answer.claimed, answer.done, answer.more, answer.wake_in_ms) == (0, 0, False, None)
    assert (scene.taken, scene.calls) == (1, 0)
    assert not scene.loop.running


def test_full_claims_go_on_and_call_for_help_at_once() -> None:
    """A claim that may have left something behind is followed by another, and others are asked to help."""
    scene = Scene([Turn(100, 100, full=True), Turn(100, 99, full=True), Turn(7, 7)])
    answer = scene.loop.run(50)
    assert answer is not None
    assert (answer.claimed, answer.done, answer.more) == (207, 206, False)
    assert (scene.taken, scene.calls) == (3, 1)


def test_calls_for_help_keep_apart() -> None:
    """Many full claims in a row publish a wake at the first, and then one per tenth of a second at most."""
    scene = Scene([])

    def full() -> Turn:
        scene.clock.now += 0.0625
        return Turn(100, 100, full=True)

    scene.turns = [full] * 9
    scene.loop.run(50)
    assert scene.calls == 5


def test_a_wake_that_joins_leads_to_a_claim_that_begins_after_it() -> None:
    """I1: what was committed just after a claim had looked is seen by the next one, before the loop ends."""
    scene = Scene([])
    joined: list[object] = []

    def looked_too_early() -> Turn:
        joined.append(scene.loop.run(50))
        joined.append(scene.loop.joined())
        return Turn(1, 1)

    scene.turns = [looked_too_early, Turn(2, 2)]
    answer = scene.loop.run(50)
    assert joined == [None, True]
    assert not scene.loop.joined()
    assert scene.taken == 2
    assert answer is not None
    assert answer.claimed == 3


def test_the_budget_ends_it_and_says_that_there_is_more() -> None:
    """After its time no further turn begins; what is left is told to the caller and to everybody."""
    scene = Scene([])

    def slow() -> Turn:
        scene.clock.now += 30
        return Turn(100, 100, full=True)

    scene.turns = [slow] * 5
    answer = scene.loop.run(50)
    assert answer is not None
    assert (scene.taken, answer.more) == (2, True)
    assert scene.calls == 3  # two full claims, and the end


def test_a_budget_that_ends_with_nothing_left_says_so() -> None:
    """A long last turn is no reason to knock again."""
    scene = Scene([])

    def slow() -> Turn:
        scene.clock.now += 60
        return Turn(3, 3)

    scene.turns = [slow]
    answer = scene.loop.run(50)
    assert answer is not None
    assert not answer.more
    assert scene.calls == 0


def test_the_earliest_time_is_told_as_it_is_when_the_loop_ends() -> None:
    """`wake_in_ms` counts from the answer, not from the turn that learned it."""
    scene = Scene([])

    def later() -> Turn:
        scene.clock.now += 2
        return Turn(1, 1, wake_in_ms=9000)

    scene.turns = [Turn(1, 1, full=True, wake_in_ms=5000), later]
    answer = scene.loop.run(50)
    assert answer is not None
    assert answer.wake_in_ms == 3000


def test_a_drained_loop_ends_after_its_turn_and_hands_the_rest_over() -> None:
    """SIGTERM: the turn under way is worked off, nothing new begins, others are woken for what is left."""
    scene = Scene([])

    def drained() -> Turn:
        scene.loop.drain()
        return Turn(100, 100, full=True)

    scene.turns = [drained, Turn(100, 100, full=True)]
    answer = scene.loop.run(50)
    assert answer is not None
    assert (scene.taken, answer.more, scene.calls) == (1, True, 2)
    with pytest.raises(Unavailable):
        scene.loop.run(50)
    assert scene.taken == 1


def test_an_error_frees_the_loop_and_those_that_joined_are_owed_a_look() -> None:
    """A database that is away: the caller hears it, a joined wake is published again, the next wake works."""
    scene = Scene([])

    def broken() -> Turn:
        assert scene.loop.run(50) is None
        raise ConnectionError

    scene.turns = [broken, Turn(1, 1)]
    with pytest.raises(ConnectionError):
        scene.loop.run(50)
    assert scene.calls == 1
    answer = scene.loop.run(50)
    assert answer is not None
    assert answer.claimed == 1


class Arrival:
    """One wake that arrives when the loop's thread is about to run its n-th line, wherever that is."""

    def __init__(self, at: int) -> None:
        """`at`: which line, counted over one run."""
        self.at = at
        self.lines = 0
        self.due = {"first"}
        self.done: set[str] = set()
        self.loop = ClaimLoop(self._turn, HandClock(), lambda: None)
        self.waker = threading.Thread(target=self._commit_and_wake)

    def _turn(self) -> Turn:
        seen = set(self.due)  # the claim's snapshot: what is committed from here on it does not see
        self.due -= seen
        self.done |= seen
        return Turn(len(seen), len(seen))

    def _commit_and_wake(self) -> None:
        self.due.add("second")
        self.loop.run(50)

    def _line(self, frame: FrameType, event: str, _arg: Any) -> Callable[[FrameType, str, Any], Any] | None:  # noqa: ANN401 - settrace's type
        if frame.f_code.co_filename != claim_loop.__file__:
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                self.waker.start()
                self.waker.join(0.02)  # it cannot end while this thread holds the lock: then it goes on later
        return self._line

    def _first(self) -> None:
        sys.settrace(self._line)
        self.loop.run(50)
        sys.settrace(None)

    def play(self) -> bool:
        """Whether the run was long enough for the wake to arrive."""
        thread = threading.Thread(target=self._first)
        thread.start()
        thread.join()
        if self.lines < self.at:
            return False
        self.waker.join()
        return True


def test_a_wake_is_not_lost_whenever_it_arrives() -> None:
    """I1: tried at every single line of the loop: what was committed before a wake is claimed, by whoever runs then."""
    at = 1
    while (arrival := Arrival(at)).play():
        assert arrival.done == {"first", "second"}, f"lost when it arrived at line {at} of the run"
        assert not arrival.loop.running
        at += 1
    assert at > 20, "the loop was not followed"


@pytest.fixture
def eager_switches() -> Iterator[None]:
    """Threads change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_switches")
@pytest.mark.parametrize("seed", range(5))
def test_no_wake_is_lost_between_threads(seed: int) -> None:
    """I1: whoever commits and then wakes finds its work done once all wakes have been answered, in any interleaving."""
    draw = random.Random(seed)
    due: set[int] = set()
    done: set[int] = set()
    at_once = 0
    pauses = [draw.random() < 0.3 for _ in range(1000)]

    def turn() -> Turn:
        nonlocal at_once
        at_once += 1
        assert at_once == 1, "two loops in one process"
        seen = set(due)  # the claim's snapshot; what is committed from here on it does not see
        if pauses[len(done) % len(pauses)]:
            threading.Event().wait(0.0001)
        due.difference_update(seen)
        done.update(seen)
        at_once -= 1
        return Turn(len(seen), len(seen))

    loop = ClaimLoop(turn, HandClock(), lambda: None)
    errors: list[BaseException] = []

    def submitter(first: int) -> None:
        try:
            for number in range(first, first + 50):
                due.add(number)
                loop.run(50)
        except BaseException as exc:  # noqa: BLE001 - shown by the assertion below
            errors.append(exc)

    threads = [threading.Thread(target=submitter, args=(1000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert not due
    assert len(done) == 200
    assert not loop.running
