"""The Answers in memory. Nothing else reads them, so they are kept here and not in the shared store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from common.adapters.memory.store import MemoryStore
from common.ports import Asking, Flight, Learned, Remembered, Use


@dataclass(frozen=True, slots=True)
class _Asked:
    """Somebody is asking."""

    by: str
    at: datetime
    until: datetime


class MemoryAnswers:
    """See `common.ports.Answers`."""

    def __init__(self, store: MemoryStore) -> None:
        """`store`: whose lock and clock these are."""
        self._store = store
        self._rows: dict[tuple[UUID, str], Remembered | _Asked] = {}

    def find(self, workspace: UUID, keys: Sequence[str]) -> dict[str, Remembered]:
        """See Answers."""
        with self._store.commit():
            rows = {key: self._rows.get((workspace, key)) for key in keys}
            return {key: row for key, row in rows.items() if isinstance(row, Remembered)}

    def take(
        self, workspace: UUID, wanted: Sequence[Asking], by: str, lasts: timedelta
    ) -> dict[str, Remembered | Flight]:
        """See Answers."""
        with self._store.commit() as now:
            return {asking.key: self._taken(workspace, asking.key, by, now, lasts) for asking in wanted}

    def _taken(self, workspace: UUID, key: str, by: str, now: datetime, lasts: timedelta) -> Remembered | Flight:
        row = self._rows.get((workspace, key))
        if isinstance(row, Remembered):
            return row
        if row is None or row.until <= now:
            self._rows[workspace, key] = _Asked(by, now, now + lasts)
            return Flight(mine=True, left=lasts)
        return Flight(mine=False, age=now - row.at, left=row.until - now)

    def store(self, workspace: UUID, learned: Sequence[Learned]) -> None:
        """See Answers."""
        with self._store.commit() as now:
            for one in learned:
                self._rows[workspace, one.key] = Remembered(
                    key=one.key,
                    request=one.request,
                    prompt_version=one.prompt_version,
                    model=one.model,
                    answer=dict(one.answer),
                    cost=one.cost,
                    created_at=now,
                    hit_at=now,
                )

    def let_go(self, workspace: UUID, keys: Sequence[str], by: str) -> None:
        """See Answers."""
        with self._store.commit():
            for key in keys:
                row = self._rows.get((workspace, key))
                if isinstance(row, _Asked) and row.by == by:
                    del self._rows[workspace, key]

    def count(self, uses: Sequence[Use]) -> None:
        """See Answers."""
        with self._store.commit() as now:
            for use in uses:
                row = self._rows.get((use.workspace, use.key))
                if isinstance(row, Remembered):
                    self._rows[use.workspace, use.key] = replace(
                        row,
                        hit_at=now,
                        hits=row.hits + use.hits,
                        checks=row.checks + use.checks,
                        disagreements=row.disagreements + use.disagreements,
                    )

    def listed(
        self, workspace: UUID, limit: int, after: tuple[datetime, str] | None = None, beginning: str = ""
    ) -> list[Remembered]:
        """See Answers."""
        with self._store.commit():
            found = [
                row
                for (home, key), row in self._rows.items()
                if home == workspace and key.startswith(beginning) and isinstance(row, Remembered)
            ]
        found.sort(key=lambda row: (row.hit_at, row.key), reverse=True)
        return [row for row in found if after is None or (row.hit_at, row.key) < after][:limit]

    def drop(self, workspace: UUID, keys: Sequence[str] | None) -> list[str]:
        """See Answers."""
        with self._store.commit():
            wanted = None if keys is None else set(keys)
            gone = [key for home, key in self._rows if home == workspace and (wanted is None or key in wanted)]
            for key in gone:
                del self._rows[workspace, key]
            return sorted(gone)

    def forget(self, unused_for: timedelta, limit: int = 1000) -> int:
        """See Answers."""
        with self._store.commit() as now:
            old = [place for place, row in self._rows.items() if _served(row) <= now - unused_for]
            for place in old[:limit]:
                del self._rows[place]
            return len(old[:limit])


def _served(row: Remembered | _Asked) -> datetime:
    return row.hit_at if isinstance(row, Remembered) else row.at
