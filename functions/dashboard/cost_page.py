"""The costs page: what a month cost, on what, and what each way of saving saved; with pictures."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from common.api.costs import MONTH
from common.web import Wired

from .cost_chart import day_chart, gauge, lever_bars
from .costs import costs_of
from .lines import waiting
from .page_route import Reading, new_router
from .rendering import render

router = new_router()


@router.get("/costs")
def costs_page(
    request: Request, wired: Wired, reader: Reading, month: Annotated[str | None, Query(pattern=MONTH)] = None
) -> Response:
    """A month; without one, the present."""
    costs = costs_of(month, reader.who, wired)
    present = costs.month if month is None else wired.costs.month(reader.who.workspace).month
    return render(
        request,
        wired,
        "costs.html",
        reader,
        costs=costs,
        gauge=gauge(costs),
        chart=day_chart(costs),
        levers=lever_bars(costs.levers),
        before=_next(costs.month, -1),
        after=_next(costs.month, 1) if costs.month < present else None,
        inbox=waiting(wired.reads.counts(reader.who.workspace)),
    )


def _next(month: str, step: int) -> str:
    """The month before or after, as `YYYY-MM`."""
    year, number = map(int, month.split("-"))
    count = year * 12 + number - 1 + step
    return f"{count // 12:04d}-{count % 12 + 1:02d}"
