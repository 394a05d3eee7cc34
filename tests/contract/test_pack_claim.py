"""Queue.claim_packs and next_pack: which texts share a call, and how long they wait for each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from common.core.lifecycle import move
from common.core.task import Origin, State, Task
from common.ports import PATIENCE, Forming
from tests.contract.ground import LEASE, Ground

LINGER = timedelta(seconds=5)
FORMING = Forming(tasks=3, packs=4, linger=LINGER)


def claim(ground: Ground, forming: Forming = FORMING) -> list[list[Task]]:
    """The packs of a claim."""
    return ground.queue.claim_packs("w", forming, LEASE)


def ids(packs: list[list[Task]]) -> list[list[UUID]]:
    """Which tasks, in order."""
    return [[task.id for task in pack] for pack in packs]


def texts(ground: Ground, count: int, **new: Any) -> list[UUID]:  # noqa: ANN401 - whatever a submission takes
    """So many that wait to be read, oldest first."""
    return [ground.submit(State.RECEIVED, **new).id for _ in range(count)]


def test_a_full_pack_waits_for_nobody(ground: Ground) -> None:
    """I2, I3: so many as fit into a call are claimed together, each by a transition of its own under a new lease."""
    waiting = texts(ground, 3)
    [pack] = claim(ground)
    assert [task.id for task in pack] == waiting
    assert {(task.state, task.lease_no) for task in pack} == {(State.ANALYZING, 1)}
    assert ground.kinds(pack[0]) == ["submitted", "analysis_started"]
    assert claim(ground) == []


def test_fewer_linger(ground: Ground) -> None:
    """What is not full waits for more, as long as its oldest may; then it is taken as it is."""
    waiting = texts(ground, 2)
    assert claim(ground) == []
    ground.elapse(LINGER)
    assert ids(claim(ground)) == [waiting]


def test_what_somebody_waits_for_waits_for_nobody(ground: Ground) -> None:
    """I2: it has lingered, with whoever is there; that is no event. Nor does it a second time, or for others."""
    texts(ground, 1)
    ground.elapse(LINGER)
    [[held]] = claim(ground)
    assert ground.apply(move(held, "deferred", State.RECEIVED, timedelta(0), "analyze", waiting_for="provider"))
    [awaited, other] = texts(ground, 2)
    economy = ground.submit(State.RECEIVED, economy=True).id
    assert ground.queue.awaited(ground.neighbour, [awaited], LINGER) == 0
    assert ground.queue.awaited(ground.home, [economy, held.id], LINGER) == 0
    assert ground.queue.next_pack(FORMING) not in {None, timedelta(0)}
    assert ground.queue.awaited(ground.home, [awaited, other], LINGER) == 2
    assert ground.queue.awaited(ground.home, [awaited, other], LINGER) == 0
    assert ground.queue.next_pack(FORMING) == timedelta(0)
    [pack] = claim(ground)
    assert {awaited, other} <= {task.id for task in pack}
    assert ground.kinds(ground.get(awaited)) == ["submitted", "analysis_started"]
    assert ground.queue.awaited(ground.home, [awaited], LINGER) == 0


def test_the_rest_of_a_full_pack_lingers(ground: Ground) -> None:
    """Five are a pack and two that wait."""
    waiting = texts(ground, 5)
    assert ids(claim(ground)) == [waiting[:3]]
    ground.elapse(LINGER)
    assert ids(claim(ground)) == [waiting[3:]]


def test_priority_nine_takes_its_neighbours_along(ground: Ground) -> None:
    """It waits for nobody, and sharing its call costs it nothing."""
    [ordinary] = texts(ground, 1)
    [urgent] = texts(ground, 1, priority=9)
    assert ids(claim(ground)) == [[urgent, ordinary]]


def test_packs_hold_one_workspace_and_one_origin(ground: Ground) -> None:
    """I12: what came from elsewhere never shares a call, however many wait."""
    mine = texts(ground, 2)
    derived = texts(ground, 2, origin=Origin.DERIVED)
    theirs = texts(ground, 2, by=ground.outsider)
    assert claim(ground) == []
    ground.elapse(LINGER)
    packs = claim(ground)
    assert sorted(ids(packs)) == sorted([mine, derived, theirs])
    assert all(len({(task.workspace, task.request.origin) for task in pack}) == 1 for pack in packs)


def test_economy_is_claimed_by_itself(ground: Ground) -> None:
    """What may wait hours is in no direct call, and a batch takes nothing that is to be read at once."""
    direct, economy = texts(ground, 3), texts(ground, 3, economy=True)
    assert ids(claim(ground)) == [direct]
    assert ids(claim(ground, replace(FORMING, economy=True))) == [economy]


def test_where_there_are_no_batches_economy_is_read_like_all_others(ground: Ground) -> None:
    """It shares calls with what is to be read at once."""
    waiting = [*texts(ground, 1), *texts(ground, 1, economy=True), *texts(ground, 1)]
    assert ids(claim(ground, replace(FORMING, economy=None))) == [waiting]


def test_a_batch_takes_up_to_a_thousand(ground: Ground) -> None:
    """The bound of a scan follows what is asked for."""
    texts(ground, 210, economy=True)
    packs = claim(ground, Forming(tasks=10, packs=100, linger=timedelta(0), economy=True))
    assert [len(pack) for pack in packs] == [10] * 21


def test_a_workspace_whose_money_nears_its_limit_waits_longer(ground: Ground) -> None:
    """Fuller packs are cheaper; others do not wait with it."""
    mine, theirs = texts(ground, 1), texts(ground, 1, by=ground.outsider)
    patient = replace(FORMING, patient=frozenset({ground.home}))
    ground.elapse(LINGER)
    assert ids(claim(ground, patient)) == [theirs]
    ground.elapse(LINGER * (PATIENCE - 1))
    assert ids(claim(ground, patient)) == [mine]


def test_each_workspace_has_its_turn(ground: Ground) -> None:
    """One that asks a lot keeps no other from being read."""
    texts(ground, 12)
    theirs = texts(ground, 3, by=ground.outsider)
    packs = claim(ground, replace(FORMING, packs=2))
    assert len(packs) == 2
    assert theirs in ids(packs)


def test_a_claim_takes_no_more_packs_than_asked(ground: Ground) -> None:
    """The best `claim_order` first."""
    waiting = texts(ground, 9)
    assert ids(claim(ground, replace(FORMING, packs=2))) == [waiting[:3], waiting[3:6]]


def test_what_is_not_due_is_in_no_pack(ground: Ground) -> None:
    """A task that was deferred comes back when it said."""
    first, second, third = texts(ground, 3)
    [pack] = claim(ground)
    for task in pack:
        assert ground.apply(move(task, "deferred", State.RECEIVED, timedelta(seconds=30), "analyze"))
    [fourth] = texts(ground, 1)
    ground.elapse(LINGER)
    assert ids(claim(ground)) == [[fourth]]
    ground.elapse(timedelta(seconds=30))
    assert ids(claim(ground)) == [[first, second, third]]


def test_next_pack_says_when_to_look_again(ground: Ground) -> None:
    """So that a wake comes in time: once the oldest has lingered, or another task becomes due."""
    assert ground.queue.next_pack(FORMING) is None
    texts(ground, 1)
    soon = ground.queue.next_pack(FORMING)
    assert soon is not None
    assert timedelta(0) < soon <= LINGER
    ground.elapse(timedelta(seconds=3))
    sooner = ground.queue.next_pack(FORMING)
    assert sooner is not None
    assert sooner <= timedelta(seconds=2)
    patient = replace(FORMING, patient=frozenset({ground.home}))
    later = ground.queue.next_pack(patient)
    assert later is not None
    assert later > LINGER
    ground.elapse(LINGER)
    assert ground.queue.next_pack(FORMING) == timedelta(0)


def test_next_pack_knows_what_becomes_due(ground: Ground) -> None:
    """A deferred task makes a pack of its own once it lingers, so somebody has to look when it comes."""
    held = ground.claimed(ground.submit(State.RECEIVED))
    assert ground.apply(move(held, "deferred", State.RECEIVED, timedelta(seconds=30), "analyze"))
    soon = ground.queue.next_pack(FORMING)
    assert soon is not None
    assert timedelta(seconds=20) < soon <= timedelta(seconds=30)


def test_a_text_is_claimed_either_way(ground: Ground) -> None:
    """Without a model nobody packs, and nobody waits: the plain claim takes all that is due."""
    waiting = [*texts(ground, 1), *texts(ground, 1, economy=True)]
    assert {task.id for task in ground.queue.claim(State.RECEIVED, "w", 10, LEASE)} == set(waiting)


@pytest.mark.parametrize("forming", [FORMING, replace(FORMING, economy=True)])
def test_nothing_due_is_an_empty_list(ground: Ground, forming: Forming) -> None:
    """A claim never waits."""
    assert claim(ground, forming) == []
