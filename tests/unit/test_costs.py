"""`GET /costs`: the ledger of a month as people and programs see it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from common.core.task import uuid7
from common.ports import Bill, CallReason, CallRequest, Saved, Usage
from tests.unit.desk import Desk, desk

FIRST = Bill(
    usage=Usage(input=400, output=200, cache_read=3000),
    cost=2_000_000,
    baseline=90_000_000,
    saved=Saved(model=60_000_000, prompt=20_000_000, pack=7_000_000, batch=1_000_000),
)


@pytest.fixture
def at() -> Iterator[Desk]:
    """The five functions over memory."""
    with desk() as it:
        yield it


def get(at: Desk, path: str = "", status: int = 200) -> dict[str, Any]:
    """What a viewer is answered."""
    answer = at.clients["dashboard"].get(f"/api/v1/costs{path}", headers=at.token("viewer"))
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


def booked(
    at: Desk, bill: Bill, tasks: int = 1, reason: CallReason = CallReason.FIRST, purpose: str = "analysis"
) -> UUID:
    """A booked call."""
    wanted = CallRequest(
        workspace=at.workspace, purpose=purpose, model="claude-haiku-5-5", prompt_version="1", reserve=bill.cost,
        tasks=tasks, reason=reason,
    )  # fmt: skip
    made = at.container.budget.reserve(wanted)
    assert isinstance(made, UUID)
    at.container.budget.settle(made, bill)
    return made


def remembered(at: Desk, count: int) -> None:
    """Tasks whose plans came from the cache."""
    answer = at.clients["analyze"].post(
        "/api/v1/tasks",
        json=[{"plan": {"steps": [{"id": "v", "action": "value", "args": {"value": 1}}]}}] * count,
        headers=at.token("operator"),
    )
    assert answer.status_code == 201
    for key, plan in list(at.store.plans.items()):
        at.store.plans[key] = plan.model_copy(update={"source": "cached"})


def dollars(value: str) -> Decimal:
    """Money as it is written."""
    return Decimal(value)


def test_an_empty_month_is_answered(at: Desk) -> None:
    """Before the first call everything is nothing, the limit is there, and the state is normal."""
    seen = get(at)
    assert (seen["spent_usd"], seen["forecast_usd"], seen["limit_usd"]) == ("0.000000", "0.000000", "25.000000")
    assert (seen["state"], seen["limit_of"], seen["by_model"], seen["by_day"]) == ("normal", "workspace", [], [])
    assert [line["lever"] for line in seen["levers"]] == ["cache", "model", "prompt", "pack", "batch"]


def test_the_levers_together_are_what_was_saved(at: Desk) -> None:
    """The naive price less what was saved is what was spent, and the levers are exactly that saving."""
    booked(at, FIRST, tasks=9)
    booked(at, Bill(usage=Usage(), cost=300_000, saved=Saved(model=-300_000)), reason=CallReason.STAKES)
    booked(at, Bill(usage=Usage(), cost=50_000, saved=Saved(pack=-50_000)), reason=CallReason.CHECK)
    booked(at, Bill(usage=Usage(), cost=10_000, saved=Saved(pack=-10_000)), reason=CallReason.CACHE_CHECK)
    booked(at, Bill(usage=Usage(), cost=5_000, baseline=5_000), purpose="generate")
    remembered(at, 3)
    seen = get(at)
    assert dollars(seen["naive_usd"]) == Decimal("0.090005") + 3 * Decimal("0.010000")
    assert dollars(seen["naive_usd"]) - dollars(seen["saved_usd"]) == dollars(seen["spent_usd"])
    levers = {line["lever"]: dollars(line["saved_usd"]) for line in seen["levers"]}
    assert sum(levers.values()) == dollars(seen["saved_usd"])
    assert levers["cache"] == Decimal("0.029990")
    assert levers["model"] == Decimal("0.059700")
    assert levers["pack"] == Decimal("0.006950")
    assert seen["cache"] == {"hits": 3, "misses": 9, "saved_usd": "0.029990", "checks": 1, "disagreements": 0}
    assert seen["packs"] == {"calls": 1, "tasks": 9, "checked": 1, "disagreements": 0}
    assert seen["escalations"] == [{"reason": "stakes", "tasks": 1, "cost_usd": "0.000300"}]
    assert [line["purpose"] for line in seen["by_purpose"]] == ["analysis", "generate"]
    [day] = seen["by_day"]
    assert (day["cost_usd"], day["naive_usd"]) == (seen["spent_usd"], seen["naive_usd"])
    [model] = seen["by_model"]
    assert (model["calls"], model["cache_read_tokens"], model["cost_usd"]) == (5, 3000, seen["spent_usd"])


def test_a_month_is_asked_for_by_name(at: Desk) -> None:
    """Another month is its own, and what is no month is 422."""
    booked(at, FIRST)
    assert get(at, "?month=2020-02")["spent_usd"] == "0.000000"
    assert get(at, f"?month={get(at)['month']}")["spent_usd"] == "0.002000"
    for wrong in ("2026-13", "2026-1", "November", "0001-01"):
        get(at, f"?month={wrong}", 422)


def test_a_past_month_expects_nothing_more(at: Desk) -> None:
    """Its forecast is what was spent, its state how it ended."""
    booked(at, FIRST)
    [(_, month)] = [key for key in at.store.budgets if key[0] == at.workspace]
    at.store.budgets[at.workspace, "2026-01"] = at.store.budgets.pop((at.workspace, month))
    for call in at.store.calls.values():
        call.month = "2026-01"
    at.store.budgets[at.workspace, "2026-01"].cap = 2_100_000
    seen = get(at, "?month=2026-01")
    assert (seen["forecast_usd"], seen["limit_usd"], seen["state"]) == ("0.002000", "0.002100", "saving")


def test_without_money_for_one_call_it_is_exhausted(at: Desk) -> None:
    """What is left is less than the smallest call's worst case: none can be made, and the page says so."""
    at.container.workspace.put(at.workspace, "budget_usd", "0.001", None, uuid7(0, bytes(10)))
    assert get(at)["state"] == "exhausted"


def test_only_members_see_it(at: Desk) -> None:
    """Without a token there is nothing to see."""
    assert at.clients["dashboard"].get("/api/v1/costs").status_code == 401
