"""Claims of packs in memory: what adapters/postgres/pack_claim.py does in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from common.adapters.memory.rows import TaskRow
from common.core.task import State
from common.ports import PATIENCE, Forming

SCANNED: Final = 200
URGENT: Final = 9


def due_texts(rows: Iterable[TaskRow], forming: Forming, now: datetime) -> list[TaskRow]:
    """Those that may be read now, best first within each workspace; of a long backlog the front."""
    due = [
        row
        for row in rows
        if row.state is State.RECEIVED
        and forming.economy in {None, row.economy}
        and row.next_check_at is not None
        and row.next_check_at <= now
    ]
    due.sort(key=lambda row: (row.workspace, row.claim_order, row.id))
    most = max(SCANNED, forming.tasks * forming.packs)
    return [row for _, of in groupby(due, key=lambda row: row.workspace) for row in list(of)[:most]]


def packs_of(due: Iterable[TaskRow], forming: Forming, now: datetime) -> list[list[TaskRow]]:
    """The packs that need not wait for more, at most as many as are asked for; fair between workspaces."""
    alike: dict[tuple[object, ...], list[TaskRow]] = {}
    for row in due:
        alike.setdefault((row.workspace, row.request.origin), []).append(row)
    ready = [
        (part[0].workspace, part[0].claim_order, part)
        for rows in alike.values()
        for part in _parts(rows, forming.tasks)
        if _is_ready(part, forming, now)
    ]
    ready.sort(key=lambda pack: (pack[0], pack[1], pack[2][0].request.origin))
    turns = [
        (turn, order, workspace, part)
        for _, of in groupby(ready, key=lambda pack: pack[0])
        for turn, (workspace, order, part) in enumerate(of)
    ]
    return [part for *_, part in sorted(turns, key=lambda pack: pack[:3])[: forming.packs]]


def lingers_until(due: Iterable[TaskRow], forming: Forming, now: datetime) -> timedelta | None:
    """How long until the oldest has waited long enough."""
    waits = [row.next_check_at + _linger(row, forming) - now for row in due if row.next_check_at is not None]
    return max(min(waits), timedelta(0)) if waits else None


def _parts(rows: list[TaskRow], size: int) -> Iterator[list[TaskRow]]:
    return (rows[at : at + size] for at in range(0, len(rows), size))


def _is_ready(part: list[TaskRow], forming: Forming, now: datetime) -> bool:
    lingered = lingers_until(part, forming, now) == timedelta(0)
    return len(part) == forming.tasks or any(row.priority >= URGENT for row in part) or lingered


def _linger(row: TaskRow, forming: Forming) -> timedelta:
    return forming.linger * (PATIENCE if row.workspace in forming.patient else 1)
