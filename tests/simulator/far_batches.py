"""The provider's batches: they end when the history says so, in any order, not always whole; and some are others'."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from common.analysis.batches.provider import Listed, Result, fingerprint
from common.analysis.batches.search import LOST_AFTER
from common.analysis.call import Billed, Call, Fault, Reply
from common.ports import Usage
from tests.simulator.provider import DOWN, KEY, SILENT, TOKENS, Provider, price
from tests.simulator.reading import Asked, Said

GONE: Final = {"errored": "batch_errored", "expired": "batch_expired", "canceled": "batch_missing"}


@dataclass(slots=True)
class FarBatch:
    """One of the account's."""

    id: str
    created_at: datetime
    names: tuple[str, ...]
    calls: tuple[Call, ...] = ()  # empty: another program's
    asked: tuple[list[Asked], ...] = ()
    ended: bool = False
    stopping: bool = False
    too_late: bool = False  # whoever sent it had stood still for so long that nobody looks for it
    results: list[Result] = field(default_factory=list)
    said: list[tuple[list[Asked], Said]] = field(default_factory=list)
    billed: int = 0

    @property
    def call(self) -> UUID | None:
        """Whose it is."""
        return UUID(self.names[0].partition("_")[0]) if self.calls else None


@dataclass(slots=True)
class FarBatches:
    """See `common.analysis.batches.provider.BatchProvider`."""

    provider: Provider
    made: dict[str, FarBatch] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def key(self) -> str | None:
        """See BatchProvider."""
        return fingerprint(KEY) if self.provider.is_ready else None

    def create(self, asked: Sequence[tuple[str, Call]]) -> str | Fault:
        """See BatchProvider."""
        world = self.provider.world
        world.point()
        mood = self.provider.moods.pop(0) if self.provider.moods else "ok"
        members = tuple(self.provider.asked(call) for _, call in asked)
        if mood == "busy":
            return DOWN
        if mood == "reset_before":
            return SILENT
        made = self._make(asked, members)
        world.met["batch: made"] += 1
        if mood == "refuse":  # the connection was reset, and something on the way sent it again
            world.met["batch: made twice"] += 1
            self._make(asked, members)
        world.ledger.look()
        world.point()
        return SILENT if mood in {"reset_after", "refuse"} else made.id

    def _make(self, asked: Sequence[tuple[str, Call]], members: tuple[list[Asked], ...]) -> FarBatch:
        world = self.provider.world
        names, calls = zip(*asked, strict=True)
        batch = FarBatch(self._name(), world.store.now, tuple(names), tuple(calls), members)
        if batch.call is not None:
            row = world.store.calls[batch.call]
            batch.too_late = row.state != "reserved" or world.store.now > row.created_at + LOST_AFTER
        self.made[batch.id] = batch
        return batch

    def foreign(self, requests: int) -> None:
        """Another program of the account makes one."""
        names = tuple(f"other_{n}" for n in range(requests))
        batch = FarBatch(self._name(), self.provider.world.store.now, names)
        self.made[batch.id] = batch

    def _name(self) -> str:
        return f"msgbatch_{next(self._numbers)}"

    def look(self, provider_id: str) -> Listed | Fault:
        """See BatchProvider."""
        self.provider.world.point()
        if self._is_down():
            return DOWN
        found = self.made.get(provider_id)
        return Fault(code="unknown_model", billed=Billed.NO, status=404) if found is None else _listed(found)

    def recent(self, since: datetime) -> list[Listed] | Fault:
        """See BatchProvider."""
        self.provider.world.point()
        if self._is_down():
            return DOWN
        return [_listed(batch) for batch in reversed(self.made.values()) if batch.created_at >= since]

    def results(self, provider_id: str) -> list[Result] | Fault:
        """See BatchProvider."""
        self.provider.world.point()
        if self._is_down():
            return DOWN
        batch = self.made[provider_id]
        call = batch.call
        if call is not None:
            for asked, said in batch.said:
                self.provider.heard(asked, said, call)
        return batch.results

    def cancel(self, provider_id: str) -> Fault | None:
        """See BatchProvider."""
        self.made[provider_id].stopping = True
        return None

    def _is_down(self) -> bool:
        """Only a look that was meant to fail does; other moods are for what is made."""
        moods = self.provider.moods
        return bool(moods) and moods[0] == "busy" and moods.pop(0) == "busy"

    # --- the end ----------------------------------------------------------------------------------------------------

    def end(self, moods: Sequence[str]) -> None:
        """All of them end, each request as the moods have it."""
        for batch in self.made.values():
            if not batch.ended:
                self._end(batch, itertools.cycle(moods or ("ok",)))
        self.provider.world.ledger.look()

    def _end(self, batch: FarBatch, moods: Iterator[str]) -> None:
        batch.ended = True
        if not batch.calls:
            batch.results = [Result(name, Fault(code="batch_errored", billed=Billed.NO)) for name in batch.names]
            return
        for name, call, asked, mood in zip(batch.names, batch.calls, batch.asked, moods, strict=False):
            self.provider.world.met[f"batch: {mood}"] += 1
            if mood in GONE:
                batch.results.append(Result(name, Fault(code=GONE[mood], billed=Billed.NO)))
                continue
            batch.billed += price(call, batch=True)
            said = self.provider.reader.says(asked, call.model, mood)
            if mood == "lost":  # answered and billed, and no line says so
                continue
            usage = Usage(input=TOKENS[0], output=TOKENS[1] * len(asked))
            batch.results.append(Result(name, Reply(text=said.text, stop=said.stop, usage=usage)))
            batch.said.append((asked, said))
        batch.results.reverse()  # in no particular order


def _listed(batch: FarBatch) -> Listed:
    return Listed(
        provider_id=batch.id,
        created_at=batch.created_at,
        requests=len(batch.names),
        ended=batch.ended,
        stopping=batch.stopping,
    )
