"""The analyst: what becomes of a pack, whatever the analyzer and the month's money say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from common.actions.catalogue import Catalogue
from common.core.errors import StoreUnavailable
from common.core.lifecycle import Detail, move
from common.core.task import Failure, Origin, Risk, State, Step
from common.ports import Answer, NotAnswered, Question
from functions.analyze.analysis import JITTER
from tests.contract.ground import DAY
from tests.unit.analyst import BUSY, FREE, LINGER, Bench, Script, text_of


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


def test_who_comes_while_another_is_read_does_not_wait_for_its_end() -> None:
    """A call that takes long holds up neither who is in haste nor another workspace."""
    go_on = threading.Event()

    class Slow(Script):
        def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
            if text_of(questions[0]) == "slow":
                assert go_on.wait(20)
            return super().analyze(questions)

    bench = Bench(Slow(), at_once=3)
    slow = bench.text("slow")
    with ThreadPoolExecutor(1) as pool:
        bench.ground.elapse(LINGER)
        turn = pool.submit(bench.analyst.turn)
        assert until(lambda: bench.task(slow).state is State.ANALYZING)
        urgent = bench.text("urgent", priority=9)
        assert until(lambda: bench.task(urgent).state is State.QUEUED)
        assert bench.task(slow).state is State.ANALYZING
        go_on.set()
        assert turn.result(20).claimed == 2
    assert bench.task(slow).state is State.QUEUED


def test_nothing_is_begun_beside_others_for_longer_than_a_wake_lasts() -> None:
    """The wake has to be answered: then the next one claims."""
    bench = Bench(Script(before=lambda: time.sleep(1.5)), beside=timedelta(0), at_once=3)
    slow = bench.text("slow")
    with ThreadPoolExecutor(1) as pool:
        bench.ground.elapse(LINGER)
        turn = pool.submit(bench.analyst.turn)
        assert until(lambda: bench.task(slow).state is State.ANALYZING)
        bench.text("urgent", priority=9)
        assert turn.result(20).claimed == 1


def until(holds: Callable[[], bool]) -> bool:
    """Whether something comes true within ten seconds."""
    end = time.monotonic() + 10
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


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
