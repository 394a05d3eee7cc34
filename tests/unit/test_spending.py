"""How a month's money stands, what people hear of it, and where it goes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from common.core.spending import Standing, forecast, news, remaining, standing

NORMAL, SAVING, EXHAUSTED = Standing


@dataclass(frozen=True)
class Month:
    """A limit and what is gone of it."""

    cap: int = 1_000_000
    spent: int = 0
    reserved: int = 0


@pytest.mark.parametrize(
    ("month", "state"),
    [
        (Month(), NORMAL),
        (Month(spent=799_999), NORMAL),
        (Month(spent=800_000), SAVING),
        (Month(spent=300_000, reserved=500_000), SAVING),
        (Month(spent=998_000), SAVING),
        (Month(spent=998_001), EXHAUSTED),
        (Month(spent=0, reserved=1_000_000), EXHAUSTED),
        (Month(spent=1_200_000), EXHAUSTED),
        (Month(cap=0), EXHAUSTED),
    ],
)
def test_a_month_stands_by_what_is_gone_of_its_limit(month: Month, state: Standing) -> None:
    """Saving from 80 % spent or reserved, exhausted once less than 0.2 % is left."""
    assert standing(month) is state


def test_without_money_for_one_call_it_is_exhausted() -> None:
    """Where less is left than the smallest call may cost, none can be made, whatever the percentage."""
    assert standing(Month(), one_call=1_000_001) is EXHAUSTED
    assert standing(Month(spent=500_000), one_call=500_000) is NORMAL


def test_what_remains_is_never_below_nothing() -> None:
    """A bill larger than its reservation may pass the limit; nothing is left then."""
    assert remaining(Month(spent=3, reserved=4)) == 999_993
    assert remaining(Month(spent=1_000_001)) == 0


@pytest.mark.parametrize(
    ("told", "month", "hears"),
    [
        (NORMAL, Month(), None),
        (NORMAL, Month(spent=800_000), SAVING),
        (NORMAL, Month(spent=1_000_000), EXHAUSTED),
        (SAVING, Month(spent=1_000_000), EXHAUSTED),
        (SAVING, Month(spent=790_000), None),  # it only just got better: a reservation was given back
        (SAVING, Month(spent=740_000), NORMAL),
        (EXHAUSTED, Month(spent=990_000), None),
        (EXHAUSTED, Month(spent=900_000), SAVING),
        (EXHAUSTED, Month(), NORMAL),
    ],
)
def test_people_hear_of_worse_at_once_and_of_better_with_some_room(
    told: Standing, month: Month, hears: Standing | None
) -> None:
    """Reversible, by the next month or a higher limit, and not an announcement for each call that cost less."""
    assert news(told, month) is hears


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12), st.sampled_from(Standing))
def test_what_was_told_once_is_not_told_again(cap: int, spent: int, reserved: int, told: Standing) -> None:
    """Each change is one announcement: after it there is nothing new."""
    month = Month(cap, spent, reserved)
    heard = news(told, month)
    if heard is not None:
        assert heard is standing(month)
        assert news(heard, month) is None


def test_the_forecast_is_linear_by_the_time_gone() -> None:
    """Ten days of a thirty days' month: three times what is gone."""
    assert forecast(100, datetime(2026, 11, 11, tzinfo=UTC)) == 300
    assert forecast(0, datetime(2026, 11, 11, tzinfo=UTC)) == 0
    assert forecast(100, datetime(2026, 11, 30, 23, 59, 59, 999999, tzinfo=UTC)) == 100


def test_the_first_day_is_taken_for_a_whole_one() -> None:
    """The first call of a month is no alarm: an hour's pace says nothing of the days."""
    assert forecast(100, datetime(2026, 11, 1, 0, 5, tzinfo=UTC)) == 3000


def test_a_month_is_utcs() -> None:
    """Whatever zone the clock's time comes in."""
    seoul = timezone(timedelta(hours=9))
    assert forecast(100, datetime(2026, 12, 1, 8, 59, tzinfo=seoul)) == 100


@given(st.integers(0, 10**15), st.timedeltas(timedelta(0), timedelta(days=1000)))
def test_a_forecast_is_never_below_what_is_gone(gone: int, since: timedelta) -> None:
    """What is spent stays spent, and no month takes more than 31 times its first day."""
    expected = forecast(gone, datetime(2026, 1, 1, tzinfo=UTC) + since)
    assert gone <= expected <= 31 * gone
