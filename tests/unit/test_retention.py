"""What is not kept for ever: calls of months that ended long ago, and answers that nobody asked for since."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from common.config import Settings
from common.ports import Bill, CallRequest, Learned, Usage
from functions.schedule.retention import Retention
from tests.contract.ground import Ground
from tests.contract.in_memory import over_memory
from tests.unit.desk import desk

YEAR = timedelta(days=400)
KEY = "a" * 64


def spent(ground: Ground, amount: int) -> UUID:
    """A call that cost so much."""
    made = ground.budget.reserve(
        CallRequest(workspace=ground.home, purpose="analysis", model="small", prompt_version="1", reserve=amount)
    )
    assert isinstance(made, UUID)
    ground.budget.settle(made, Bill(usage=Usage(input=1), cost=amount, baseline=2 * amount))
    return made


def retention(ground: Ground) -> Retention:
    """As shipped."""
    shipped = Settings()
    return Retention(
        queue=ground.queue,
        answers=ground.answers,
        costs=ground.costs,
        answers_kept=timedelta(days=shipped.cache_days),
        calls_kept=timedelta(days=shipped.ledger_days),
    )


def test_a_month_is_kept_whole_until_it_goes() -> None:
    """So long after its end that a year can be compared; never a part of it."""
    ground = over_memory()  # in the middle of January 2026
    spent(ground, 700)
    ground.elapse(timedelta(days=20))
    spent(ground, 50)
    ground.elapse(timedelta(days=395))
    retention(ground).turn()
    assert ground.costs.month(ground.home, "2026-01").all.calls == 1
    ground.elapse(timedelta(days=20))
    retention(ground).turn()
    assert ground.costs.month(ground.home, "2026-01").all.calls == 0
    assert ground.costs.month(ground.home, "2026-02").all.calls == 1


def test_what_a_forgotten_month_cost_stays() -> None:
    """I7: its total is the budget's, and nothing else of it is known."""
    ground = over_memory()
    spent(ground, 700)
    spent(ground, 50)
    ground.elapse(timedelta(days=440))
    retention(ground).turn()
    month = ground.costs.month(ground.home, "2026-01")
    assert (month.all.calls, month.all.cost, month.all.baseline, month.models, month.days) == (0, 750, 750, {}, {})


def test_a_call_under_way_is_not_forgotten() -> None:
    """I7: whatever its age, it is closed first."""
    ground = over_memory()
    request = CallRequest(workspace=ground.home, purpose="analysis", model="small", prompt_version="1", reserve=9)
    made = ground.budget.reserve(request)
    assert isinstance(made, UUID)
    ground.elapse(timedelta(days=900))
    assert ground.costs.forget(YEAR) == 0
    assert ground.budget.expire() == 1
    assert ground.costs.forget(YEAR) == 1


def test_some_at_a_time() -> None:
    """No statement is long: what is left is the next minute's."""
    ground = over_memory()
    for _ in range(5):
        spent(ground, 1)
    ground.elapse(timedelta(days=900))
    assert [ground.costs.forget(YEAR, 2) for _ in range(4)] == [2, 2, 1, 0]


def test_an_answer_is_kept_while_it_serves() -> None:
    """Ninety days without being used, unless set otherwise."""
    ground = over_memory()
    ground.answers.store(
        ground.home, [Learned(key=KEY, request="fetch", prompt_version="1", model="small", answer={"kind": "x"})]
    )
    ground.elapse(timedelta(days=89))
    retention(ground).turn()
    assert ground.answers.find(ground.home, [KEY])
    ground.elapse(timedelta(days=2))
    retention(ground).turn()
    assert not ground.answers.find(ground.home, [KEY])


def test_schedule_forgets_by_itself() -> None:
    """Each minute, as the settings say."""
    with desk(ledger_days="62") as here:
        store = here.store
        here.container.budget.reserve(
            CallRequest(workspace=here.workspace, purpose="analysis", model="m", prompt_version="1", reserve=9)
        )
        here.elapse(timedelta(days=130))
        here.wake("schedule")
        here.wake("schedule")
        assert store.calls == {}


@pytest.mark.parametrize("days", ["61", "0"])
def test_the_last_two_months_are_never_forgotten(days: str) -> None:
    """A wrong value stops the start."""
    with pytest.raises(ValueError, match="ledger_days"):
        Settings(ledger_days=days)
