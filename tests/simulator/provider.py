"""The provider: it answers as the history says, bills for what it answered, and sees what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from uuid import UUID

from pydantic import SecretStr

from common.analysis.call import Billed, Call, Fault, Reply
from common.analysis.providers.key import Key
from common.config import Settings
from common.ports import Usage
from tests.simulator.known import Violation
from tests.simulator.reading import Asked, Reader, Said, told_of
from tests.simulator.setup import RATES

if TYPE_CHECKING:
    from tests.simulator.world import World

KEY: Final = "sk-ant-simulated"
BOTH: Final = 2  # workspaces of a history
TOKENS: Final = (6_000, 1_500)  # in a call; out for each task
FLIGHT: Final = 120.0  # seconds that others wait for who asks already
# Answers that are remembered whatever else happens, with and without a model to read them again.
KEPT: Final = frozenset({"ok", "other", "reversed"})
KEPT_ALONE: Final = KEPT | {"high", "grave"}
DOWN: Final = Fault(
    code="provider_overloaded", billed=Billed.NO, again_in=timedelta(seconds=30), waiting_for="provider", status=529
)
SILENT: Final = Fault(
    code="provider_timeout", billed=Billed.MAYBE, again_in=timedelta(seconds=30), waiting_for="provider"
)


@dataclass(slots=True)
class Provider:
    """See `common.analysis.providers.registry.Provider`."""

    world: World
    has_batches: bool = False
    is_ready: bool = True
    source: str = "claude"
    key: Key = field(default_factory=lambda: Key(SecretStr(KEY), Path("/nowhere")))
    is_down: bool = False
    turned_away: set[UUID] = field(default_factory=set)  # workspaces, while it is
    moods: list[str] = field(default_factory=list)
    reader: Reader = field(default_factory=Reader)
    billed: dict[UUID, int] = field(default_factory=dict)  # nanodollars by call
    flying: dict[tuple[object, ...], float] = field(default_factory=dict)  # what is being asked, since when
    loose: set[tuple[object, ...]] = field(default_factory=set)  # of which not every answer may be kept
    spoilt: set[UUID] = field(default_factory=set)  # tasks whose answer was none

    def ask(self, call: Call) -> Reply | Fault:
        """See Asker."""
        world = self.world
        world.point()
        row = self._on_record(call)
        asked = self.asked(call)
        self._may_be_asked(call)
        mood = self.moods.pop(0) if self.moods else "ok"
        if self.is_down:
            mood = "busy"
            self.turned_away.add(call.workspace)
            world.met["provider: down for both workspaces"] += len(self.turned_away) == BOTH
        world.met[f"asked: {call.reason}"] += 1
        world.met[f"pack: {len(asked)}"] += 1
        world.met[f"model: {mood}"] += 1
        flights = self._take_off(call)
        try:
            said = None if mood in {"busy", "reset_before", "large"} else self._said(call, asked, mood)
            self.billed[row] = price(call) if said is not None else 0
            world.ledger.look()
            world.point()
        finally:
            for flight in flights:
                self.flying.pop(flight, None)
        if said is None or mood == "reset_after":
            self.loose |= {self._text(task) for task in call.task_ids}
            if mood == "large":
                raise ValueError("an answer that nobody foresaw")
            return DOWN if mood == "busy" else SILENT
        self.heard(asked, said, row)
        usage = Usage(input=TOKENS[0], output=TOKENS[1] * len(asked))
        return Reply(text=said.text, stop=said.stop, usage=usage, request_id=f"req_{len(self.billed)}")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """See Provider. A history's is made with its world."""
        raise AssertionError(f"{settings.provider} belongs to a history")

    def outage(self, *, begins: bool) -> None:
        """It is down for everybody, or there again."""
        self.is_down = begins
        self.turned_away.clear()

    def close(self) -> None:
        """Nothing to close."""

    # --- what is asked of it ----------------------------------------------------------------------------------------

    def asked(self, call: Call) -> list[Asked]:
        """The tasks of a call; of one workspace and one origin, or it should never have been sent (I12)."""
        rows = [self.world.store.tasks[task] for task in call.task_ids]
        if len({(row.workspace, row.request.origin) for row in rows} | {(call.workspace, rows[0].request.origin)}) > 1:
            raise Violation(f"I12: one call holds {[str(row.request.origin) for row in rows]} of several workspaces")
        told = told_of(call.content)
        return [Asked(row.id, row.lease_no, one) for row, one in zip(rows, told, strict=True)]

    def heard(self, asked: Sequence[Asked], said: Said, call: UUID) -> None:
        """An answer to this call arrived: what was claimed properly counts from now on."""
        for one in asked:
            if one.task in said.counts:
                self.world.readings.claimed(one.task, one.lease_no, said.counts[one.task], call)

    def _said(self, call: Call, asked: Sequence[Asked], mood: str) -> Said:
        said = self.reader.says(asked, call.model, mood)
        self.spoilt |= said.spoilt
        if mood not in (KEPT if self.world.setup.strong else KEPT_ALONE):
            self.loose |= {self._text(one.task) for one in asked}
        return said

    def _on_record(self, call: Call) -> UUID:
        """Its row, and no other call's (I7); of a process that stood still for long it is assumed billed already."""
        for row in reversed(self.world.store.calls.values()):
            same = (row.task_ids, row.model, row.reason) == (call.task_ids, call.model, call.reason)
            if (
                same
                and row.state in {"reserved", "assumed_billed"}
                and row.id not in self.billed
                and row.id not in self.world.store.batches
            ):
                return row.id
        raise Violation(f"I7: a call for {call.reason} is not on record")

    def _may_be_asked(self, call: Call) -> None:
        if call.reason != "repair":
            return
        again = [task for task in call.task_ids if task not in self.spoilt]
        if len(call.task_ids) != 1 or again:
            raise Violation(f"I12: {len(call.task_ids)} tasks are asked again, of which {len(again)} were answered")
        self.spoilt -= set(call.task_ids)

    # --- single flight ----------------------------------------------------------------------------------------------

    def _text(self, task: UUID) -> tuple[object, ...]:
        row = self.world.store.tasks[task]
        return row.workspace, row.request.origin, row.request.text

    def _take_off(self, call: Call) -> list[tuple[object, ...]]:
        """Of all that ask for the same at once, one is paid for."""
        rows = [self.world.store.tasks[task] for task in call.task_ids]
        if not self.world.setup.cache or call.reason != "first":
            return []
        texts = [self._text(row.id) for row in rows if row.plan is None]
        mine: list[tuple[object, ...]] = []
        for text in texts:
            since = self.flying.get(text)
            if text not in self.loose and (since is not None and self.world.time.seconds < since + FLIGHT):
                raise Violation(f"flight: {text[-1]!r} is asked twice at once")
            took = self.world.frames[-1].took
            self.flying[text] = self.world.time.seconds if took is None else took
            mine.append(text)
        return mine


def price(call: Call, *, batch: bool = False) -> int:
    """What it bills for an answered call."""
    each_in, each_out = RATES[call.model]
    whole = TOKENS[0] * each_in + TOKENS[1] * len(call.task_ids) * each_out
    return whole // 2 if batch else whole
