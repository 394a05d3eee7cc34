"""The analyst: what becomes of a pack, whatever the analyzer and the month's money say."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from common.actions.catalogue import Catalogue
from common.adapters.system_clock import SystemClock
from common.core.errors import StoreUnavailable
from common.core.lifecycle import Detail, move
from common.core.task import Failure, Origin, Risk, State, Step, Task
from common.ports import Answer, Bill, CallRequest, NotAnswered, Question, Usage
from functions.analyze.analysis import JITTER, Analyst, Means
from tests.contract.ground import DAY, Ground
from tests.contract.in_memory import over_memory
from tests.unit.desk import Told

LINGER = timedelta(seconds=2)
FREE = Answer(kind="note", steps=(Step(id="s", action="value", args={"value": 1}),), source="cached")
BUSY = NotAnswered(failure=Failure(code="provider_overloaded"), again_in=timedelta(seconds=40), waiting_for="provider")


@dataclass
class Script:
    """An analyzer that says of each text what it is told to, and remembers which it was asked about together."""

    says: dict[str, Answer | NotAnswered] = field(default_factory=dict)
    knows: dict[str, Answer] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)
    has_model: bool = True
    before: Callable[[], object] = lambda: None

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """What is free."""
        return [self.knows.get(text_of(question)) for question in questions]

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """As told; a harmless plan else."""
        self.before()
        self.asked.append([text_of(question) for question in questions])
        return [self.says.get(text_of(question), replace(FREE, source="claude")) for question in questions]


def text_of(question: Question) -> str:
    """What was asked."""
    return question.task.request.text or ""


class Bench:
    """An analyst over memory."""

    def __init__(self, script: Script | None = None, **means: Any) -> None:  # noqa: ANN401 - any of Means
        """`script`: what the analyzer says."""
        self.ground: Ground = over_memory()
        self.script = script or Script()
        self.draining = False
        made = Means(
            queue=self.ground.queue,
            workspace=self.ground.workspace,
            analyzer=self.script,
            budget=self.ground.budget,
            catalogue=Catalogue.shipped(),
            clock=SystemClock(),
            notifier=Told(),
            worker="a",
            linger=LINGER,
        )
        self._pool = ThreadPoolExecutor(4)
        self.analyst = Analyst(replace(made, **means), self._pool, lambda: self.draining)

    def text(self, text: str, **new: Any) -> UUID:  # noqa: ANN401 - whatever a submission takes
        """A task that waits to be read."""
        return self.ground.submit(State.RECEIVED, text=text, **new).id

    def turn(self) -> int:
        """A turn once the texts have lingered; how many were claimed."""
        self.ground.elapse(LINGER)
        return self.analyst.turn().claimed

    def task(self, task: UUID) -> Task:
        """As it is now."""
        return self.ground.get(task)

    def spend(self, percent: int) -> None:
        """So much of the month's money is gone."""
        month = self.ground.budget.month(self.ground.home)
        cost = month.cap * percent // 100 - month.spent
        call = CallRequest(workspace=self.ground.home, purpose="generate", model="m", prompt_version="p", reserve=cost)
        row = self.ground.budget.reserve(call)
        assert isinstance(row, UUID)
        self.ground.budget.settle(row, Bill(usage=Usage(), cost=cost))


@pytest.fixture
def bench() -> Bench:
    """With money, and a model that plans something harmless."""
    return Bench()


def test_a_pack_is_asked_about_at_once_and_each_task_has_its_plan(bench: Bench) -> None:
    """One question for all that waited together; an escalation's reason stands in the history."""
    tasks = [bench.text(text) for text in "abc"]
    bench.script.says["b"] = replace(FREE, escalated="stakes", risk=Risk.HIGH)
    assert bench.turn() == 3
    assert bench.script.asked == [["a", "b", "c"]]
    assert [bench.task(task).state for task in tasks] == [State.QUEUED, State.AWAITING_APPROVAL, State.QUEUED]
    [decided] = [event for event in bench.ground.events(bench.task(tasks[1])) if event.kind == "plan_decided"]
    assert decided.detail == {"data": {"escalated": "stakes"}}


def test_packs_that_are_claimed_together_are_asked_about_together() -> None:
    """I12: of one workspace and origin. What they have in common is then asked once; who is in haste goes alone."""
    bench = Bench(pack_tasks=2)
    for text in "abcd":
        bench.text(text)
    bench.text("e", origin=Origin.DERIVED)
    urgent = bench.text("now", priority=9)
    bench.turn()
    assert sorted(map(sorted, bench.script.asked)) == [["a", "now"], ["b", "c", "d"], ["e"]]
    assert bench.task(urgent).state is State.QUEUED


def test_what_lingers_says_when_to_look_again(bench: Bench) -> None:
    """A wake that comes too early claims nothing, and says when the next is due."""
    bench.text("a")
    turn = bench.analyst.turn()
    assert (turn.claimed, turn.full) == (0, False)
    assert turn.wake_in_ms is not None
    assert 1000 < turn.wake_in_ms <= 2001


def test_what_failed_together_comes_back_together() -> None:
    """With jitter, but all of a pack with the same: so that it is packed again, and not asked about one by one."""
    bench = Bench(Script(says=dict.fromkeys("abc", BUSY)))
    tasks = [bench.text(text) for text in "abc"]
    bench.turn()
    assert {bench.task(task).waiting_for for task in tasks} == {"provider"}
    soon = bench.analyst.turn().wake_in_ms
    assert soon is not None
    assert 40_000 <= soon <= 40_000 * (1 + JITTER) + 1
    bench.script.says.clear()
    bench.ground.elapse(timedelta(milliseconds=soon))
    assert bench.turn() == 3
    assert bench.script.asked == [["a", "b", "c"]] * 2


def test_what_needs_no_reading_is_not_asked_about(bench: Bench) -> None:
    """A task to be cancelled, or whose time is over, costs nothing and takes nobody's answer."""
    gone = bench.text("gone", deadline=bench.ground.now() + timedelta(seconds=1))
    stays = bench.text("stays")
    bench.turn()
    assert bench.script.asked == [["stays"]]
    assert (bench.task(gone).state, bench.task(gone).failure) == (State.MANUAL, Failure(code="deadline_passed"))
    assert bench.task(stays).state is State.QUEUED


def test_while_draining_what_was_claimed_is_given_back(bench: Bench) -> None:
    """Nothing is asked that nobody may be there to hear."""
    task = bench.text("a")
    bench.draining = True
    bench.turn()
    assert bench.script.asked == []
    assert bench.task(task).state is State.RECEIVED
    assert bench.ground.kinds(bench.task(task))[-1] == "released"


def test_one_answer_that_nobody_foresaw_ends_one_task(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its neighbours have theirs."""
    tasks = [bench.text(text) for text in "abc"]
    refuse = Catalogue.assess

    def assess(self: Catalogue, steps: Sequence[Step], *rest: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on
        if any(step.args.get("value") == 7 for step in steps):
            raise ZeroDivisionError
        return refuse(self, steps, *rest, **named)

    monkeypatch.setattr(Catalogue, "assess", assess)
    bench.script.says["b"] = replace(FREE, steps=(Step(id="s", action="value", args={"value": 7}),))
    bench.turn()
    assert [bench.task(task).state for task in tasks] == [State.QUEUED, State.MANUAL, State.QUEUED]
    assert bench.task(tasks[1]).failure == Failure(code="unusable_answer", detail="ZeroDivisionError")


@pytest.mark.parametrize(
    ("error", "state"), [(StoreUnavailable("no"), State.RECEIVED), (ValueError("no"), State.MANUAL)]
)
def test_an_analyzer_that_raises_is_an_answer_too(error: Exception, state: State) -> None:
    """What is down is waited for; what nobody foresaw is a person's. No lease is left to run out."""

    def raises() -> None:
        raise error

    bench = Bench(Script(before=raises))
    tasks = [bench.text(text) for text in "ab"]
    bench.turn()
    assert {bench.task(task).state for task in tasks} == {state}


def test_leases_are_renewed_while_an_answer_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    """I3: a slow model loses nobody's task."""
    renewed = threading.Event()
    bench = Bench(Script(before=lambda: renewed.wait(10)), lease=timedelta(seconds=0.3))
    task = bench.text("a")

    def renew(held: Sequence[tuple[UUID, int]], _lease: timedelta) -> frozenset[UUID]:
        renewed.set()
        return frozenset(held_id for held_id, _ in held)

    monkeypatch.setattr(bench.ground.queue, "renew", renew)
    bench.turn()
    assert renewed.is_set()
    assert bench.task(task).state is State.QUEUED


# --- money ------------------------------------------------------------------------------------------------------------


def test_near_the_limit_the_unimportant_waits_by_name() -> None:
    """What is free goes on, and what matters is asked about."""
    bench = Bench(Script(knows={"known": FREE}))
    bench.spend(85)
    known, low, normal = bench.text("known", priority=1), bench.text("low", priority=1), bench.text("normal")
    bench.turn()
    assert bench.script.asked == [["normal"]]
    assert [bench.task(task).state for task in (known, normal)] == [State.QUEUED, State.QUEUED]
    waits = bench.task(low)
    assert (waits.state, waits.waiting_for, waits.failure) == (
        State.RECEIVED, "budget", Failure(code="budget_spared"),
    )  # fmt: skip


def test_near_the_limit_the_unimportant_goes_by_batch_where_there_are_batches() -> None:
    """At half the price, within hours. What a batch was no help to, or has no time for one, is asked about directly."""
    bench = Bench(batches=True)
    bench.spend(85)
    failed = bench.ground.claimed(bench.ground.submit(State.RECEIVED, text="failed", priority=1))
    why = Detail(failure=Failure(code="batch_expired"))
    assert bench.ground.apply(move(failed, "released", State.RECEIVED, timedelta(0), "analyze", detail=why))
    low = bench.text("low", priority=1)
    hasty = bench.text("hasty", priority=1, deadline=bench.ground.now() + timedelta(minutes=30))
    bench.turn()
    assert sorted(bench.script.asked[0]) == ["failed", "hasty"]
    parked = bench.task(low)
    assert (parked.state, parked.economy) == (State.RECEIVED, True)
    assert bench.turn() == 0
    assert bench.task(hasty).state is State.QUEUED


def test_without_batches_economy_is_read_like_all_others(bench: Bench) -> None:
    """It may take hours, but nobody else would ever read it."""
    task = bench.text("a", economy=True)
    bench.turn()
    assert bench.task(task).state is State.QUEUED


def test_with_nothing_left_only_what_is_free_goes_on() -> None:
    """The rest waits by name; nobody is asked."""
    bench = Bench(Script(knows={"known": FREE}))
    bench.spend(100)
    known, rest = bench.text("known"), bench.text("rest", priority=9)
    bench.turn()
    assert bench.script.asked == []
    assert bench.task(known).state is State.QUEUED
    waits = bench.task(rest)
    assert (waits.state, waits.waiting_for, waits.failure) == (State.RECEIVED, "budget", Failure(code="over_budget"))


def test_near_the_limit_packs_wait_to_be_fuller_until_there_is_money_again() -> None:
    """Ten times as long; in the next month everything is as before."""
    bench = Bench()
    bench.spend(85)
    bench.text("a")
    assert bench.turn() == 1
    bench.text("b")
    assert [bench.turn() for _ in range(10)] == [0] * 9 + [1]
    bench.ground.elapse(timedelta(days=31))
    bench.text("c")
    assert [bench.turn() for _ in range(10)] == [0] * 9 + [1]
    bench.text("d")
    assert bench.turn() == 1


# --- reading again ----------------------------------------------------------------------------------------------------


def test_the_same_plan_again_after_a_failure_is_a_persons(bench: Bench) -> None:
    """It was asked about once, and is not asked about again."""
    steps = (Step(id="page", action="http.request", args={"url": "https://a.example/x"}),)
    bench.script.says["a"] = replace(FREE, steps=steps)
    task = bench.text("a")
    bench.turn()
    plan = bench.task(task).plan
    assert plan is not None
    queued = bench.task(task)
    if queued.state is State.AWAITING_APPROVAL:
        assert bench.ground.decide(queued) is not None
    running = bench.ground.claimed(bench.task(task))
    why = Detail(failure=Failure(code="http_status", step="page", status=404))
    assert bench.ground.apply(move(running, "replanned", State.RECEIVED, timedelta(0), "execute", detail=why))
    bench.turn()
    again = bench.task(task)
    assert (again.state, again.failure) == (State.MANUAL, Failure(code="same_plan", step="page"))
    assert len(bench.script.asked) == 2
    bench.ground.elapse(DAY)
    assert bench.turn() == 0
