"""What the database refuses a process that is taken over: one of ours, as itself, that writes what it likes."""

# ruff: noqa: S608, ARG001 - composed of constants of this file; a ground is needed

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from pg8000.exceptions import DatabaseError

from common.adapters.postgres.connection import Database, DataError, Session
from common.adapters.postgres.migrations import migrate
from common.core.lifecycle import move
from common.core.task import State, Task
from tests.contract.ground import Ground, done, gave_up, not_done, retry, secret, unknown
from tests.integration.refusals import not_permitted
from tests.postgres import Place, Server

EVENT = (
    "INSERT INTO task_events (task_id, seq, workspace, kind, from_state, to_state, at, actor, lease_no, prev) "
    "SELECT id, {seq}, workspace, '{kind}', '{source}', '{target}', {at}, 'x', lease_no, {prev} FROM public.tasks "
    "WHERE id = '{task}'"
)
MOVE = (
    "UPDATE tasks t SET state = e.to_state, event_seq = e.seq, event_head = e.hash, worker_id = NULL, "
    "next_check_at = now(){also} FROM task_events e WHERE t.id = '{task}' AND e.task_id = t.id AND e.seq = {seq}"
)
AS_IT_SHOULD_BE = {"seq": "event_seq + 1", "kind": "snoozed", "source": "running", "target": "queued",
    "at": "clock_timestamp()", "prev": "event_head"}  # fmt: skip


def forge(database: Database, task: Task, **changed: str) -> None:
    """Append an event to a running task and move the task to it, in one commit or (`apart`) in two."""
    apart, also = changed.pop("apart", ""), changed.pop("also", "")
    written = EVENT.format(**{**AS_IT_SHOULD_BE, **changed}, task=task.id)
    [[number]] = database.run(f"{written} RETURNING seq") if apart else [[task.event_seq + int(changed.get("by", 1))]]
    moved = MOVE.format(task=task.id, seq=number, also=also)

    def work(session: Session) -> None:
        for statement in [moved] if apart else [written, moved]:
            session.simple(statement)

    database.transact(work)


def test_a_forger_may_do_what_the_product_does(shared_ground: Ground, postgres_module: Place) -> None:
    """The ground of what follows: an honest event, written by hand, is taken."""
    held = shared_ground.running()
    forge(postgres_module.app, held)
    assert shared_ground.get(held.id).state is State.QUEUED


@pytest.mark.parametrize(
    "changed",
    [
        {"seq": "event_seq + 7", "by": "7"},
        {"prev": "'\\x00'"},
        {"kind": "retried", "source": "manual", "target": "queued"},
        {"at": "clock_timestamp() - interval '1 hour'"},
        {"at": "clock_timestamp() + interval '1 hour'"},
        {"apart": "two commits"},
        {"also": ", lease_no = t.lease_no - 1"},
    ],
)  # fmt: skip
def test_a_task_takes_one_event_at_a_time_on_the_head_that_was_there(
    shared_ground: Ground, postgres_module: Place, changed: dict[str, str]
) -> None:
    """I2, I3: no gap, no other chain, no state that it was not in, no invented time, no event of another commit."""
    held = shared_ground.running()
    with pytest.raises(DataError, match="differs from its last event"):
        forge(postgres_module.app, held, **changed)
    assert shared_ground.get(held.id).state is State.RUNNING


@pytest.mark.parametrize("role", ["app", "owner"])
def test_no_table_of_a_session_stands_in_for_history(shared_ground: Ground, postgres_module: Place, role: str) -> None:
    """I2: a temporary `task_events` in front of ours is not what the trigger reads."""
    held = shared_ground.running()
    database: Database = getattr(postgres_module, role)

    def work(session: Session) -> None:
        run = session.simple
        run("CREATE TEMP TABLE task_events (LIKE public.task_events) ON COMMIT DROP")
        run(
            "INSERT INTO task_events (task_id, seq, workspace, tx, kind, from_state, to_state, at, actor, lease_no, "
            "hash) "
            f"SELECT id, event_seq, workspace, '1', 'x', 'running', 'succeeded', now(), 'x', 1, event_head "
            f"FROM tasks WHERE id = '{held.id}'"
        )
        run(
            "UPDATE tasks SET state = 'succeeded', worker_id = NULL, next_check_at = NULL, finished_at = now() "
            f"WHERE id = '{held.id}'"
        )

    postgres_module.owner.run(f"GRANT TEMPORARY ON DATABASE {name_of(postgres_module)} TO aiw_app")
    with pytest.raises(DataError, match="differs from its last event"):
        database.transact(work)
    assert shared_ground.get(held.id).state is State.RUNNING


def name_of(place: Place) -> str:
    """The database's name."""
    found = re.search(r"/([a-z0-9_]+)\?", place.url)
    assert found is not None, place.url
    return found[1]


def test_a_database_lends_nobody_a_place_for_tables_or_files(postgres_server: Server) -> None:
    """What the owner can take from everybody, `migrate` takes: temporary tables, and large objects."""
    postgres = Database(postgres_server.url("postgres"), pool_size=1)
    postgres.run("CREATE DATABASE lends_nothing")
    try:
        migrate(postgres_server.url("lends_nothing"))
        app = Database(postgres_server.url("lends_nothing"), "aiw_app", 1)
        for sql in (
            "CREATE TEMP TABLE x ()",
            "SELECT lo_create(0)",
            "SELECT lo_from_bytea(0, '')",
            "CREATE TABLE x ()",
        ):
            with pytest.raises(DatabaseError, match="42501"):
                app.run(sql)
        app.close()
    finally:
        postgres.run("DROP DATABASE lends_nothing WITH (FORCE)")
        postgres.close()


@pytest.mark.parametrize(
    ("role", "sql"),
    [
        ("app", "UPDATE tasks SET requested_by = uuidv7()"),
        ("app", "UPDATE tasks SET origin = 'person'"),
        ("app", "UPDATE tasks SET text = 'another request'"),
        ("approve", "UPDATE tasks SET workspace = uuidv7()"),
        ("app", "INSERT INTO tokens (hash, revoked_at) VALUES ('x', now())"),
        ("app", "UPDATE tokens SET role = 'admin'"),
        ("app", "UPDATE tokens SET issued_by = NULL"),
        ("approve", "UPDATE tokens SET revoked_at = NULL"),
    ],
)  # fmt: skip
def test_what_was_asked_and_lent_is_written_once(
    shared_ground: Ground, postgres_module: Place, role: str, sql: str
) -> None:
    """I4: whose a task is, where it came from and what was asked are no function's to change."""
    not_permitted(postgres_module, role, sql)


@pytest.mark.parametrize(
    "change",
    [
        "outcome = 'not_done'",
        "outcome = NULL, ended_at = NULL",
        "output = '{}'",
        "decided_by = 'person:x'",
        "ended_at = ended_at + interval '1 s'",
    ],
)
def test_what_is_known_of_an_attempt_stays_known(shared_ground: Ground, postgres_module: Place, change: str) -> None:
    """I6: `done` never becomes anything else, or the effect would happen again."""
    held = shared_ground.running()
    begun = shared_ground.begun(held)
    assert shared_ground.apply(retry(held, ended=done(number=begun.number, output=1)))
    with pytest.raises(DataError, match="attempts_end_once"):
        postgres_module.app.run(f"UPDATE step_attempts SET {change} WHERE task_id = $1::uuid RETURNING 1", str(held.id))


def test_an_unknown_outcome_is_learnt_once(shared_ground: Ground, postgres_module: Place) -> None:
    """I6: late from its worker or by a person's word; it does not begin anew, and is not learnt again."""
    held = shared_ground.running()
    begun = shared_ground.begun(held)
    assert shared_ground.apply(gave_up(held, ended=unknown(number=begun.number)))
    change = "UPDATE step_attempts SET {} WHERE task_id = $1::uuid RETURNING 1"
    with pytest.raises(DataError, match="attempts_end_once"):
        postgres_module.app.run(change.format("outcome = NULL, ended_at = NULL"), str(held.id))
    said = shared_ground.by_person(not_done(number=begun.number))
    manual = shared_ground.get(held.id)
    assert shared_ground.apply(move(manual, "outcome_given", State.QUEUED, timedelta(0), "person:x", ended=said))
    with pytest.raises(DataError, match="attempts_end_once"):
        postgres_module.app.run(change.format("outcome = 'done'"), str(held.id))


def test_what_is_closed_or_revoked_stays_so(shared_ground: Ground, postgres_module: Place) -> None:
    """I4: no approval is opened again or made to last longer, and no token comes back."""
    task = shared_ground.submit(State.AWAITING_APPROVAL)
    assert shared_ground.decide(task)
    longer = "UPDATE approvals SET valid_until = valid_until + interval '1 s' WHERE task_id = $1::uuid RETURNING 1"
    with pytest.raises(DataError, match="approvals_close_once"):
        postgres_module.approve.run(longer, str(task.id))
    close = "UPDATE approvals SET closed_at = {} WHERE task_id = $1::uuid RETURNING 1"
    postgres_module.app.run(close.format("now()"), str(task.id))
    for value in ("NULL", "now() + interval '1 s'"):
        with pytest.raises(DataError, match="approvals_close_once"):
            postgres_module.app.run(close.format(value), str(task.id))
    token = secret("revoked")
    shared_ground.people.issue(shared_ground.home, shared_ground.asks.id, "api", token, None)
    assert shared_ground.people.revoke(shared_ground.home, token)
    with pytest.raises(DataError, match="tokens_end_once"):
        postgres_module.app.run("UPDATE tokens SET revoked_at = NULL WHERE hash = $1 RETURNING 1", token)


@pytest.mark.parametrize(
    ("last", "at", "taken"),
    [(1, "clock_timestamp()", True), (1, "timestamptz '2020-01-01'", False), (2, "clock_timestamp()", False)],
)
def test_a_task_begins_with_its_first_event(
    shared_ground: Ground,
    postgres_module: Place,
    last: int,
    at: str,
    taken: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    """I2: no function brings a task in with a history that it had no time to have."""
    held, new = shared_ground.running(), shared_ground.new().id
    copied = (
        "INSERT INTO task_events (task_id, seq, workspace, kind, from_state, to_state, at, actor, lease_no, prev) "
        f"SELECT '{new}', seq, workspace, kind, from_state, to_state, {at}, actor, lease_no, (SELECT hash FROM "
        f"task_events b WHERE b.task_id = '{new}' AND b.seq = e.seq - 1) FROM task_events e "
        f"WHERE task_id = '{held.id}' AND seq = "
    )
    born = (
        "INSERT INTO tasks (id, workspace, state, inputs, lang, requested_by, origin, priority, plan_number, "
        f"worker_id, lease_no, next_check_at, event_seq, event_head) SELECT '{new}', t.workspace, e.to_state, "
        "t.inputs, t.lang, t.requested_by, t.origin, 5, 1, CASE WHEN e.seq = 2 THEN 'w' END, 1, now(), e.seq, e.hash "
        f"FROM tasks t, task_events e WHERE t.id = '{held.id}' AND e.task_id = '{new}' AND e.seq = {last}"
    )

    def work(session: Session) -> None:
        for statement in (*(f"{copied}{seq}" for seq in range(1, last + 1)), born):
            session.simple(statement)

    if taken:
        postgres_module.app.transact(work)
        return
    with pytest.raises(DataError, match="differs from its last event"):
        postgres_module.app.transact(work)
