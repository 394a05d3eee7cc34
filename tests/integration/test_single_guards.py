"""What only PostgreSQL shows of a single guard: a decision that does not count, a lock that nobody waits for."""

from __future__ import annotations

import threading

import pytest

from common.adapters.postgres import budget
from common.adapters.postgres.connection import Database, Session
from common.core.digest import approval_digest
from common.core.task import Risk, State
from common.ports import CallRequest, Refusal
from tests.contract.ground import LEASE, Ground
from tests.postgres import Place

DECIDED = (
    "INSERT INTO decisions (approval_id, person, requested_by, self_allowed, verdict, digest) "
    "SELECT id, $2::uuid, requested_by, false, $3, coalesce($4, digest) FROM approvals WHERE task_id = $1::uuid "
    "AND closed_at IS NULL RETURNING 1"
)
OPENED = (
    "INSERT INTO approvals (task_id, plan_number, digest, requested_by, expires_at, valid_until) VALUES "
    "($1::uuid, 1, $2, $3::uuid, now() + interval '1 day', now() + interval '1 day') RETURNING 1"
)


@pytest.mark.parametrize(
    ("verdict", "over", "begins"),
    [("approved", None, True), ("rejected", None, False), ("approved", "v1:sha256:" + "0" * 64, False)],
)
def test_only_a_yes_over_this_digest_opens_the_gate(
    postgres_ground: Ground,
    postgres_database: Place,
    verdict: str,
    over: str | None,
    begins: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    """I4: an approval that is open, in time and over these steps still needs its yes, and over these steps."""
    held = postgres_ground.running(plan=postgres_ground.plan(risk=Risk.HIGH))
    assert held.plan is not None
    owner, digest = postgres_database.owner, approval_digest(held.workspace, held.id, held.plan)
    assert owner.run(OPENED, str(held.id), digest, str(postgres_ground.asks.id))
    assert owner.run(DECIDED, str(held.id), str(postgres_ground.decides.id), verdict, over)
    if begins:
        postgres_ground.begun(held)
    else:
        assert postgres_ground.refused(held) is Refusal.APPROVAL_NEEDED


class Holding:
    """Holds a row's lock for the length of a `with`."""

    def __init__(self, database: Database, lock: str, *params: str) -> None:
        """`lock`: a SELECT … FOR UPDATE."""
        self._database, self._lock, self._params = database, lock, params
        self._held, self._let_go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: database.transact(self._work))

    def _work(self, session: Session) -> None:
        session.run(self._lock, *self._params)
        self._held.set()
        assert self._let_go.wait(20)

    def __enter__(self) -> None:
        """Returns once it is held."""
        self._thread.start()
        assert self._held.wait(20)

    def __exit__(self, *_: object) -> None:
        """Let go."""
        self._let_go.set()
        self._thread.join(20)


def test_a_claim_passes_by_what_another_is_claiming(postgres_ground: Ground, postgres_database: Place) -> None:
    """Two workers share a queue: neither waits for the rows that the other is looking at."""
    taken, free = postgres_ground.submit(), postgres_ground.submit()
    with Holding(postgres_database.owner, "SELECT 1 FROM tasks WHERE id = $1::uuid FOR NO KEY UPDATE", str(taken.id)):
        claimed = postgres_ground.queue.claim(State.QUEUED, "w", 10, LEASE)
    assert [task.id for task in claimed] == [free.id]
    assert [task.id for task in postgres_ground.queue.claim(State.QUEUED, "w", 10, LEASE)] == [taken.id]


def test_a_reservation_holds_both_months_before_it_books(postgres_ground: Ground, postgres_database: Place) -> None:
    """I7: the installation's row first, then the workspace's, both held: no two calls can wait for each other."""
    call = CallRequest(workspace=postgres_ground.home, purpose="analysis", model="m", prompt_version="1", reserve=1)
    assert postgres_ground.budget.reserve(call)
    [[month]] = postgres_database.owner.run(budget.MONTH)
    look = "SELECT 1 FROM budgets WHERE month = $1::date FOR NO KEY UPDATE SKIP LOCKED"

    def work(session: Session) -> int:
        session.run(budget.LOCK, str(postgres_ground.home), str(month))
        return len(postgres_database.owner.run(look, str(month)))

    assert len(postgres_database.owner.run(look, str(month))) == 2
    assert postgres_database.app.transact(work) == 0
