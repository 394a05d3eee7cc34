"""Remembered answers: what requests were understood to mean, and how it has served."""

from __future__ import annotations

from datetime import datetime

from common.api.answers import PlanView
from common.api.public import Public
from common.core.task import Risk


class CacheEntry(Public):
    """A remembered answer. Nothing in it permits anything: policy decides anew at every use."""

    key: str
    request: str  # normalised
    kind: str
    model: str  # that may have been asked
    prompt_version: str
    cost_usd: str  # what asking it cost, once
    saved_usd: str  # what asking it again at every use would have cost
    hits: int
    checks: int  # uses that were asked again
    created_at: datetime
    last_used_at: datetime


class CacheEntryList(Public):
    """Remembered answers, last used first."""

    items: list[CacheEntry]
    next: str | None = None


class CacheEntryView(CacheEntry):
    """One, with what was answered."""

    summary: str
    risk: Risk | None  # as the model claimed
    confidence: float | None
    priority: int | None
    plan: PlanView


class CacheDropped(Public):
    """What was forgotten. `fast` false: Redis did not answer; what it holds is used for up to an hour more."""

    dropped: int
    fast: bool
