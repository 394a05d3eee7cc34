"""The server's answers about money, as the command line reads them; see cli/answers."""

from __future__ import annotations

from typing import TypedDict


class LeverView(TypedDict):
    """One way of saving."""

    lever: str
    saved_usd: str
    tasks: int


class ModelCostView(TypedDict):
    """One model's calls."""

    model: str
    calls: int
    tasks: int
    cost_usd: str


class KindCostView(TypedDict):
    """One kind of task."""

    kind: str | None
    tasks: int
    cost_usd: str


class DayCostView(TypedDict):
    """One day."""

    day: str
    cost_usd: str
    naive_usd: str


class CacheUseView(TypedDict):
    """Remembered answers."""

    hits: int
    misses: int
    checks: int
    disagreements: int


class PackUseView(TypedDict):
    """Calls that read several tasks."""

    calls: int
    tasks: int
    checked: int
    disagreements: int


class CostsView(TypedDict):
    """A month."""

    month: str
    limit_usd: str
    spent_usd: str
    reserved_usd: str
    forecast_usd: str
    state: str
    naive_usd: str
    saved_usd: str
    levers: list[LeverView]
    by_model: list[ModelCostView]
    by_kind: list[KindCostView]
    by_day: list[DayCostView]
    cache: CacheUseView
    packs: PackUseView
