"""What a month cost, and what was saved of it."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from common.api.public import Public

MONTH: Final = r"^20[0-9]{2}-(0[1-9]|1[0-2])$"


def _named(value: str) -> str:
    if not re.fullmatch(MONTH, value):
        msg = "a month is YYYY-MM, e.g. 2026-11"
        raise ValueError(msg)
    return value


class CostsQuery(Public):
    """Which month; without one, the present."""

    month: Annotated[str, AfterValidator(_named)] | None = Field(
        default=None, description="YYYY-MM, in UTC", json_schema_extra={"pattern": MONTH}
    )


class LeverLine(Public):
    """One way of saving: what it saved against the naive call (negative: what it cost), and over how many tasks."""

    lever: Literal["cache", "model", "prompt", "pack", "batch"]
    saved_usd: str
    tasks: int


class ModelLine(Public):
    """One model's calls."""

    model: str
    calls: int
    tasks: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_usd: str


class KindLine(Public):
    """One kind of task; `kind` null: not known yet, or no task was stored (a preview)."""

    kind: str | None
    tasks: int
    cost_usd: str


class PurposeLine(Public):
    """What calls were made for."""

    purpose: str
    calls: int
    tasks: int
    cost_usd: str


class DayLine(Public):
    """One day, in UTC."""

    day: date
    cost_usd: str
    naive_usd: str


class CacheLine(Public):
    """Remembered answers: tasks decided by one, tasks that had to be asked, and those asked again as a check."""

    hits: int
    misses: int
    saved_usd: str
    checks: int
    disagreements: int


class PacksLine(Public):
    """Calls that read several tasks, and those of them asked again as a check."""

    calls: int
    tasks: int
    checked: int
    disagreements: int


class EscalationLine(Public):
    """Tasks that were asked a second time, and why."""

    reason: str
    tasks: int
    cost_usd: str


class Costs(Public):
    """A month of one workspace. Money is a decimal string of dollars; `naive_usd` less `saved_usd` is `spent_usd`."""

    month: str
    limit_usd: str
    limit_of: Literal["workspace", "installation"] = Field(description="whose limit is the tighter one now")
    spent_usd: str
    reserved_usd: str
    forecast_usd: str = Field(description="by the month's end, at the pace so far; of a past month what was spent")
    state: Literal["normal", "saving", "exhausted"]
    naive_usd: str = Field(description="the strong model, each task alone, nothing cached")
    saved_usd: str
    levers: list[LeverLine]
    by_model: list[ModelLine]
    by_kind: list[KindLine]
    by_purpose: list[PurposeLine]
    by_day: list[DayLine]
    cache: CacheLine
    packs: PacksLine
    escalations: list[EscalationLine]
