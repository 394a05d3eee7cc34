"""Reads: what pages and lists show, always of one workspace."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from common.core.lifecycle import move
from common.core.task import Risk, State, uuid7
from common.ports import Submission, TaskFilter
from tests.contract.ground import DAY, Ground, done, gave_up, retry, step, succeeded


def ids(ground: Ground, filters: TaskFilter) -> list[str]:
    """The last digits of what a list shows."""
    return [record.task.id.hex for record in ground.reads.tasks(ground.home, filters)]


def test_a_list_is_newest_first_and_tells_that_there_is_more(ground: Ground) -> None:
    """`limit` + 1 records say that there is a next page; `before` is where it begins."""
    tasks = [ground.submit() for _ in range(5)]
    page = ground.reads.tasks(ground.home, TaskFilter(limit=2))
    assert [r.task.id for r in page] == [tasks[4].id, tasks[3].id, tasks[2].id]
    rest = ground.reads.tasks(ground.home, TaskFilter(limit=10, before=tasks[3].id))
    assert [r.task.id for r in rest] == [tasks[2].id, tasks[1].id, tasks[0].id]


def test_a_list_is_narrowed_by_each_filter(ground: Ground) -> None:
    """State, risk, tag, words and time."""
    low = ground.submit(tags=("red",), text="Fetch the Price page")
    risky = ground.submit(State.AWAITING_APPROVAL, plan=ground.plan(risk=Risk.HIGH), tags=("blue",))
    assert ids(ground, TaskFilter(states=(State.AWAITING_APPROVAL,))) == [risky.id.hex]
    assert ids(ground, TaskFilter(states=(State.QUEUED, State.AWAITING_APPROVAL))) == [risky.id.hex, low.id.hex]
    assert ids(ground, TaskFilter(risk=Risk.HIGH)) == [risky.id.hex]
    assert ids(ground, TaskFilter(tag="red")) == [low.id.hex]
    assert ids(ground, TaskFilter(q="the price")) == [risky.id.hex, low.id.hex]
    assert ids(ground, TaskFilter(q="Fetch the Price")) == [risky.id.hex, low.id.hex]
    assert ids(ground, TaskFilter(q="100%")) == []
    assert ids(ground, TaskFilter(kind="none of these")) == []


def test_another_workspaces_tasks_are_absent(ground: Ground) -> None:
    """Every read takes a workspace."""
    task = ground.submit()
    assert ground.reads.tasks(ground.neighbour, TaskFilter()) == []
    assert ground.reads.task(ground.neighbour, task.id) is None
    assert ground.reads.events(ground.neighbour, task.id) == []
    assert ground.reads.result(ground.neighbour, task.id, "one") is None
    assert ground.reads.resolve_id(ground.neighbour, task.id.hex[-8:]) == []


def test_a_record_tells_what_its_page_shows(ground: Ground) -> None:
    """Who asked, since when, when it is looked at again, and whether all is paused."""
    task = ground.submit()
    record = ground.reads.task(ground.home, task.id)
    assert record is not None
    assert (record.requested_by_name, record.paused, record.has_result) == ("Ada", False, False)
    assert record.created_at == record.since
    assert record.task == ground.get(task.id).model_copy(
        update={"read_at": record.task.read_at, "deadline_in": record.task.deadline_in}
    )
    ground.workspace.pause(ground.home, "look", ground.rules.id)
    paused = ground.reads.task(ground.home, task.id)
    assert paused is not None
    assert paused.paused


def test_an_id_may_be_shortened_to_its_ending(ground: Ground) -> None:
    """Two at most, so that an ambiguous ending shows."""
    tasks = [ground.submit() for _ in range(20)]
    assert ground.reads.resolve_id(ground.home, tasks[0].id.hex[-12:]) == [tasks[0].id]
    [shared] = {digit for digit, _ in Counter(task.id.hex[-1] for task in tasks).most_common(1)}
    found = ground.reads.resolve_id(ground.home, shared)
    assert len(found) == 2
    assert all(task.hex.endswith(shared) for task in found)
    assert ground.reads.resolve_id(ground.home, "ffffffffffff") == []


def test_a_history_is_told_in_order_with_names(ground: Ground) -> None:
    """I2: every event once, oldest first; a person by name."""
    held = ground.running()
    assert ground.apply(gave_up(held))
    records = ground.reads.events(ground.home, held.id)
    assert [r.event.kind for r in records] == ["submitted", "started", "gave_up"]
    assert records[0].actor_name == "Ada"
    assert [r.event.seq for r in ground.reads.events(ground.home, held.id, after_seq=2)] == [3]


def test_a_workspaces_stream_misses_nothing(ground: Ground) -> None:
    """Read on from a position, whatever comes after it is there, once and in order."""
    ground.submit(State.RECEIVED)
    [newest] = ground.reads.workspace_events(ground.home, None, 10)
    ground.submit(by=ground.outsider)
    held = ground.running()
    assert ground.apply(retry(held))
    after = ground.reads.workspace_events(ground.home, newest.position, 10)
    assert [(r.event.task_id, r.event.kind) for r in after] == [
        (held.id, "submitted"),
        (held.id, "started"),
        (held.id, "retry_planned"),
    ]
    rest = ground.reads.workspace_events(ground.home, after[0].position, 1)
    assert [r.event.kind for r in rest] == ["started"]


@pytest.mark.parametrize(
    "position",
    [
        "1:------------------------------------:1",
        "99999999999999999999:00000000-0000-0000-0000-000000000000:0",
        "\u0661:00000000-0000-0000-0000-000000000000:0",
        "1:00000000-0000-0000-0000-000000000000:0\n",
    ],
)
def test_a_position_that_somebody_made_up_is_no_error(ground: Ground, position: str) -> None:
    """A reader sends `Last-Event-ID` as it likes: at worst the stream begins elsewhere, and of its own workspace."""
    mine, _ = ground.submit(State.RECEIVED), ground.submit(by=ground.outsider)
    assert {r.event.task_id for r in ground.reads.workspace_events(ground.home, position, 10)} <= {mine.id}


def test_what_a_wait_waits_for(ground: Ground) -> None:
    """A `?wait=` ends when a task is over, or needs a person."""
    going, waiting = ground.running(), ground.submit(State.AWAITING_APPROVAL)
    over, manual = ground.running(), ground.manual()
    assert ground.apply(succeeded(over))
    everything = [going.id, waiting.id, over.id, manual.id]
    assert ground.reads.settled(everything) == {waiting.id, over.id, manual.id}
    for task in everything:
        found = ground.reads.settled_task(ground.home, task)
        assert (found.task.id if found else None) == (None if task == going.id else task)
        assert ground.reads.settled_task(ground.neighbour, task) is None


def test_a_steps_result_can_be_read(ground: Ground) -> None:
    """Of a done step only; JSON comes back as it was."""
    held = ground.running(plan=ground.plan(step("one")))
    value = {"price": 39000, "text": "가격", "list": [1, None, True]}
    assert ground.apply(succeeded(held, done(number=None, output=value)))
    assert ground.reads.result(ground.home, held.id, "one") == value
    assert ground.reads.result(ground.home, held.id, "two") is None
    record = ground.reads.task(ground.home, held.id)
    assert record is not None
    assert (record.result, record.has_result) == (value, True)


def test_the_queues_depth_is_counted_by_state_and_priority(ground: Ground) -> None:
    """Live tasks only, with the leases that are held."""
    ground.submit(priority=9)
    ground.submit(not_before=ground.now() + DAY, priority=3)
    ground.claimed(ground.submit(priority=5), "w1")
    over = ground.claimed(ground.submit(priority=5), "w1")
    assert ground.apply(move(over, "cancelled", State.CANCELLED, None, "person"))
    view = ground.reads.queue(ground.home)
    counted = {(line.state, line.priority): line.tasks for line in view.depth}
    assert sum(counted.values()) == 3
    assert counted[State.QUEUED, 3] == 1
    assert sum(view.leases.values()) == 2 or view.leases == {"w1": 2}


def test_live_tasks_are_counted_by_state(ground: Ground) -> None:
    """Finished ones are not counted: there may be a million."""
    ground.submit()
    ground.submit(State.AWAITING_APPROVAL)
    over = ground.running()
    assert ground.apply(succeeded(over))
    counts = {state: number for state, number in ground.reads.counts(ground.home).items() if number}
    assert counts.get(State.AWAITING_APPROVAL) == 1
    assert State.SUCCEEDED not in counts
    assert sum(counts.values()) == 2


def test_since_and_until_bound_when_it_was_submitted(ground: Ground) -> None:
    """Absolute times that a person gave."""
    now, minute = ground.now(), timedelta(minutes=1)
    task = replace(
        ground.new(), id=uuid7(int(now.timestamp() * 1000), bytes(10))
    )  # an id tells its time, as intake's do
    ground.queue.add([Submission(token_sha256=ground.asks.token, tasks=(task,))])
    assert ids(ground, TaskFilter(since=now - minute, until=now + minute)) == [task.id.hex]
    assert ids(ground, TaskFilter(since=now + minute)) == []
    assert ids(ground, TaskFilter(until=now - minute)) == []


def test_the_queues_ages_are_of_what_waits(ground: Ground) -> None:
    """What waits for a person is as old as it has waited, though it is looked at again only tomorrow."""
    ground.submit()
    ground.submit(State.AWAITING_APPROVAL)
    ground.elapse(timedelta(seconds=5))
    ages = {line.state: line.oldest_seconds for line in ground.reads.queue(ground.home).depth}
    assert 5 <= ages[State.QUEUED] < 60
    assert 0 < ages[State.AWAITING_APPROVAL] < 60
