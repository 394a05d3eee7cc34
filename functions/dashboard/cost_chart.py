"""The pictures of the costs page, as shapes: where bars stand and how long they are. Pure; the template draws them."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from common.api import Costs, LeverLine
from common.i18n.money import longest_first

WIDTH: Final = 720  # of the drawing's own units; it is scaled to the page
HEIGHT: Final = 160
GAP: Final = 0.28  # of a day's place: between two bars
LEAST: Final = 1.5  # a day that cost anything at all can be seen
NICE: Final = (Decimal(1), Decimal(2), Decimal(5), Decimal(10))  # ends of scales that people can divide


@dataclass(frozen=True, slots=True)
class Bar:
    """A day: its bar, and behind it what the naive calls would have cost, cut off at the picture's upper edge."""

    day: date
    x: float
    width: float
    height: float
    naive_height: float
    naive_is_cut: bool
    cost_usd: str
    naive_usd: str


@dataclass(frozen=True, slots=True)
class DayChart:
    """All days of the month, and the dollars that the upper edge stands for."""

    bars: tuple[Bar, ...]
    top_usd: Decimal
    last: int


@dataclass(frozen=True, slots=True)
class LeverBar:
    """A lever: its share of the longest one, in percent; negative where it cost more than it saved."""

    lever: str
    usd: str
    tasks: int
    percent: float
    loses: bool


@dataclass(frozen=True, slots=True)
class Gauge:
    """Of the limit, in percent: spent, spent and reserved, and where the month will end."""

    spent: float
    reserved: float
    forecast: float
    passes: bool  # the forecast is beyond the limit


def day_chart(costs: Costs) -> DayChart:
    """The month's days. The scale follows what was paid: the naive bars may be fifty times as high, and are cut."""
    year, month = map(int, costs.month.split("-"))
    days = calendar.monthrange(year, month)[1]
    lines = {line.day.day: line for line in costs.by_day}
    top = _nice(max((Decimal(line.cost_usd) for line in lines.values()), default=Decimal(0)))
    place = WIDTH / days
    bars = []
    for number in range(1, days + 1):
        line = lines.get(number)
        if line is None:
            continue
        cost, naive = Decimal(line.cost_usd), Decimal(line.naive_usd)
        bars.append(
            Bar(
                day=line.day,
                x=round(place * (number - 1) + place * GAP / 2, 2),
                width=round(place * (1 - GAP), 2),
                height=_height(cost, top),
                naive_height=_height(min(naive, top), top),
                naive_is_cut=naive > top,
                cost_usd=line.cost_usd,
                naive_usd=line.naive_usd,
            )
        )
    return DayChart(tuple(bars), top, days)


def lever_bars(levers: Sequence[LeverLine]) -> tuple[LeverBar, ...]:
    """The levers, the one that saved most first."""
    return tuple(
        LeverBar(
            lever=levers[index].lever,
            usd=levers[index].saved_usd,
            tasks=levers[index].tasks,
            percent=round(abs(share) * 100, 2),
            loses=share < 0,
        )
        for index, share in longest_first([line.saved_usd for line in levers])
    )


def gauge(costs: Costs) -> Gauge:
    """How much of the limit is gone. A limit of nothing is used up."""
    limit = Decimal(costs.limit_usd)
    spent, reserved = Decimal(costs.spent_usd), Decimal(costs.reserved_usd)
    forecast = Decimal(costs.forecast_usd)
    return Gauge(
        spent=_percent(spent, limit),
        reserved=_percent(spent + reserved, limit),
        forecast=_percent(forecast, limit),
        passes=forecast > limit,
    )


def _percent(part: Decimal, whole: Decimal) -> float:
    return 100.0 if whole <= 0 else round(float(min(part / whole, Decimal(1)) * 100), 2)


def _height(amount: Decimal, top: Decimal) -> float:
    if amount <= 0:
        return 0.0
    return round(max(LEAST, float(amount / top) * HEIGHT), 2)


def _nice(highest: Decimal) -> Decimal:
    """The next of 1, 2, 5 times a power of ten; a cent where nothing was spent."""
    if highest <= 0:
        return Decimal("0.01")
    power = Decimal(10) ** highest.adjusted()
    return next(step * power for step in NICE if step * power >= highest)
