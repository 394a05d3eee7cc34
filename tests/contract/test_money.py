"""Budget: reserved before, settled after, never past the cap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

from common.core.spending import Standing
from common.ports import Bill, CallRequest, NotReserved, Usage
from tests.contract.ground import Ground

DOLLAR = 1_000_000_000


def asked(ground: Ground, amount: int, deadline: timedelta = timedelta(minutes=10)) -> UUID | NotReserved:
    """What a reservation of so much is answered."""
    wanted = CallRequest(
        workspace=ground.home,
        purpose="analysis",
        model="small",
        prompt_version="1",
        reserve=amount,
        deadline=deadline,
    )
    return ground.budget.reserve(wanted)


def call(ground: Ground, amount: int, deadline: timedelta = timedelta(minutes=10)) -> UUID:
    """A reservation that is given."""
    given = asked(ground, amount, deadline)
    assert isinstance(given, UUID)
    return given


def bill(cost: int) -> Bill:
    """What an answer cost."""
    return Bill(usage=Usage(input=100, output=10), cost=cost)


def seen(ground: Ground) -> tuple[int, int]:
    """Spent and reserved this month."""
    month = ground.budget.month(ground.home)
    return month.spent, month.reserved


def test_a_call_is_reserved_before_and_settled_after(ground: Ground) -> None:
    """I7: the worst case is held until the cost is known."""
    reserved = call(ground, DOLLAR)
    assert seen(ground) == (0, DOLLAR)
    ground.budget.settle(reserved, bill(400_000))
    assert seen(ground) == (400_000, 0)


def test_the_cap_is_never_passed(ground: Ground) -> None:
    """I7: reserved + spent stays within the month's limit."""
    cap = ground.budget.month(ground.home).cap
    assert cap > 0
    first = call(ground, cap - 10)
    assert asked(ground, 11) is NotReserved.OVER_BUDGET
    call(ground, 10)
    ground.budget.settle(first, bill(cap - 10))
    assert asked(ground, 1) is NotReserved.OVER_BUDGET


def test_the_cap_holds_at_any_concurrency(ground: Ground) -> None:
    """I7: of many reservations at once exactly those that fit are given."""
    cap = ground.budget.month(ground.home).cap
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: asked(ground, cap // 4), range(16)))
    assert sum(isinstance(c, UUID) for c in given) == 4


def test_a_call_is_settled_once(ground: Ground) -> None:
    """I7: an answer that arrives twice is booked once, and a void after it gives nothing back."""
    reserved = call(ground, DOLLAR)
    ground.budget.settle(reserved, bill(5))
    ground.budget.settle(reserved, bill(5))
    ground.budget.void(reserved)
    ground.budget.assume_billed(reserved)
    assert seen(ground) == (5, 0)


def test_what_was_not_billed_is_given_back(ground: Ground) -> None:
    """I7: voided only if it certainly was not billed."""
    reserved = call(ground, DOLLAR)
    ground.budget.void(reserved)
    assert seen(ground) == (0, 0)


def test_what_nobody_knows_is_booked_in_full(ground: Ground) -> None:
    """I7: no answer is no reason to believe that it was free."""
    reserved = call(ground, DOLLAR)
    ground.budget.assume_billed(reserved)
    assert seen(ground) == (DOLLAR, 0)


def test_a_larger_cost_than_reserved_is_booked_in_full(ground: Ground) -> None:
    """I7: the ledger tells the truth even if the estimate was wrong."""
    reserved = call(ground, 10)
    ground.budget.settle(reserved, bill(25))
    assert seen(ground) == (25, 0)


def test_a_forgotten_call_is_assumed_billed_at_its_deadline(ground: Ground) -> None:
    """I7: a worker that died in a call leaves no reservation behind."""
    call(ground, DOLLAR, timedelta(minutes=1))
    call(ground, 3, timedelta(hours=1))
    assert ground.budget.expire() == 0
    ground.elapse(timedelta(minutes=2))
    assert ground.budget.expire() == 1
    assert seen(ground) == (DOLLAR, 3)
    assert ground.budget.expire() == 0


def test_the_tighter_of_two_limits_is_shown(ground: Ground) -> None:
    """I7: a workspace sees what holds it: its own limit, or the installation's that a neighbour has used up."""
    own = ground.budget.month(ground.home)
    assert (own.of, own.spent, own.reserved) == ("workspace", 0, 0)
    call(ground, DOLLAR)
    other = ground.budget.month(ground.neighbour)
    assert (other.of, other.reserved) == ("installation", DOLLAR)
    ground.workspace.put(ground.neighbour, "budget_usd", "1", None, ground.rules.id)
    other = ground.budget.month(ground.neighbour)
    assert (other.of, other.cap, other.reserved) == ("workspace", DOLLAR, 0)


def test_both_limits_hold(ground: Ground) -> None:
    """I7: what a workspace may still spend does not help once the installation's month is used up."""
    ground.workspace.put(ground.home, "budget_usd", "1000", None, ground.rules.id)
    cap = ground.budget.month(ground.neighbour).cap
    call(ground, cap)
    assert asked(ground, 1) is NotReserved.OVER_BUDGET


def generate(ground: Ground, task: UUID, amount: int, cap: int | None) -> UUID | NotReserved:
    """A reservation for what a task's step writes."""
    wanted = CallRequest(
        workspace=ground.home,
        purpose="generate",
        model="small",
        prompt_version="1",
        reserve=amount,
        task_ids=(task,),
        cap=cap,
    )
    return ground.budget.reserve(wanted)


def test_a_tasks_calls_of_one_purpose_never_pass_its_cap(ground: Ground) -> None:
    """I7: reserved or booked, the calls of a plan stay within what a person approved; other tasks do not count."""
    task, other = ground.submit().id, ground.submit().id
    first = generate(ground, task, 60, 100)
    assert isinstance(first, UUID)
    assert generate(ground, task, 41, 100) is NotReserved.COST_CAP
    assert isinstance(generate(ground, other, 41, 100), UUID)
    ground.budget.settle(first, bill(10))
    assert isinstance(generate(ground, task, 90, 100), UUID)
    assert generate(ground, task, 1, 100) is NotReserved.COST_CAP
    assert isinstance(generate(ground, task, 1, None), UUID)


def test_a_refused_call_takes_nothing(ground: Ground) -> None:
    """I7: a call over its cap leaves no reservation behind."""
    assert generate(ground, ground.submit().id, 101, 100) is NotReserved.COST_CAP
    assert seen(ground) == (0, 0)


def test_what_was_voided_counts_towards_no_cap(ground: Ground) -> None:
    """I7: what certainly was not billed is given back to the plan, too."""
    task = ground.submit().id
    first = generate(ground, task, 100, 100)
    assert isinstance(first, UUID)
    ground.budget.void(first)
    assert isinstance(generate(ground, task, 100, 100), UUID)


def test_what_people_were_told_stands_until_they_are_told_of_another(ground: Ground) -> None:
    """A workspace is there once it has asked for money; until anything was said its people know nothing but normal."""
    assert ground.budget.standings() == []
    ground.submit(lang="ko")
    call(ground, 7)
    [one] = ground.budget.standings()
    assert (one.workspace, one.told, one.lang, one.month.reserved) == (ground.home, Standing.NORMAL, "ko", 7)
    ground.budget.told(ground.home, Standing.EXHAUSTED)
    assert [one.told for one in ground.budget.standings()] == [Standing.EXHAUSTED]
    ground.budget.told(ground.home, Standing.NORMAL)
    assert [one.told for one in ground.budget.standings()] == [Standing.NORMAL]


def test_a_workspace_without_any_money_can_be_told_so(ground: Ground) -> None:
    """A refused call leaves a month behind of which people can be told, and nothing else."""
    ground.workspace.put(ground.home, "budget_usd", "0", None, ground.rules.id)
    assert asked(ground, 1) is NotReserved.OVER_BUDGET
    [one] = ground.budget.standings()
    assert (one.month.cap, one.month.reserved, one.lang) == (0, 0, "en")
    ground.budget.told(ground.home, Standing.EXHAUSTED)
    assert [one.told for one in ground.budget.standings()] == [Standing.EXHAUSTED]
