"""The ledger is forgotten by one function of the database, by month, and by nobody else."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from common.adapters.postgres.connection import DataError
from common.ports import Bill, CallRequest, Usage
from tests.contract.ground import Ground
from tests.postgres import Place

YEAR = timedelta(days=400)


def spent(ground: Ground, amount: int, home: UUID | None = None) -> UUID:
    """A call that cost so much, of a task."""
    task = ground.submit().id
    made = ground.budget.reserve(
        CallRequest(
            workspace=home or ground.home, purpose="analysis", model="m", prompt_version="1", reserve=amount,
            task_ids=(task,),
        )
    )  # fmt: skip
    assert isinstance(made, UUID)
    ground.budget.settle(made, Bill(usage=Usage(), cost=amount, baseline=amount))
    return made


def age(place: Place, months: int, *calls: UUID) -> None:
    """As if they had been made so many months ago, and their budgets with them."""
    for call in calls:
        place.owner.run(
            "UPDATE calls SET month = month - $2::int * interval '1 month', created_at = created_at - $2::int * "
            "interval '1 month' WHERE id = $1::uuid RETURNING 1",
            str(call), str(months),
        )  # fmt: skip
    place.owner.run("UPDATE budgets SET month = month - $1::int * interval '1 month' RETURNING 1", str(months))


def test_whole_months_go_and_their_totals_stay(postgres_ground: Ground, postgres_database: Place) -> None:
    """I7: some rows at a time, of every workspace, with their tasks; the month's sum is the budget's."""
    old = [spent(postgres_ground, 10) for _ in range(4)]
    old.append(spent(postgres_ground, 7, postgres_ground.neighbour))
    age(postgres_database, 15, *old)
    young = spent(postgres_ground, 3)
    assert [postgres_ground.costs.forget(YEAR, 2) for _ in range(4)] == [2, 2, 1, 0]
    [[calls, links]] = postgres_database.owner.run(
        "SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM call_tasks)"
    )
    assert (calls, links) == (1, 1)
    [[month]] = postgres_database.owner.run("SELECT left(min(month)::text, 7) FROM budgets")
    then = postgres_ground.costs.month(postgres_ground.home, str(month))
    assert (then.all.calls, then.all.cost, then.all.baseline) == (0, 40, 40)
    assert postgres_ground.costs.month(postgres_ground.home).all.cost == 3
    assert young not in old


def test_what_is_young_or_open_stays(postgres_ground: Ground, postgres_database: Place) -> None:
    """A month is kept until it has ended for so long; a call that is not closed is nobody's to forget."""
    recent = spent(postgres_ground, 10)
    age(postgres_database, 12, recent)
    request = CallRequest(workspace=postgres_ground.home, purpose="analysis", model="m", prompt_version="1", reserve=5)
    waiting = postgres_ground.budget.reserve(request)
    assert isinstance(waiting, UUID)
    postgres_database.owner.run(
        "UPDATE calls SET month = month - interval '3 years' WHERE id = $1::uuid RETURNING 1", str(waiting)
    )
    assert postgres_ground.costs.forget(YEAR) == 0


def test_nobody_deletes_calls_in_another_way(postgres_ground: Ground, postgres_database: Place) -> None:
    """The functions' role has no right to, and the database keeps the last two months whatever it is asked."""
    spent(postgres_ground, 10)
    with pytest.raises(DataError, match="never deleted"):
        postgres_ground.costs.forget(timedelta(days=61))
    for table in ("call_tasks", "calls", "budgets"):
        for role in (postgres_database.app, postgres_database.approve):
            with pytest.raises(Exception, match="permission denied"):
                role.run(f"DELETE FROM {table} RETURNING 1")  # noqa: S608 - a name of ours
    with pytest.raises(Exception, match="permission denied"):
        postgres_database.approve.run("SELECT forget_calls('400 days', 1)")
