"""The costs page and its pictures: what is drawn is what was paid, and who is near the limit is told on every page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from common import api
from common.ports import Bill, CallRequest, Saved, Usage
from functions.dashboard.cost_chart import HEIGHT, WIDTH, day_chart, gauge, lever_bars
from functions.dashboard.cost_page import _next
from tests.unit.browsing import browser
from tests.unit.desk import Desk, desk

DOLLAR = 1_000_000_000


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    """The five functions over memory, with a signing key."""
    (tmp_path / "signing.key").write_bytes(b"k" * 32)
    with desk(secrets_dir=str(tmp_path)) as it:
        yield it


def spent(at: Desk, dollars: float, model: str = "claude-haiku-5-5") -> None:
    """A call that was made and paid."""
    call = at.container.budget.reserve(
        CallRequest(
            workspace=at.workspace,
            purpose="analysis",
            model=model,
            prompt_version="analysis.2",
            reserve=round(dollars * DOLLAR) or 1,
            tasks=10,
        )
    )
    assert not isinstance(call, str)
    cost = round(dollars * DOLLAR)
    bill = Bill(usage=Usage(input=1000, output=200), cost=cost, baseline=cost * 40, saved=Saved(model=cost * 39))
    at.container.budget.settle(call, bill)


def line(day: int, cost: str, naive: str) -> api.DayLine:
    """One day of a month of thirty days."""
    return api.DayLine(day=date(2026, 11, day), cost_usd=cost, naive_usd=naive)


def month_of(**changes: object) -> api.Costs:
    """A month."""
    plain = {
        "month": "2026-11", "limit_usd": "25", "limit_of": "workspace", "spent_usd": "5", "reserved_usd": "1",
        "forecast_usd": "10", "state": "normal", "naive_usd": "50", "saved_usd": "45", "levers": [], "by_model": [],
        "by_kind": [], "by_purpose": [], "by_day": [], "escalations": [],
        "cache": {"hits": 0, "misses": 0, "saved_usd": "0", "checks": 0, "disagreements": 0},
        "packs": {"calls": 0, "tasks": 0, "checked": 0, "disagreements": 0},
    }  # fmt: skip
    return api.Costs.model_validate(plain | changes)


def test_a_bar_is_as_high_as_its_day_was_dear_and_no_naive_bar_leaves_the_picture() -> None:
    """The scale is that of what was paid; what would have been paid may be fifty times as much, and is cut."""
    chart = day_chart(month_of(by_day=[line(1, "0.30", "9.0"), line(30, "0.15", "0.2")]))
    first, last = chart.bars
    assert chart.top_usd == Decimal("0.5")
    assert first.height == pytest.approx(2 * last.height)
    assert (first.naive_is_cut, last.naive_is_cut) == (True, False)
    assert first.naive_height == HEIGHT
    assert last.x + last.width <= WIDTH


def test_a_day_that_cost_next_to_nothing_is_still_seen_and_an_empty_month_is_no_division_by_zero() -> None:
    """A bar of no height would say that nothing was paid."""
    chart = day_chart(month_of(by_day=[line(1, "20", "20"), line(2, "0.000001", "0")]))
    assert chart.bars[1].height > 1
    assert day_chart(month_of()).bars == ()


def test_a_lever_that_lost_money_says_so_and_the_best_comes_first() -> None:
    """Asking again costs: the page hides no loss."""
    lines = [
        api.LeverLine(lever="pack", saved_usd="-1", tasks=3),
        api.LeverLine(lever="model", saved_usd="4", tasks=9),
    ]
    best, worst = lever_bars(lines)
    assert (best.lever, best.percent, best.loses) == ("model", 100.0, False)
    assert (worst.percent, worst.loses) == (25.0, True)


@pytest.mark.parametrize(
    ("limit", "forecast", "spent_percent", "passes"), [("25", "30", 20.0, True), ("0", "0", 100.0, False)]
)
def test_the_gauge_is_full_at_the_limit_and_a_limit_of_nothing_is_used_up(
    limit: str,
    forecast: str,
    spent_percent: float,
    passes: bool,  # noqa: FBT001 - a case's second half
) -> None:
    """What is drawn never leaves its frame, whatever is expected."""
    shown = gauge(month_of(limit_usd=limit, forecast_usd=forecast, spent_usd="5" if limit != "0" else "0"))
    assert shown.spent == spent_percent
    assert shown.passes is passes
    assert shown.forecast <= 100


def test_months_follow_each_other_over_the_year() -> None:
    """December leads to January."""
    assert (_next("2026-12", 1), _next("2026-01", -1)) == ("2027-01", "2025-12")


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_the_page_shows_what_was_paid_and_what_was_saved(at: Desk, lang: str) -> None:
    """A viewer sees the month: spent, model, lever, day; in both languages."""
    spent(at, 2.5)
    page = browser(at, "viewer").get("/costs", params={"lang": lang}).text
    assert "$2.50" in page
    assert "claude-haiku-5-5" in page
    assert "$97.50" in page  # saved by the smaller model
    assert 'class="day-cost"' in page
    assert "page.costs" not in page


def test_near_the_limit_every_page_says_so_and_the_next_month_does_not(at: Desk) -> None:
    """I7: nobody learns from a stuck task that the month's money is gone."""
    client = browser(at, "operator")
    assert "nearly used up" not in client.get("/?lang=en").text
    spent(at, 21)
    assert "nearly used up" in client.get("/?lang=en").text
    spent(at, 3.99)
    assert "what a model would have to read waits" in client.get("/?lang=en").text


def test_a_month_that_is_none_is_a_page_that_says_so(at: Desk) -> None:
    """An address typed by hand is answered, not crashed on."""
    assert browser(at, "viewer").get("/costs?month=2026-13").status_code in {404, 422}
