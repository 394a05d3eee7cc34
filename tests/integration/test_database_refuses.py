"""What the database itself refuses, whoever asks: tasks and their history, tried as their owner."""

# ruff: noqa: S608, ARG001 - composed of constants of this file; a ground is needed

from __future__ import annotations

import pytest
from pg8000.exceptions import DatabaseError

from common.core.lifecycle import edges
from common.core.task import State
from tests.contract.ground import Ground, gave_up, succeeded
from tests.integration.refusals import Refuses, refuses
from tests.postgres import Place

__all__ = ["refuses"]  # a fixture


@pytest.mark.parametrize(
    ("constraint", "change"),
    [
        ("tasks_state", "state = 'paused', worker_id = NULL"),
        ("tasks_looked_at_again", "next_check_at = NULL"),
        ("tasks_finished_at", "finished_at = now()"),
        ("tasks_have_a_plan", "plan_number = NULL"),
        ("tasks_leased", "worker_id = NULL"),
        ("tasks_priority", "priority = 10"),
        ("tasks_lease_no", "lease_no = -1"),
        ("tasks_attempts", "attempts = -1"),
        ("tasks_replans", "replans = -1"),
        ("tasks_origin", "origin = 'dream'"),
        ("tasks_cancel_has_an_actor", "cancel_requested_at = now()"),
    ],
)
def test_a_running_task_cannot_be_bent(shared_ground: Ground, refuses: Refuses, constraint: str, change: str) -> None:
    """I3, I9: no state of a row contradicts itself."""
    held = shared_ground.running()
    refuses(constraint, f"UPDATE tasks SET {change} WHERE id = $1::uuid", held.id)


@pytest.mark.parametrize(
    ("constraint", "change"),
    [("tasks_looked_at_again", "next_check_at = now()"), ("tasks_finished_at", "finished_at = NULL")],
)
def test_a_finished_task_is_not_looked_at_again(
    shared_ground: Ground, refuses: Refuses, constraint: str, change: str
) -> None:
    """I9: terminal means finished, and never due."""
    held = shared_ground.running()
    assert shared_ground.apply(succeeded(held))
    refuses(constraint, f"UPDATE tasks SET {change} WHERE id = $1::uuid", held.id)


@pytest.mark.parametrize(
    "change",
    [
        "state = 'queued', worker_id = NULL",
        "event_seq = event_seq - 1",
        "event_head = '\\x00'",
        "event_seq = event_seq + 1",
        "workspace = uuidv7()",
    ],
)
def test_a_task_equals_its_last_event(shared_ground: Ground, refuses: Refuses, change: str) -> None:
    """I2: a state changes only with an event, in the same commit."""
    held = shared_ground.running()
    refuses("tasks_updated_with_event", f"UPDATE tasks SET {change} WHERE id = $1::uuid", held.id)


def test_a_task_is_not_born_without_its_event(shared_ground: Ground, refuses: Refuses) -> None:
    """I2: intake is a transition like any other."""
    held = shared_ground.submit(State.RECEIVED)
    refuses(
        "tasks_inserted_with_event",
        "INSERT INTO tasks (id, workspace, state, inputs, lang, requested_by, origin, priority, next_check_at, "
        "event_seq, "
        "event_head) SELECT uuidv7(), workspace, state, inputs, lang, requested_by, origin, priority, "
        "next_check_at, 1, "
        "event_head FROM tasks WHERE id = $1::uuid",
        held.id,
    )


def test_claim_order_is_computed_by_the_database(shared_ground: Ground, postgres_module: Place) -> None:
    """A level of priority is worth sixty seconds, and nobody can write it."""
    urgent = shared_ground.submit(priority=9)
    [[order]] = postgres_module.owner.run(
        "SELECT claim_order = next_check_at - timestamptz '2000-01-01 00:00:00+00' - interval '540 s' FROM tasks "
        "WHERE id = $1::uuid",
        str(urgent.id),
    )
    assert order
    with pytest.raises(DatabaseError, match="428C9"):
        postgres_module.owner.run("UPDATE tasks SET claim_order = '1 s' WHERE id = $1::uuid", str(urgent.id))


EVENT = (
    "INSERT INTO task_events (task_id, seq, workspace, kind, from_state, to_state, actor, lease_no, prev) "
    "SELECT id, {seq}, workspace, {kind}, {source}, {target}, 'x', 0, {prev} FROM tasks WHERE id = $1::uuid"
)


@pytest.mark.parametrize(
    ("constraint", "kind", "source", "target"),
    [
        ("events_lifecycle", "'succeeded'", "'queued'", "'succeeded'"),
        ("events_lifecycle", "'approved'", "'running'", "'queued'"),
        ("events_lifecycle", "'invented'", "'running'", "'queued'"),
        ("", "NULL", "'running'", "'queued'"),
        ("", "'snoozed'", "'running'", "NULL"),
        ("events_first", "'submitted'", "NULL", "'queued'"),
    ],
)
def test_history_knows_only_the_lifecycle_table(
    shared_ground: Ground, refuses: Refuses, constraint: str, kind: str, source: str, target: str
) -> None:
    """I2: an event that the table does not have cannot be written, nor one with a gap in it."""
    held = shared_ground.running()
    sql = EVENT.format(seq="event_seq + 1", kind=kind, source=source, target=target, prev="event_head")
    refuses(constraint, sql, held.id)


@pytest.mark.parametrize(
    ("constraint", "seq", "prev"),
    [("task_events_pkey", "event_seq", "event_head"), ("events_chained", "event_seq + 1", "NULL")],
)
def test_history_is_one_chain(shared_ground: Ground, refuses: Refuses, constraint: str, seq: str, prev: str) -> None:
    """I2: one event a number, each on the one before."""
    held = shared_ground.running()
    sql = EVENT.format(seq=seq, kind="'snoozed'", source="'running'", target="'queued'", prev=prev)
    refuses(constraint, sql, held.id)


def test_the_check_on_events_is_the_lifecycle_table(shared_ground: Ground, postgres_module: Place) -> None:
    """The migration's list is core/lifecycle.py's, no row more and none less."""
    owner = postgres_module.owner
    [[expression]] = owner.run(
        "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = 'events_lifecycle'"
    )
    states = [None, *State]
    kinds = sorted({kind for kind, _, _ in edges()} | {"invented"})
    rows = owner.run(
        f"SELECT kind, from_state, to_state FROM unnest($1::text[]) kind, unnest($2::text[]) from_state, "
        f"unnest($3::text[]) to_state WHERE {expression}",
        "{" + ",".join(kinds) + "}",
        "{" + ",".join("NULL" if s is None else s.value for s in states) + "}",
        "{" + ",".join(s.value for s in State) + "}",
    )
    assert {
        (kind, None if source is None else State(source), State(target)) for kind, source, target in rows
    } == edges()


@pytest.mark.parametrize(
    "change",
    ["actor = 'somebody else'", "at = now()", "kind = 'snoozed'", "lease_no = 7", "tx = '1'",
        "detail = '{\"note\": \"b\"}'",
     "prev = NULL", "detail_sha256 = '\\x00'"],
)  # fmt: skip
def test_history_is_not_rewritten(shared_ground: Ground, refuses: Refuses, change: str) -> None:
    """I2: of an event nothing can be changed."""
    task = shared_ground.manual()
    sql = f"UPDATE task_events SET {change} WHERE task_id = $1::uuid AND seq = 2"
    refuses("events_only_detail_is_erased", sql, task.id)


def test_history_is_not_deleted(shared_ground: Ground, refuses: Refuses) -> None:
    """I2: nor can an event be removed."""
    refuses("events_never_deleted", "DELETE FROM task_events WHERE task_id = $1::uuid", shared_ground.running().id)


def test_a_detail_belongs_to_its_hash(shared_ground: Ground, refuses: Refuses) -> None:
    """I2: what an event says is what was hashed."""
    held = shared_ground.running()
    sql = (
        "INSERT INTO task_events (task_id, seq, workspace, kind, from_state, to_state, actor, lease_no, prev, detail, "
        "detail_sha256) SELECT id, event_seq + 1, workspace, 'snoozed', 'running', 'queued', 'x', 0, event_head, '{}', "
        "'\\x00' FROM tasks WHERE id = $1::uuid"
    )
    refuses("events_detail_hashed", sql, held.id)


def test_a_detail_may_be_erased_and_leaves_its_hash(shared_ground: Ground, postgres_module: Place) -> None:
    """I2: forgetting what a person wrote breaks no chain."""
    held = shared_ground.running()
    assert shared_ground.apply(gave_up(held))
    [[before]] = postgres_module.owner.run(
        "SELECT encode(hash, 'hex') FROM task_events WHERE task_id = $1::uuid AND seq = 3", str(held.id)
    )
    postgres_module.app.run("UPDATE task_events SET detail = NULL WHERE task_id = $1::uuid", str(held.id))
    [[after]] = postgres_module.owner.run(
        "SELECT encode(hash, 'hex') FROM task_events WHERE task_id = $1::uuid AND seq = 3", str(held.id)
    )
    assert before == after
