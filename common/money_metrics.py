"""The `aiw_*` metrics of money: calls to models, what they cost, and how budgets stand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from common.core.spending import NANO, Standing
from common.ports import Bill

_CALL_BUCKETS: Final = (0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)


class MoneyMetrics:
    """Each method is one thing that happened. Labels are purposes, models of the settings, and codes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """`registry`: where they are registered, once."""
        self._calls = Counter(
            "aiw_calls", "Calls to models, by how they were closed", ["purpose", "model", "reason", "state"],
            registry=registry,
        )  # fmt: skip
        self._cost = Counter(
            "aiw_cost_dollars", "What calls cost, assumed bills included", ["purpose", "model"], registry=registry
        )
        self._naive = Counter(
            "aiw_naive_cost_dollars", "What the naive calls would have cost", ["purpose"], registry=registry
        )
        self._tokens = Counter("aiw_tokens", "Tokens of answered calls", ["model", "kind"], registry=registry)
        self._unbelievable = Counter(
            "aiw_usage_unbelievable", "Answers whose usage is missing, or more than a request can cost",
            ["model", "why"], registry=registry,
        )  # fmt: skip
        self._refused = Counter(
            "aiw_calls_refused", "Calls that were not made, by which limit", ["purpose", "why"], registry=registry
        )
        self._seconds = Histogram(
            "aiw_call_seconds", "From a call to its answer", ["model"], registry=registry, buckets=_CALL_BUCKETS
        )
        self._batches = Counter(
            "aiw_batches", "Providers' batches, by what became of them", ["ended"], registry=registry
        )
        self._standing = Gauge(
            "aiw_budget_state", "Workspaces whose budget stands so (one function says it)", ["state"], registry=registry
        )
        self._left = Gauge("aiw_budget_left_dollars", "Left of the budget that has the least left", registry=registry)

    def usage_unbelievable(self, model: str, why: str) -> None:
        """An answer's usage is `missing`, or `dearer_than_possible`: the worst case was booked."""
        self._unbelievable.labels(model, why).inc()

    def answered(self, purpose: str, model: str, reason: str, bill: Bill) -> None:
        """A call was answered and booked."""
        self._calls.labels(purpose, model, reason, "settled").inc()
        self._cost.labels(purpose, model).inc(bill.cost / NANO)
        self._naive.labels(purpose).inc(bill.baseline / NANO)
        kinds = {
            "input": bill.usage.input,
            "output": bill.usage.output,
            "cache_read": bill.usage.cache_read,
            "cache_write": bill.usage.cache_write,
        }
        for kind, tokens in kinds.items():
            self._tokens.labels(model, kind).inc(tokens)
        if bill.latency is not None:
            self._seconds.labels(model).observe(bill.latency / timedelta(seconds=1))

    def unanswered(self, purpose: str, model: str, reason: str, assumed: int | None) -> None:
        """A call brought no answer. `assumed`: nanodollars booked for it; None: it certainly was not billed."""
        self._calls.labels(purpose, model, reason, "voided" if assumed is None else "assumed_billed").inc()
        self._cost.labels(purpose, model).inc((assumed or 0) / NANO)

    def batch(self, ended: str) -> None:
        """A batch was `booked`; `lost` on the way there; or is `gone`, which is an alarm: its cost is assumed."""
        self._batches.labels(ended).inc()

    def refused(self, purpose: str, why: str) -> None:
        """A call was not made: `over_budget`, `cost_cap`, `unknown_price`."""
        self._refused.labels(purpose, why).inc()

    def standings(self, workspaces: Mapping[Standing, int], least_left: int) -> None:
        """How budgets stand, and what is left of the one that has the least left, in nanodollars."""
        for state in Standing:
            self._standing.labels(state.value).set(workspaces.get(state, 0))
        self._left.set(least_left / NANO)
