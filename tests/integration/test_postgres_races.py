"""What two connections can do to each other: each promise that holds only because of a lock is raced for here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

from common.adapters.postgres.budget import PostgresBudget
from common.adapters.postgres.connection import Database, Session
from common.core.lifecycle import Transition, move
from common.core.task import Risk, State, Task
from common.ports import Added, AddRefused, Begun, CallRequest, NotBegun, NotReserved, Refusal, Submission
from tests.contract.ground import DAY, LEASE, Ground, done, lease_lost, retry, succeeded, unknown
from tests.postgres import Place

MIB = 1_000_000


def while_held(place: Place, lock: str, param: str, then: Callable[[], object], waits: int = 1) -> Callable[[], None]:
    """Hold a row's lock; returns once `then`, started in a thread, waits for it. Calling the result lets go."""
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        def work(session: Session) -> None:
            session.run(lock, param)
            held.set()
            assert let_go.wait(20)

        place.owner.transact(work)

    pool = ThreadPoolExecutor(2)
    holder = pool.submit(hold)
    assert held.wait(20)
    pool.submit(then)
    watcher = Database(place.url, pool_size=1)
    until = time.monotonic() + 20
    while (
        len(
            watcher.run(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
        < waits
    ):
        assert time.monotonic() < until
        time.sleep(0.01)
    watcher.close()

    def release() -> None:
        let_go.set()
        holder.result(20)
        pool.shutdown()

    return release


def test_a_pause_acknowledged_while_the_gate_waits_is_honoured(
    postgres_ground: Ground, postgres_database: Place
) -> None:
    """I4: the gate judges what its locks return, not a snapshot as old as its wait."""
    held = postgres_ground.running()
    answers: list[Begun | NotBegun] = []
    release = while_held(
        postgres_database,
        "SELECT 1 FROM tasks WHERE id = $1::uuid FOR UPDATE",
        str(held.id),
        lambda: answers.append(postgres_ground.begin(held)),
    )
    postgres_ground.workspace.pause(postgres_ground.home, "stop", postgres_ground.rules.id)
    release()
    assert [a.why for a in answers if isinstance(a, NotBegun)] == [Refusal.PAUSED]


def test_a_pause_waits_for_a_gate_that_is_under_way(postgres_ground: Ground, postgres_database: Place) -> None:
    """I4: once pausing returns, no attempt begins: one whose gate holds the row has begun before."""
    finished = threading.Event()

    def pause() -> None:
        postgres_ground.workspace.pause(postgres_ground.home, "stop", postgres_ground.rules.id)
        finished.set()

    release = while_held(
        postgres_database,
        "SELECT 1 FROM settings WHERE name = 'pause' AND workspace = $1::uuid FOR SHARE",
        str(postgres_ground.home),
        pause,
    )
    assert not finished.is_set()
    release()
    assert finished.wait(20)


def test_a_policy_changed_while_the_gate_waits_is_noticed(postgres_ground: Ground, postgres_database: Place) -> None:
    """I5: what was assessed under the older policy does not begin under the newer one."""
    held = postgres_ground.running()
    wanted = postgres_ground.wants(held)
    answers: list[Begun | NotBegun] = []
    release = while_held(
        postgres_database,
        "SELECT 1 FROM tasks WHERE id = $1::uuid FOR UPDATE",
        str(held.id),
        lambda: answers.extend(postgres_ground.queue.begin([wanted])),
    )
    postgres_ground.workspace.put(postgres_ground.home, "hosts", [], None, postgres_ground.rules.id)
    release()
    assert [a.why for a in answers if isinstance(a, NotBegun)] == [Refusal.POLICY_CHANGED]


def test_an_approval_closed_while_the_gate_waits_is_no_approval(
    postgres_ground: Ground, postgres_database: Place
) -> None:
    """I4: revoked means revoked, also for a gate that has already looked."""
    held = postgres_ground.claimed(postgres_ground.approved(Risk.HIGH))
    answers: list[Begun | NotBegun] = []
    wanted = postgres_ground.wants(held)
    release = while_held(
        postgres_database,
        "UPDATE approvals SET closed_at = now() WHERE task_id = $1::uuid RETURNING 1",
        str(held.id),
        lambda: answers.extend(postgres_ground.queue.begin([wanted])),
    )
    release()
    assert [a.why for a in answers if isinstance(a, NotBegun)] == [Refusal.APPROVAL_NEEDED]


def test_a_lease_that_ends_while_the_gate_waits_is_over(postgres_ground: Ground, postgres_database: Place) -> None:
    """I3: `clock_timestamp()` after the lock; `now()` would be as old as the wait."""
    task = postgres_ground.submit()
    [held] = postgres_ground.queue.claim(State.QUEUED, "w", 1, timedelta(seconds=0.5))
    assert held.id == task.id
    answers: list[Begun | NotBegun] = []
    release = while_held(
        postgres_database,
        "SELECT 1 FROM tasks WHERE id = $1::uuid FOR UPDATE",
        str(held.id),
        lambda: answers.append(postgres_ground.begin(held)),
    )
    time.sleep(0.6)
    release()
    assert [a.why for a in answers if isinstance(a, NotBegun)] == [Refusal.STALE]


def test_two_gates_for_one_step_begin_one_attempt(postgres_ground: Ground, postgres_database: Place) -> None:
    """I6: two workers on one lease; the second finds the attempt of the first."""
    held = postgres_ground.running()
    answers: list[Begun | NotBegun] = []

    def both() -> None:
        with ThreadPoolExecutor(2) as pool:
            pending: list[Future[Begun | NotBegun]] = [pool.submit(postgres_ground.begin, held) for _ in range(2)]
            answers.extend(future.result() for future in pending)

    release = while_held(
        postgres_database, "SELECT 1 FROM tasks WHERE id = $1::uuid FOR UPDATE", str(held.id), both, waits=2
    )
    release()
    assert sorted(type(a).__name__ for a in answers) == ["Begun", "NotBegun"]
    assert [a.why for a in answers if isinstance(a, NotBegun)] == [Refusal.UNDECIDED]


def test_a_rescue_that_waited_for_the_gate_leaves_the_attempt_alone(
    postgres_ground: Ground, postgres_database: Place
) -> None:
    """I3, I6: it guessed that the lease was lost; the gate has extended it in the meantime."""
    task = postgres_ground.submit()
    [held] = postgres_ground.queue.claim(State.QUEUED, "w", 1, timedelta(seconds=0.3))
    time.sleep(0.35)
    applied: list[bool] = []
    release = while_held(
        postgres_database,
        "UPDATE tasks SET next_check_at = now() + interval '1 min' WHERE id = $1::uuid RETURNING 1",
        str(held.id),
        lambda: applied.append(postgres_ground.apply(lease_lost(held))),
    )
    release()
    assert applied == [False]
    assert postgres_ground.get(task.id).state is State.RUNNING


def test_claimers_never_share_a_task(postgres_ground: Ground) -> None:
    """I3: eight claimers at once, forty tasks, each handed out once."""
    wanted = [postgres_ground.new() for _ in range(40)]
    postgres_ground.queue.add([Submission(token_sha256=postgres_ground.asks.token, tasks=tuple(wanted))])

    def claim(worker: int) -> list[Task]:
        found: list[Task] = []
        while got := postgres_ground.queue.claim(State.QUEUED, f"w{worker}", 3, LEASE):
            found += got
        return found

    with ThreadPoolExecutor(8) as pool:
        claimed = [task.id for tasks in pool.map(claim, range(8)) for task in tasks]
    assert sorted(claimed) == sorted(task.id for task in wanted)


def test_of_twenty_with_one_key_one_is_stored(postgres_ground: Ground) -> None:
    """I1: an Idempotency-Key stands for one submission, however many arrive at once."""
    together = threading.Barrier(20)

    def add(_: int) -> Added | AddRefused:
        submission = Submission(
            token_sha256=postgres_ground.asks.token, tasks=(postgres_ground.new(),), key="once", body_sha256="b"
        )
        together.wait(20)
        return postgres_ground.queue.add([submission])[0]

    with ThreadPoolExecutor(20) as pool:
        answers = [answer for answer in pool.map(add, range(20)) if isinstance(answer, Added)]
    assert len(answers) == 20
    assert len({answer.ids for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert postgres_ground.reads.counts(postgres_ground.home) == {State.QUEUED: 1}


def test_fifty_calls_at_once_pass_no_limit(postgres_ground: Ground) -> None:
    """I7: reserved and spent together never pass the cap, and nothing of it is lost."""
    postgres_ground.workspace.put(postgres_ground.home, "budget_usd", "1", None, postgres_ground.rules.id)
    call = CallRequest(
        workspace=postgres_ground.home, purpose="analysis", model="m", prompt_version="1", reserve=47 * MIB
    )
    with ThreadPoolExecutor(20) as pool:
        calls = list(pool.map(lambda _: postgres_ground.budget.reserve(call), range(50)))
    made = [one for one in calls if isinstance(one, UUID)]
    assert len(made) == 21  # 21 * 0.047 = 0.987 dollars
    view = postgres_ground.budget.month(postgres_ground.home)
    assert (view.reserved, view.spent) == (21 * 47 * MIB, 0)
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(postgres_ground.budget.void, made * 2))
    assert postgres_ground.budget.month(postgres_ground.home).reserved == 0


def test_two_workspaces_share_the_installations_limit(postgres_ground: Ground, postgres_database: Place) -> None:
    """I7: each has its own month, and both together the installation's."""
    postgres_database.owner.run(
        "INSERT INTO settings (workspace, name, version, value) VALUES (NULL, 'budget_usd', 1, '\"1\"')"
    )
    budget = PostgresBudget(postgres_database.app)

    def reserve(home: object) -> object:
        return budget.reserve(
            CallRequest(workspace=home, purpose="analysis", model="m", prompt_version="1", reserve=600 * MIB)  # type: ignore[arg-type]  # - a workspace's id
        )

    assert isinstance(reserve(postgres_ground.home), UUID)
    assert reserve(postgres_ground.neighbour) is NotReserved.OVER_BUDGET


def test_batches_in_opposite_order_both_come_through(postgres_ground: Ground) -> None:
    """The statement locks in id order, whatever order it was given."""
    for _ in range(5):
        wanted = [postgres_ground.new() for _ in range(20)]
        postgres_ground.queue.add([Submission(token_sha256=postgres_ground.asks.token, tasks=tuple(wanted))])
        held = postgres_ground.queue.claim(State.QUEUED, "w", 100, LEASE)
        batch: list[Transition] = [retry(task) for task in held]
        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(postgres_ground.queue.apply, [batch, batch[::-1]])
        assert one | other == {task.id for task in held}
        assert not one & other
        assert postgres_ground.queue.apply([succeeded(t) for t in held]) == frozenset()
        for task in postgres_ground.queue.claim(State.QUEUED, "w", 100, LEASE):
            assert postgres_ground.apply(succeeded(task))


def test_two_who_give_an_outcome_at_once_are_one(postgres_ground: Ground) -> None:
    """I6: the second person's word does not overwrite the first's."""
    held = postgres_ground.running()
    begun = postgres_ground.begun(held)
    assert postgres_ground.apply(move(held, "gave_up", State.MANUAL, DAY, "w", ended=unknown(number=begun.number)))
    manual = postgres_ground.get(held.id)

    def say(_: int) -> bool:
        ended = postgres_ground.by_person(done(number=begun.number))
        return postgres_ground.apply(move(manual, "outcome_given", State.QUEUED, timedelta(0), "p", ended=ended))

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(say, range(2))) == [False, True]


def test_a_code_is_redeemed_once(postgres_ground: Ground) -> None:
    """Of two who type the same code at once one is signed in."""
    code = "c" * 64
    postgres_ground.people.issue(
        postgres_ground.home, postgres_ground.rules.id, "sign_in_code", code, timedelta(minutes=10)
    )
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda n: postgres_ground.people.redeem(code, f"{n:064x}", timedelta(days=1)), range(8))
        )
    assert sum(answer is not None for answer in answers) == 1


def test_the_stream_skips_no_event_of_a_slow_commit(postgres_ground: Ground, postgres_database: Place) -> None:
    """I2: an event whose commit is late is shown before later ones, not left out."""
    postgres_ground.submit()
    [position] = [e.position for e in postgres_ground.reads.workspace_events(postgres_ground.home, None, 10)]
    open_, go = threading.Event(), threading.Event()

    def slow() -> None:
        def work(session: Session) -> None:
            session.run("SELECT pg_current_xact_id()::text")
            open_.set()
            assert go.wait(20)

        postgres_database.owner.transact(work)

    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(slow)
        assert open_.wait(20)
        second = postgres_ground.submit()
        assert postgres_ground.reads.workspace_events(postgres_ground.home, position, 10) == []
        go.set()
        pending.result(20)
    later = postgres_ground.reads.workspace_events(postgres_ground.home, position, 10)
    assert [record.event.task_id for record in later] == [second.id]
