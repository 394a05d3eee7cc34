"""Money, batches and remembered answers, in whose every call something may happen, and the oracle looks after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from common.adapters.memory.answers import MemoryAnswers
from common.adapters.memory.batches import MemoryBatches
from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.front import MemoryFront
from common.core.spending import Standing, standing
from common.core.task import Json, Task
from common.core.unanswered import Tried
from common.ports import (
    Asked,
    Asking,
    Batch,
    Bill,
    BudgetTold,
    BudgetView,
    CallRequest,
    Checked,
    Flight,
    Learned,
    NotOpened,
    NotReserved,
    Remembered,
    Unbelieved,
    Use,
)
from tests.simulator.reading import FORGED

if TYPE_CHECKING:
    from tests.simulator.world import World

T = TypeVar("T")


class _Watched:
    """Whose commits the ledger looks at, and between which a process may die."""

    _world: World

    def _done(self, commit: Callable[[], T]) -> T:
        self._world.point()
        done = commit()
        self._world.ledger.look()
        self._world.point()
        return done


class WatchedBudget(_Watched):
    """`ports.Budget` over another one."""

    def __init__(self, inner: MemoryBudget, world: World) -> None:
        """`inner`: right, or deliberately wrong."""
        self.inner = inner
        self._world = world

    def reserve(self, call: CallRequest) -> UUID | NotReserved:
        """See Budget."""
        made = self._done(lambda: self.inner.reserve(call))
        if isinstance(made, NotReserved):
            self._world.met[f"money: {made}"] += 1
        return made

    def settle(self, call: UUID, bill: Bill) -> None:
        """See Budget."""
        self._done(lambda: self.inner.settle(call, bill))

    def void(self, call: UUID, request_id: str | None = None) -> None:
        """See Budget."""
        self._done(lambda: self.inner.void(call, request_id))

    def assume_billed(self, call: UUID, request_id: str | None = None) -> None:
        """See Budget."""
        self._done(lambda: self.inner.assume_billed(call, request_id))

    def differed(self, call: UUID, tasks: int) -> None:
        """See Budget."""
        self._world.alive()
        self.inner.differed(call, tasks)

    def tries(self, tasks: Sequence[UUID]) -> dict[UUID, list[Tried]]:
        """See Budget."""
        self._world.alive()
        return self.inner.tries(tasks)

    def expire(self) -> int:
        """See Budget."""
        self._world.alive()
        expired = self.inner.expire()
        self._world.ledger.look()
        return expired

    def month(self, workspace: UUID) -> BudgetView:
        """See Budget."""
        self._world.alive()
        view = self.inner.month(workspace)
        self._world.met[f"standing: {standing(view)}"] += 1
        return view

    def standings(self) -> list[BudgetTold]:
        """See Budget."""
        return self.inner.standings()

    def unbelieved(self, since: timedelta) -> list[Unbelieved]:
        """See Budget."""
        return self.inner.unbelieved(since)

    def told(self, workspace: UUID, state: Standing) -> None:
        """See Budget."""
        self.inner.told(workspace, state)


class WatchedBatches(_Watched):
    """`ports.Batches` over another one."""

    def __init__(self, inner: MemoryBatches, world: World) -> None:
        """`inner`: right, or deliberately wrong."""
        self.inner = inner
        self._world = world

    def is_free(self, key: str) -> bool:
        """See Batches."""
        self._world.alive()
        return self.inner.is_free(key)

    def open(self, call: CallRequest, key: str, asked: Sequence[Asked]) -> UUID | NotReserved | NotOpened:
        """See Batches."""
        made = self._done(lambda: self.inner.open(call, key, asked))
        if not isinstance(made, UUID):
            self._world.met["batch: unanswered" if isinstance(made, NotOpened) else f"money: {made}"] += 1
        return made

    def name(
        self, batch: UUID, provider_id: str, *, certain: bool, answered: bool = False, instead_of: str | None = None
    ) -> bool:
        """See Batches."""
        return self._done(
            lambda: self.inner.name(batch, provider_id, certain=certain, answered=answered, instead_of=instead_of)
        )

    def begin(self, batch: UUID) -> bool:
        """See Batches."""
        return self._done(lambda: self.inner.begin(batch))

    def give_up(self, batch: UUID, seen: str | None, *, billed: bool, after: timedelta = timedelta(0)) -> bool:
        """See Batches."""
        return self._done(lambda: self.inner.give_up(batch, seen, billed=billed, after=after))

    def checked(self, batch: UUID, checked: Checked) -> bool:
        """See Batches."""
        return self._done(lambda: self.inner.checked(batch, checked))

    def orphan(self, of: UUID, provider_id: str, *, certain: bool) -> bool:
        """See Batches."""
        return self._done(lambda: self.inner.orphan(of, provider_id, certain=certain))

    def known(self, provider_ids: Sequence[str]) -> frozenset[str]:
        """See Batches."""
        self._world.alive()
        return self.inner.known(provider_ids)

    def is_on_record(self, call: UUID) -> bool:
        """See Batches."""
        self._world.alive()
        return self.inner.is_on_record(call)

    def due(self, limit: int) -> list[Batch]:
        """See Batches."""
        self._world.point()
        return self.inner.due(limit)

    def next_due(self) -> timedelta | None:
        """See Batches."""
        return self.inner.next_due()

    def parked(self, batch: UUID, limit: int = 1000) -> list[Task]:
        """See Batches."""
        self._world.alive()
        return self.inner.parked(batch, limit)


class WatchedAnswers:
    """`ports.Answers` over another one."""

    def __init__(self, inner: MemoryAnswers, world: World) -> None:
        """`inner`: right, or deliberately wrong."""
        self.inner = inner
        self._world = world

    def find(self, workspace: UUID, keys: Sequence[str]) -> dict[str, Remembered]:
        """See Answers."""
        self._world.point()
        return self.inner.find(workspace, keys)

    def take(
        self, workspace: UUID, wanted: Sequence[Asking], by: str, lasts: timedelta
    ) -> dict[str, Remembered | Flight]:
        """See Answers."""
        self._world.point()
        taken = self.inner.take(workspace, wanted, by, lasts)
        frame = self._world.frames[-1]
        frame.took = self._world.time.seconds if frame.took is None else frame.took
        self._world.met["flight: waits"] += any(isinstance(one, Flight) and not one.mine for one in taken.values())
        self._world.met["remembered: while reading"] += any(isinstance(one, Remembered) for one in taken.values())
        self._world.point()
        return taken

    def store(self, workspace: UUID, learned: Sequence[Learned]) -> None:
        """See Answers."""
        self._world.point()
        for one in learned:
            self._world.readings.kept(workspace, one)
        self.inner.store(workspace, learned)

    def let_go(self, workspace: UUID, keys: Sequence[str], by: str) -> None:
        """See Answers."""
        self._world.point()
        self.inner.let_go(workspace, keys, by)

    def count(self, uses: Sequence[Use]) -> None:
        """See Answers."""
        self._world.alive()
        self.inner.count(uses)

    def listed(
        self, workspace: UUID, limit: int, after: tuple[datetime, str] | None = None, beginning: str = ""
    ) -> list[Remembered]:
        """See Answers."""
        return self.inner.listed(workspace, limit, after, beginning)

    def drop(self, workspace: UUID, keys: Sequence[str] | None) -> list[str]:
        """See Answers."""
        self._world.alive()
        return self.inner.drop(workspace, keys)

    def forget(self, unused_for: timedelta, limit: int = 1000) -> int:
        """See Answers."""
        self._world.alive()
        return self.inner.forget(unused_for, limit)


class Redis(MemoryFront):
    """A front that loses what it has, is not there, and into which others write. What they wrote is not signed."""

    def __init__(self) -> None:
        """Empty, and there."""
        super().__init__()
        self.is_down = False
        self._forged: set[tuple[UUID, str]] = set()

    def believes(self, workspace: UUID, key: str) -> bool:
        """Whether the entry's signature is ours."""
        return (workspace, key) not in self._forged

    def recall(self, workspace: UUID, keys: Sequence[str], prompt_version: str) -> dict[str, Learned]:
        """See Front."""
        found = {} if self.is_down else super().recall(workspace, keys, prompt_version)
        return {key: one for key, one in found.items() if self.believes(workspace, key)}

    def put(self, workspace: UUID, learned: Sequence[Learned]) -> None:
        """See Front."""
        if not self.is_down:
            self._forged -= {(workspace, one.key) for one in learned}
            super().put(workspace, learned)

    def drop(self, workspace: UUID, keys: Sequence[str]) -> bool:
        """See Front."""
        return not self.is_down and super().drop(workspace, keys)

    def forge(self) -> None:
        """Whoever can write to it makes everything harmless."""
        for (workspace, key), one in self._entries.items():
            steps = one.answer["steps"]
            forged = [_forged(step) for step in steps] if isinstance(steps, list) else []
            self._entries[workspace, key] = replace(one, answer={**one.answer, "risk": "low", "steps": forged})
            self._forged.add((workspace, key))


def _forged(step: Json) -> Json:
    if not isinstance(step, dict) or not isinstance(step["args"], dict):
        return step
    return {**step, "args": {**step["args"], "note": FORGED}}
