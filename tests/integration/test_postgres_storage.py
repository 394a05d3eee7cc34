"""What PostgreSQL keeps: foreign bytes, the chain, plans that stay quick, and a row that cannot be written."""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.adapters.postgres import add, apply, claim, gate, reads
from common.adapters.postgres.connection import HOT, Session
from common.core.lifecycle import Ended, NextStep, move
from common.core.task import Effect, Json, OutcomeKind, Risk, State
from common.ports import Begun, Claim, Submission, TaskFilter
from tests.contract.ground import LEASE, Ground, done, gave_up, not_done, step, succeeded, unknown
from tests.postgres import Place

FOREIGN: tuple[tuple[Json, Json], ...] = (
    ({"nul": "a\x00b", "key\x00": 1}, {"nul": "a\x00b", "key\x00": 1}),
    ({"lone": "a\ud800b"}, {"lone": "a\N{REPLACEMENT CHARACTER}b"}),
    ({"nan": float("nan"), "big": float("inf")}, {"nan": None, "big": None}),
    ({"int": 2**80, "neg": -(2**70)}, {"int": 2**80, "neg": -(2**70)}),
    ("\\u0000 is not a NUL", "\\u0000 is not a NUL"),
    (None, None),
    ("한국어 😀 \u2028", "한국어 😀 \u2028"),
)


@pytest.mark.parametrize(("given", "kept"), FOREIGN)
def test_foreign_content_comes_back_and_stops_nobody(shared_ground: Ground, given: Json, kept: Json) -> None:
    """A result from the world is kept as it came, but for what JSON or UTF-8 cannot say; neighbours are safe."""
    strange, plain = shared_ground.running(plan=shared_ground.plan(step("one"))), shared_ground.running()
    ends = [succeeded(strange, done(number=None, output=given)), succeeded(plain, done(number=None, output="plain"))]
    assert shared_ground.queue.apply(ends) == {strange.id, plain.id}
    record = shared_ground.reads.task(shared_ground.home, strange.id)
    assert record is not None
    assert (record.result, record.has_result, record.task.state) == (kept, True, State.SUCCEEDED)
    assert shared_ground.reads.result(shared_ground.home, strange.id, "one") == kept


def test_inputs_and_plans_are_kept_to_the_byte(shared_ground: Ground) -> None:
    """I4: the digest is over the steps as they are read back, so they come back as they were."""
    plan = shared_ground.plan(step("one", text="a\x00b", number=1.0, tiny=5e-324, zero=-0.0))
    task = shared_ground.submit(plan=plan, inputs={"n\x00": [1, 1.0, True, None, "\x00"]})
    assert task.plan == plan
    assert task.request.inputs == {"n\x00": [1, 1.0, True, None, "\x00"]}


def test_notes_lose_only_what_text_cannot_hold(shared_ground: Ground) -> None:
    """A NUL in a note is shown as U+FFFD, and the cancel is carried out."""
    held = shared_ground.running()
    assert shared_ground.queue.request_cancel(shared_ground.home, held.id, "a\x00\udfffb", "person\x00")
    assert shared_ground.get(held.id).cancel_requested


def chained(row: list[object]) -> bytes:
    """An event's hash, computed from its columns by nobody but this test."""
    task, seq, workspace, tx, kind, source, target, micros, actor, lease, detail, prev = row

    def known(value: object) -> bytes:
        return b"\x00" if value is None else b"\x01" + bytes.fromhex(str(value))

    return hashlib.sha256(
        UUID(str(task)).bytes
        + struct.pack(">i", int(str(seq)))
        + UUID(str(workspace)).bytes
        + struct.pack(">q", int(str(tx)))
        + struct.pack(">q", int(str(micros)))
        + struct.pack(">i", int(str(lease)))
        + known(detail)
        + known(prev)
        + f"{kind} {source or '-'} {target} {actor}".encode()
    ).digest()


def test_a_tasks_events_form_a_chain_that_anybody_can_recompute(shared_ground: Ground, postgres_module: Place) -> None:
    """I2: every column but the detail is in the hash, NULLs told apart; each event carries the one before."""
    held = shared_ground.running()
    assert shared_ground.apply(gave_up(held, not_done(number=None)))
    rows = postgres_module.owner.run(
        "SELECT task_id, seq, workspace, tx::text, kind, from_state, to_state, "
        "(extract(epoch FROM at - timestamptz '2000-01-01 00:00:00+00') * 1000000)::bigint, actor, lease_no, "
        "encode(detail_sha256, 'hex'), encode(prev, 'hex'), encode(hash, 'hex') FROM task_events "
        "WHERE task_id = $1::uuid ORDER BY seq",
        str(held.id),
    )
    hashes = [row.pop() for row in rows]
    assert [chained(row).hex() for row in rows] == hashes
    assert [row[-1] for row in rows] == [None, *hashes[:-1]]
    [[head]] = postgres_module.owner.run(
        "SELECT encode(event_head, 'hex') FROM tasks WHERE id = $1::uuid", str(held.id)
    )
    assert head == hashes[-1]


def test_a_row_that_cannot_be_written_goes_to_a_person_with_its_outcome(
    postgres_ground: Ground, postgres_database: Place
) -> None:
    """One row of a batch is refused by the database: the others pass, its outcome is kept, the output is not."""
    postgres_database.owner.run(
        "ALTER TABLE step_attempts ADD CONSTRAINT no_poison CHECK (output::text NOT LIKE '%poison%')"
    )
    well = [postgres_ground.running() for _ in range(5)]
    ill = postgres_ground.running()
    answer = postgres_ground.begin(ill)
    assert isinstance(answer, Begun)
    batch = [succeeded(task, done(number=None)) for task in well[:3]]
    stays = [NextStep(task_id=task.id, lease_no=task.lease_no, ended=done(number=None)) for task in well[3:]]
    poison = succeeded(ill, done(number=answer.number, output="poison"))
    assert postgres_ground.queue.apply([*batch, poison, *stays]) == {ill.id, *(task.id for task in well)}
    after = postgres_ground.get(ill.id)
    assert (after.state, after.failure.code if after.failure else None) == (State.MANUAL, "unwritable_row")
    [attempt] = after.trail
    assert (attempt.outcome, attempt.output) == (OutcomeKind.DONE, None)
    assert [postgres_ground.get(task.id).state for task in well[:3]] == [State.SUCCEEDED] * 3


def test_a_late_done_does_not_contradict_the_repetition(shared_ground: Ground) -> None:
    """I6: an idempotent step repeated under its key is done once; the first one's late word stays `unknown`."""
    first = shared_ground.running()
    one = shared_ground.begun(first, effect=Effect.IDEMPOTENT)
    assert shared_ground.apply(gave_up(first, unknown(number=one.number)))
    manual = shared_ground.get(first.id)
    assert shared_ground.apply(move(manual, "retried", State.QUEUED, timedelta(0), "p"))
    second = shared_ground.claimed(shared_ground.get(first.id))
    two = shared_ground.begun(second, effect=Effect.IDEMPOTENT)
    assert not shared_ground.apply(succeeded(first, Ended(step_id="one", number=one.number, outcome=OutcomeKind.DONE)))
    outcomes = {a.number: a.outcome for a in shared_ground.get(first.id).trail}
    assert outcomes == {one.number: OutcomeKind.UNKNOWN, two.number: None}


HOT_STATEMENTS = {
    "add": (add.ADD, 2),
    "claim_received": (claim.CLAIMS[State.RECEIVED], 4),
    "claim_queued": (claim.CLAIMS[State.QUEUED], 4),
    "renew": (claim.RENEW, 2),
    "next_due": (claim.NEXT_DUES[State.QUEUED], 0),
    "begin": (gate.BEGIN, 1),
    "apply": (apply.WHOLE, 2),
    "apply_short": (apply.SHORT, 2),
    "task": (reads.ONE, 2),
    "task_settled": (reads.ONE_SETTLED, 2),
    "settled": (reads.SETTLED, 1),
}
GROWING = (
    "tasks",
    "task_events",
    "plans",
    "step_attempts",
    "approvals",
    "decisions",
    "tokens",
    "idempotency_keys",
    "calls",
    "call_tasks",
)


@pytest.mark.parametrize("name", HOT_STATEMENTS)
@pytest.mark.parametrize("tasks", [0, 60])
def test_a_plan_cached_early_looks_rows_up(
    postgres_ground: Ground, postgres_database: Place, name: str, tasks: int
) -> None:
    """A statement that is planned once must be planned right: on fresh tables, and once autovacuum has looked."""
    sql, params = HOT_STATEMENTS[name]

    def work(session: Session) -> list[str]:
        session.simple(HOT)
        session.simple(f"PREPARE hot({', '.join(['text'] * params)}) AS {sql}" if params else f"PREPARE hot AS {sql}")
        nulls = f"({', '.join(['NULL'] * params)})" if params else ""
        return [row[0] for row in session.run(f"EXPLAIN EXECUTE hot{nulls}")]

    if tasks:
        wanted = tuple(postgres_ground.new() for _ in range(tasks))
        postgres_ground.queue.add([Submission(token_sha256=postgres_ground.asks.token, tasks=wanted)])
        postgres_database.owner.run("ANALYZE tasks, task_events, plans")
    plan = postgres_database.owner.transact(work)
    for number, line in enumerate(plan):
        assert not any(f"Seq Scan on {table} " in line for table in GROWING), "\n".join(plan)
        if "Index" in line and any(f" on {table} " in line for table in GROWING):
            assert "Index Cond" in plan[number + 1], "\n".join(plan)


def test_a_batch_is_one_commit(postgres_ground: Ground, postgres_database: Place) -> None:
    """I1: whoever sees one task of an array sees all of them."""
    wanted = tuple(postgres_ground.new() for _ in range(100))
    postgres_ground.queue.add([Submission(token_sha256=postgres_ground.asks.token, tasks=wanted)])
    [[commits]] = postgres_database.owner.run("SELECT count(DISTINCT tx) FROM task_events")
    assert commits == 1
    held = postgres_ground.queue.claim(State.QUEUED, "w", 100, LEASE)
    assert len(held) == 100
    assert len(postgres_ground.queue.apply([succeeded(task, done(number=None)) for task in held])) == 100
    [[commits]] = postgres_database.owner.run("SELECT count(DISTINCT tx) FROM task_events")
    assert commits == 3


def claims() -> Claim:
    """Of what is queued."""
    return Claim(state=State.QUEUED, worker="w", limit=100, lease=LEASE)


def test_the_end_of_a_batch_and_the_next_claim_are_one_commit(
    postgres_ground: Ground, postgres_database: Place
) -> None:
    """I1, I2: whoever sees that the one has ended sees that the next is held."""
    held, following = postgres_ground.running(), postgres_ground.submit()
    [[before]] = postgres_database.owner.run("SELECT count(DISTINCT tx) FROM task_events")
    applied, [claimed] = postgres_ground.queue.apply_then_claim([succeeded(held, done(number=None))], claims())
    assert applied == {held.id}
    assert claimed.id == following.id
    assert postgres_database.owner.run("SELECT count(DISTINCT tx) FROM task_events") == [[before + 1]]


def test_a_row_that_cannot_be_written_holds_up_no_claim(postgres_ground: Ground, postgres_database: Place) -> None:
    """The batch is applied without it, it goes to a person, and then there is a claim."""
    postgres_database.owner.run(
        "ALTER TABLE step_attempts ADD CONSTRAINT no_poison CHECK (output::text NOT LIKE '%poison%')"
    )
    well, ill = postgres_ground.running(), postgres_ground.running()
    following = postgres_ground.submit()
    ends = [succeeded(well, done(number=None)), succeeded(ill, done(number=None, output="poison"))]
    applied, claimed = postgres_ground.queue.apply_then_claim(ends, claims())
    assert applied == {well.id, ill.id}
    assert [task.id for task in claimed] == [following.id]
    assert postgres_ground.get(ill.id).state is State.MANUAL


@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        ({}, "abc"),
        ({"states": (State.SUCCEEDED,)}, "a"),
        ({"states": (State.SUCCEEDED, State.QUEUED)}, "ac"),
        ({"states": (State.AWAITING_APPROVAL,), "risk": Risk.HIGH}, "b"),
        ({"tag": "x", "q": "50% OF"}, "c"),
        ({"q": "50_"}, ""),
        ({"kind": "none"}, ""),
        ({"since": datetime(2001, 1, 1, tzinfo=UTC), "until": datetime(2090, 1, 1, tzinfo=UTC)}, "abc"),
        ({"until": datetime(2001, 1, 1, tzinfo=UTC)}, ""),
        ({"limit": 1}, "bc"),
    ],
)
def test_a_list_is_narrowed_by_every_filter(postgres_ground: Ground, narrowed: dict[str, Any], found: str) -> None:
    """Newest first, one more than asked for where there is a next page, and a wildcard in a search is only a letter."""
    a = postgres_ground.running()
    assert postgres_ground.apply(succeeded(a, done(number=None)))
    b = postgres_ground.submit(State.AWAITING_APPROVAL)
    c = postgres_ground.submit(text="50% of it", tags=("x", "y"))
    names = {a.id: "a", b.id: "b", c.id: "c"}
    listed = [names[r.task.id] for r in postgres_ground.reads.tasks(postgres_ground.home, TaskFilter(**narrowed))]
    assert listed == sorted(found, reverse=True)
    assert postgres_ground.reads.tasks(postgres_ground.neighbour, TaskFilter(**narrowed)) == []
    after = TaskFilter(before=b.id)
    assert [names[r.task.id] for r in postgres_ground.reads.tasks(postgres_ground.home, after)] == ["a"]


def test_a_shortened_id_finds_its_task_in_its_workspace(postgres_ground: Ground) -> None:
    """The command line shows the end of an id; two at most tell that it is not unique."""
    tasks = [postgres_ground.submit() for _ in range(3)]
    [first, *_] = tasks
    assert postgres_ground.reads.resolve_id(postgres_ground.home, first.id.hex[-6:]) == [first.id]
    assert postgres_ground.reads.resolve_id(postgres_ground.home, str(first.id)[-15:].upper()) == [first.id]
    assert postgres_ground.reads.resolve_id(postgres_ground.home, "%") == []
    assert postgres_ground.reads.resolve_id(postgres_ground.neighbour, first.id.hex[-6:]) == []
