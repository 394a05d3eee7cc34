"""The one paid door (I7): money is reserved before a call, settled after it. No call of any purpose goes round it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from common.analysis.call import Asker, Billed, Call, Fault, Reply
from common.analysis.money.prices import TABLE, Prices, UnknownPriceError
from common.analysis.money.savings import bill_of, flat_bill
from common.core.spending import Standing, standing
from common.ports import Bill, Budget, CallRequest, NotReserved
from common.telemetry import metrics, note

LOOK_AGAIN: Final = timedelta(minutes=15)  # a limit is raised by a person, at any time; looking costs next to nothing
SLACK: Final = timedelta(minutes=5)  # beyond a call's own timeout: an unsettled call is only then assumed billed


class BudgetDoor:
    """An Asker around another: what it lets through is on record before, and closed after, whatever happens."""

    def __init__(self, budget: Budget, inner: Asker, prices: Prices = TABLE, strong: str = "") -> None:
        """`inner`: asks the provider, once and without retries of its own. `strong`: the model of the naive call."""
        self._budget = budget
        self._inner = inner
        self._prices = prices
        self._strong = strong

    def ask(self, call: Call) -> Reply | Fault:
        """Reserve the worst case, ask, and book what it cost, the worst case at most.

        Given back only if it certainly was not billed; without an answer, or an answer that does not say what it used,
        it is assumed billed in full. Such an answer counts like any other: what it says is checked all the same.
        Faults of its own: `unknown_price`, `over_budget` and `cost_cap`; none of them was sent.
        """
        try:
            reserve = self._prices.worst_case(call)
        except UnknownPriceError:
            metrics().money.refused(call.purpose, "unknown_price")
            return Fault(code="unknown_price", billed=Billed.NO, detail=call.model[:100])
        row = self._budget.reserve(request_of(call, reserve))
        if isinstance(row, NotReserved):
            metrics().money.refused(call.purpose, row.value)
            return refused(row)
        began = time.monotonic()
        try:
            said = self._inner.ask(call)
        except BaseException:
            self._assume(call, row, reserve)
            raise
        if isinstance(said, Reply):
            latency = timedelta(seconds=time.monotonic() - began)
            bill = bill_within(self._prices, self._strong, call, said, reserve, latency=latency)
            if said.usage is None:
                self._assume(call, row, reserve, said.request_id)
                return replace(said, cost=reserve, call=row)
            self._budget.settle(row, bill)
            metrics().money.answered(call.purpose, call.model, call.reason, bill)
            return replace(said, cost=bill.cost, call=row)
        if said.billed is Billed.NO:
            self._budget.void(row, said.request_id)
            metrics().money.unanswered(call.purpose, call.model, call.reason, None)
            return said
        self._assume(call, row, reserve, said.request_id)
        return replace(said, cost=reserve)

    def _assume(self, call: Call, row: UUID, reserve: int, request_id: str | None = None) -> None:
        """Nobody knows whether it is billed: it is on record in full."""
        self._budget.assume_billed(row, request_id)
        metrics().money.unanswered(call.purpose, call.model, call.reason, reserve)


def bill_within(
    prices: Prices,
    strong: str,
    call: Call,
    said: Reply,
    most: int,
    *,
    batch: bool = False,
    latency: timedelta | None = None,
) -> Bill:
    """The bill of an answer, whatever its server says that it used: no request costs more than its worst case (I7).

    Args:
        prices: what tokens cost.
        strong: the model of the naive call, see `bill_of`.
        call: what was asked.
        said: its answer.
        most: nanodollars, the worst case: of a usage that is missing, or dearer, this much is booked, and it is told.
        batch: it was asked in the provider's batches.
        latency: from the request to its answer.
    """
    if said.usage is not None:
        bill = bill_of(prices, strong, call, said.usage, batch=batch, latency=latency, request_id=said.request_id)
        if bill.cost <= most:
            return bill
    why = "missing" if said.usage is None else "dearer_than_possible"
    metrics().money.usage_unbelievable(call.model, why)
    # whoever answers is somebody else than the provider, or its prices are not those of the table
    level = logging.WARNING if said.usage is None else logging.ERROR
    note("usage_unbelievable", level, why=why, model=call.model, booked=most, request_id=said.request_id)
    return flat_bill(call, most, latency, said.request_id)


def nears_limit(budget: Budget, one_call: Callable[[], int], workspace: UUID) -> bool:
    """Whether money is to be saved: near the tighter limit of the month, or at it."""
    return standing(budget.month(workspace), one_call()) is not Standing.NORMAL


def request_of(call: Call, reserve: int) -> CallRequest:
    """What is put on record before a call goes out."""
    return CallRequest(
        workspace=call.workspace,
        purpose=call.purpose,
        model=call.model,
        prompt_version=call.prompt_version,
        reserve=reserve,
        task_ids=call.task_ids,
        tasks=call.tasks,
        reason=call.reason,
        cap=call.cap,
        deadline=timedelta(seconds=call.timeout) + SLACK,
    )


def refused(why: NotReserved) -> Fault:
    """No money was set aside. What a plan may cost is for a person to raise; the month's limit is waited for."""
    if why is NotReserved.COST_CAP:
        return Fault(code="cost_cap", billed=Billed.NO)
    return Fault(code="over_budget", billed=Billed.NO, again_in=LOOK_AGAIN, waiting_for="budget")
