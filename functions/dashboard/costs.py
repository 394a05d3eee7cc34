"""`GET /costs`: what a month cost, where it goes, and what each way of saving saved."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from fastapi import Query

from common import api
from common.api import usd
from common.core.spending import Standing, forecast, standing
from common.ports import BudgetView, CallReason, CallSum, MonthCosts, Principal
from common.web import Who, Wired
from common.wiring import Container

# asked again to see whether an answer would be the same
CHECKS: Final = frozenset({CallReason.CHECK, CallReason.CACHE_CHECK})
NO_ESCALATION: Final = CHECKS | {CallReason.FIRST, CallReason.ORPHAN}


def costs(query: Annotated[api.CostsQuery, Query()], who: Who, wired: Wired) -> api.Costs:
    """A month of the workspace; without one, the present."""
    return costs_of(query.month, who, wired)


def costs_of(month: str | None, who: Principal, wired: Container) -> api.Costs:
    """The same for pages. `month`: YYYY-MM, None: the present one."""
    seen = wired.costs.month(who.workspace, month)
    money, state = _standing(seen, wired.budget.month(who.workspace), wired.quote.one_call())
    gone = seen.all.cost + seen.reserved
    saved_by_cache = _saved_by_cache(seen)
    naive = seen.all.baseline + sum(seen.hits.values()) * seen.naive_task
    return api.Costs(
        month=seen.month,
        limit_usd=usd(money.cap),
        limit_of=money.of,
        spent_usd=usd(seen.all.cost),
        reserved_usd=usd(seen.reserved),
        forecast_usd=usd(forecast(gone, seen.at) if _is_present(seen) else seen.all.cost),
        state=state.value,
        naive_usd=usd(naive),
        saved_usd=usd(naive - seen.all.cost),
        levers=_levers(seen, saved_by_cache),
        by_model=[_model(model, calls) for model, calls in sorted(seen.models.items(), key=_dearest)],
        by_kind=[
            api.KindLine(kind=kind, tasks=those.tasks, cost_usd=usd(those.cost))
            for kind, those in sorted(seen.kinds.items(), key=lambda item: (-item[1].cost, item[0] or ""))
        ],
        by_purpose=_purposes(seen),
        by_day=_days(seen),
        cache=api.CacheLine(
            hits=sum(seen.hits.values()),
            misses=_why(seen, CallReason.FIRST).tasks,
            saved_usd=usd(saved_by_cache),
            checks=_why(seen, CallReason.CACHE_CHECK).tasks,
            disagreements=_why(seen, CallReason.CACHE_CHECK).disagreements,
        ),
        packs=api.PacksLine(
            calls=seen.packs.calls,
            tasks=seen.packs.tasks,
            checked=_why(seen, CallReason.CHECK).tasks,
            disagreements=_why(seen, CallReason.CHECK).disagreements,
        ),
        escalations=[
            api.EscalationLine(reason=reason, tasks=those.tasks, cost_usd=usd(those.cost))
            for (purpose, reason), those in sorted(seen.whys.items())
            if purpose == "analysis" and reason not in NO_ESCALATION
        ],
    )


def _is_present(seen: MonthCosts) -> bool:
    return seen.month == f"{seen.at:%Y-%m}"


def _standing(seen: MonthCosts, now: BudgetView, one_call: int) -> tuple[BudgetView, Standing]:
    """The limit that holds now, and how it stands; of a past month the workspace's own, as it ended."""
    if _is_present(seen):
        return now, standing(now, one_call)
    cap = now.cap if seen.cap is None else seen.cap
    then = BudgetView(month=seen.month, cap=cap, spent=seen.all.cost, reserved=seen.reserved, at=seen.at)
    return then, standing(then)


def _why(seen: MonthCosts, reason: str) -> CallSum:
    return seen.whys.get(("analysis", reason), CallSum())


def _saved_by_cache(seen: MonthCosts) -> int:
    """What its hits would have cost, less what asking some of them again did; that is booked under packs."""
    return sum(seen.hits.values()) * seen.naive_task + _why(seen, CallReason.CACHE_CHECK).saved.pack


def _levers(seen: MonthCosts, saved_by_cache: int) -> list[api.LeverLine]:
    """In the order in which they are taken; together they are what was saved."""
    saved, tasks, rechecked = seen.all.saved, seen.levered, _why(seen, CallReason.CACHE_CHECK)
    return [
        api.LeverLine(lever="cache", saved_usd=usd(saved_by_cache), tasks=sum(seen.hits.values()) + rechecked.tasks),
        api.LeverLine(lever="model", saved_usd=usd(saved.model), tasks=tasks.model),
        api.LeverLine(lever="prompt", saved_usd=usd(saved.prompt), tasks=tasks.prompt),
        api.LeverLine(
            lever="pack", saved_usd=usd(saved.pack - rechecked.saved.pack), tasks=tasks.pack - rechecked.tasks
        ),
        api.LeverLine(lever="batch", saved_usd=usd(saved.batch), tasks=tasks.batch),
    ]


def _dearest(item: tuple[str, CallSum]) -> tuple[int, str]:
    return -item[1].cost, item[0]


def _model(model: str, calls: CallSum) -> api.ModelLine:
    return api.ModelLine(
        model=model,
        calls=calls.calls,
        tasks=calls.tasks,
        input_tokens=calls.usage.input,
        output_tokens=calls.usage.output,
        cache_read_tokens=calls.usage.cache_read,
        cache_write_tokens=calls.usage.cache_write,
        cost_usd=usd(calls.cost),
    )


def _purposes(seen: MonthCosts) -> list[api.PurposeLine]:
    found: dict[str, tuple[int, int, int]] = {}
    for (purpose, _), those in seen.whys.items():
        calls, tasks, cost = found.get(purpose, (0, 0, 0))
        found[purpose] = (calls + those.calls, tasks + those.tasks, cost + those.cost)
    return [
        api.PurposeLine(purpose=purpose, calls=calls, tasks=tasks, cost_usd=usd(cost))
        for purpose, (calls, tasks, cost) in sorted(found.items())
    ]


def _days(seen: MonthCosts) -> list[api.DayLine]:
    days: set[date] = {*seen.days, *seen.hits}
    return [
        api.DayLine(
            day=day,
            cost_usd=usd(seen.days.get(day, CallSum()).cost),
            naive_usd=usd(seen.days.get(day, CallSum()).baseline + seen.hits.get(day, 0) * seen.naive_task),
        )
        for day in sorted(days)
    ]
