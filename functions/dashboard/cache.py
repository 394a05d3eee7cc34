"""Remembered answers, for an admin to look at and to forget."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Query

from common import api
from common.analysis.cache.entry import answer_from
from common.api import usd
from common.core.errors import Conflict, NotFound
from common.page import cursor_after, not_a_cursor, read_cursor
from common.ports import Principal, Remembered
from common.web import Who, Wired
from common.wiring import Container

KEY_DIGITS: Final = 64
BEGINNING: Final = 8  # hex digits at least: shorter beginnings are typing errors


def list_cache(query: Annotated[api.PageQuery, Query()], who: Who, wired: Wired) -> api.CacheEntryList:
    """Remembered answers, last used first; `next` is the cursor of the page after."""
    found = wired.answers.listed(who.workspace, query.limit + 1, _after(query.cursor))
    page = found[: query.limit]
    following = _cursor(page[-1]) if len(found) > query.limit else None
    return api.CacheEntryList(items=[_entry(row) for row in page], next=following)


def get_cached(key: str, who: Who, wired: Wired) -> api.CacheEntryView:
    """One, by its key or the beginning of it."""
    row = _one(key, who, wired)
    answer = answer_from(row.answer)
    steps = () if answer is None else answer.steps
    plan = api.PlanView(
        number=1,
        steps=[api.PlanStep(id=step.id, action=step.action, args=step.args) for step in steps],
        source="cached",
    )
    return api.CacheEntryView(
        **_entry(row).model_dump(),
        summary="" if answer is None else answer.summary,
        risk=None if answer is None else answer.risk,
        confidence=None if answer is None else answer.confidence,
        priority=None if answer is None else answer.priority,
        plan=plan,
    )


def drop_cached(key: str, who: Who, wired: Wired) -> api.CacheDropped:
    """Forget one: the next such request is asked again."""
    return _dropped([_one(key, who, wired).key], who, wired)


def drop_cache(who: Who, wired: Wired) -> api.CacheDropped:
    """Forget all."""
    return _dropped(None, who, wired)


def _dropped(keys: list[str] | None, who: Principal, wired: Container) -> api.CacheDropped:
    # The database first: what is read there afterwards can no longer put it back.
    gone = wired.answers.drop(who.workspace, keys)
    return api.CacheDropped(dropped=len(gone), fast=wired.front.drop(who.workspace, gone))


def _one(key: str, who: Principal, wired: Container) -> Remembered:
    beginning = key.lower()
    if not BEGINNING <= len(beginning) <= KEY_DIGITS or not set(beginning) <= set("0123456789abcdef"):
        raise NotFound(f"{key[:40]!r} is no key: give at least {BEGINNING} of its digits")
    found = wired.answers.listed(who.workspace, 2, beginning=beginning)
    if not found:
        raise NotFound(f"no remembered answer's key begins with {beginning[:40]}")
    if len(found) > 1:
        raise Conflict(f"several keys begin with {beginning[:40]}: give more of it")
    return found[0]


def _entry(row: Remembered) -> api.CacheEntry:
    return api.CacheEntry(
        key=row.key,
        request=row.request,
        kind=str(row.answer.get("kind", "other")),
        model=row.model,
        prompt_version=row.prompt_version,
        cost_usd=usd(row.cost),
        saved_usd=usd(row.cost * row.hits),
        hits=row.hits,
        checks=row.checks,
        created_at=row.created_at,
        last_used_at=row.hit_at,
    )


def _cursor(row: Remembered) -> str:
    return cursor_after(f"{row.hit_at.isoformat()} {row.key}")


def _after(cursor: str | None) -> tuple[datetime, str] | None:
    """Where a list goes on. Invalid if it is none of ours."""
    last = read_cursor(cursor)
    if last is None:
        return None
    at, _, key = last.partition(" ")
    try:
        return datetime.fromisoformat(at).astimezone(UTC), key[:KEY_DIGITS]
    except (ValueError, OverflowError) as exc:
        raise not_a_cursor() from exc
