"""Budget: reserved before, settled after, never past the cap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

from common.ports import CallRequest, Usage
from tests.contract.ground import Ground

DOLLAR = 1_000_000_000


def call(ground: Ground, amount: int, deadline: timedelta = timedelta(minutes=10)) -> UUID | None:
    """A reservation."""
    wanted = CallRequest(
        workspace=ground.home,
        purpose="analysis",
        model="small",
        prompt_version="1",
        reserve=amount,
        deadline=deadline,
    )
    return ground.budget.reserve(wanted)


def seen(ground: Ground) -> tuple[int, int]:
    """Spent and reserved this month."""
    month = ground.budget.month(ground.home)
    return month.spent, month.reserved


def test_a_call_is_reserved_before_and_settled_after(ground: Ground) -> None:
    """I7: the worst case is held until the cost is known."""
    reserved = call(ground, DOLLAR)
    assert reserved is not None
    assert seen(ground) == (0, DOLLAR)
    ground.budget.settle(reserved, Usage(input=100, output=10), 400_000)
    assert seen(ground) == (400_000, 0)


def test_the_cap_is_never_passed(ground: Ground) -> None:
    """I7: reserved + spent stays within the month's limit."""
    cap = ground.budget.month(ground.home).cap
    assert cap > 0
    first = call(ground, cap - 10)
    assert first is not None
    assert call(ground, 11) is None
    assert call(ground, 10) is not None
    ground.budget.settle(first, Usage(), cap - 10)
    assert call(ground, 1) is None


def test_the_cap_holds_at_any_concurrency(ground: Ground) -> None:
    """I7: of many reservations at once exactly those that fit are given."""
    cap = ground.budget.month(ground.home).cap
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: call(ground, cap // 4), range(16)))
    assert sum(c is not None for c in given) == 4


def test_a_call_is_settled_once(ground: Ground) -> None:
    """I7: an answer that arrives twice is booked once, and a void after it gives nothing back."""
    reserved = call(ground, DOLLAR)
    assert reserved is not None
    ground.budget.settle(reserved, Usage(), 5)
    ground.budget.settle(reserved, Usage(), 5)
    ground.budget.void(reserved)
    ground.budget.assume_billed(reserved)
    assert seen(ground) == (5, 0)


def test_what_was_not_billed_is_given_back(ground: Ground) -> None:
    """I7: voided only if it certainly was not billed."""
    reserved = call(ground, DOLLAR)
    assert reserved is not None
    ground.budget.void(reserved)
    assert seen(ground) == (0, 0)


def test_what_nobody_knows_is_booked_in_full(ground: Ground) -> None:
    """I7: no answer is no reason to believe that it was free."""
    reserved = call(ground, DOLLAR)
    assert reserved is not None
    ground.budget.assume_billed(reserved)
    assert seen(ground) == (DOLLAR, 0)


def test_a_larger_cost_than_reserved_is_booked_in_full(ground: Ground) -> None:
    """I7: the ledger tells the truth even if the estimate was wrong."""
    reserved = call(ground, 10)
    assert reserved is not None
    ground.budget.settle(reserved, Usage(), 25)
    assert seen(ground) == (25, 0)


def test_a_forgotten_call_is_assumed_billed_at_its_deadline(ground: Ground) -> None:
    """I7: a worker that died in a call leaves no reservation behind."""
    assert call(ground, DOLLAR, timedelta(minutes=1)) is not None
    assert call(ground, 3, timedelta(hours=1)) is not None
    assert ground.budget.expire() == 0
    ground.elapse(timedelta(minutes=2))
    assert ground.budget.expire() == 1
    assert seen(ground) == (DOLLAR, 3)
    assert ground.budget.expire() == 0


def test_workspaces_have_their_own_money(ground: Ground) -> None:
    """One workspace's spending is not another's."""
    assert call(ground, DOLLAR) is not None
    other = ground.budget.month(ground.neighbour)
    assert (other.spent, other.reserved) == (0, 0)
