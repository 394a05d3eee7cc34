"""Pages of a list that is at hand as a whole: actions, settings, people, tokens, a task's history.

A cursor names the last item of the page before, not its place: what comes or goes meanwhile shifts nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from common.api import PageQuery
from common.core.errors import FieldError, Invalid

Item = TypeVar("Item")


def page_from(items: Sequence[Item], query: PageQuery, key: Callable[[Item], str]) -> tuple[list[Item], str | None]:
    """One page in the order of `key`, which is each item's own, and the cursor of the next. Invalid: not a cursor."""
    after = read_cursor(query.cursor)
    rest = sorted((item for item in items if after is None or key(item) > after), key=key)
    page = rest[: query.limit]
    return page, cursor_after(key(page[-1])) if len(rest) > query.limit else None


def cursor_after(key: str) -> str:
    """An opaque cursor: the list goes on after this."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def read_cursor(cursor: str | None) -> str | None:
    """After what a list goes on. Invalid if it is none of ours."""
    if not cursor:
        return None
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error) as exc:
        raise not_a_cursor() from exc


def not_a_cursor() -> Invalid:
    """What is said of a cursor that no page gave."""
    return Invalid((FieldError("?cursor", "not a cursor", "use `next` of the page before, unchanged"),))
