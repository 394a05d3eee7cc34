"""The one paid door (I7): money is reserved before a call, settled after it. No call of any purpose goes round it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from common.analysis.call import Asker, Billed, Call, Fault, Reply
from common.analysis.prices import UnknownPriceError, cost, worst_case
from common.ports import Budget, CallRequest

LOOK_AGAIN: Final = timedelta(minutes=15)  # a limit is raised by a person, at any time; looking costs next to nothing
SLACK: Final = timedelta(minutes=5)  # beyond a call's own timeout: an unsettled call is only then assumed billed


class BudgetDoor:
    """An Asker around another: what it lets through is on record before, and closed after, whatever happens."""

    def __init__(self, budget: Budget, inner: Asker) -> None:
        """`inner`: asks the provider, once and without retries of its own."""
        self._budget = budget
        self._inner = inner

    def ask(self, call: Call) -> Reply | Fault:
        """Reserve the worst case, ask, and book what it cost.

        Given back only if it certainly was not billed; without an answer it is assumed billed in full.
        Faults of its own: `unknown_price` and `over_budget`; neither was sent.
        """
        try:
            reserve = worst_case(call)
        except UnknownPriceError:
            return Fault(code="unknown_price", billed=Billed.NO, detail=call.model[:100])
        deadline = timedelta(seconds=call.timeout) + SLACK
        row = self._budget.reserve(
            CallRequest(
                workspace=call.workspace,
                purpose=call.purpose,
                model=call.model,
                prompt_version=call.prompt_version,
                reserve=reserve,
                task_ids=call.task_ids,
                deadline=deadline,
            )
        )
        if row is None:
            return Fault(code="over_budget", billed=Billed.NO, again_in=LOOK_AGAIN, waiting_for="budget")
        try:
            said = self._inner.ask(call)
        except BaseException:
            self._budget.assume_billed(row)
            raise
        if isinstance(said, Reply):
            spent = cost(call.model, said.usage)
            self._budget.settle(row, said.usage, spent)
            return replace(said, cost=spent)
        if said.billed is Billed.NO:
            self._budget.void(row)
            return said
        self._budget.assume_billed(row)
        return replace(said, cost=reserve)
