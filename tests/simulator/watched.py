"""A queue in whose every call something may happen, and after which the oracle looks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from common.adapters.memory.queue import MemoryQueue
from common.core.lifecycle import NextStep, Transition
from common.core.task import State, Task
from common.ports import Added, AddRefused, Begin, Begun, Claim, Forming, NotBegun, Submission

if TYPE_CHECKING:
    from tests.simulator.world import World


class WatchedQueue:
    """`ports.Queue` over another one."""

    def __init__(self, inner: MemoryQueue, world: World) -> None:
        """`inner`: right, or deliberately wrong."""
        self.inner = inner
        self._world = world

    def add(self, batch: Sequence[Submission]) -> list[Added | AddRefused]:
        """See Queue."""
        answers = self.inner.add(batch)
        self._world.oracle.look()
        return answers

    def known(self, submission: Submission) -> Added | AddRefused | None:
        """See Queue."""
        return self.inner.known(submission)

    def claim(
        self, state: State, worker: str, limit: int, lease: timedelta, without: Collection[UUID] = ()
    ) -> list[Task]:
        """See Queue."""
        self._world.point()
        tasks = self.inner.claim(state, worker, limit, lease, without)
        self._claimed(tasks)
        return tasks

    def claim_packs(self, worker: str, forming: Forming, lease: timedelta) -> list[list[Task]]:
        """See Queue."""
        self._world.point()
        packs = self.inner.claim_packs(worker, forming, lease)
        self._claimed([task for pack in packs for task in pack])
        return packs

    def next_pack(self, forming: Forming) -> timedelta | None:
        """See Queue."""
        self._world.alive()
        return self.inner.next_pack(forming)

    def _claimed(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self._world.grants.held[task.id, task.lease_no] = task.plan
        self._world.oracle.look()
        self._world.point()

    def renew(self, held: Sequence[tuple[UUID, int]], lease: timedelta) -> frozenset[UUID]:
        """See Queue."""
        self._world.alive()
        return self.inner.renew(held, lease)

    def begin(self, wanted: Sequence[Begin]) -> list[Begun | NotBegun]:
        """See Queue."""
        self._world.point()
        store = self.inner.store
        rows = [(store.tasks.get(begin.task_id), begin) for begin in wanted]
        alive = [
            row is not None
            and row.state is State.RUNNING
            and row.lease_no == begin.lease_no
            and row.next_check_at is not None
            and row.next_check_at > store.now
            for row, begin in rows
        ]
        answers = self.inner.begin(wanted)
        for one in answers:
            if isinstance(one, NotBegun):
                self._world.met[f"gate: {one.why}"] += 1
        self._world.grants.begun(wanted, answers, alive)
        self._world.oracle.look()
        self._world.point()
        return answers

    def apply(self, batch: Sequence[Transition | NextStep]) -> frozenset[UUID]:
        """See Queue."""
        self._world.point(batch)
        applied = self.deliver(batch)
        self._world.point()
        return applied

    def apply_then_claim(
        self, batch: Sequence[Transition | NextStep], claim: Claim
    ) -> tuple[frozenset[UUID], list[Task]]:
        """See Queue: one commit, in which nothing else happens."""
        self._world.point(batch)
        applied = self.deliver(batch)
        tasks = self.inner.claim(claim.state, claim.worker, claim.limit, claim.lease, claim.without)
        self._claimed(tasks)
        return applied, tasks

    def deliver(self, batch: Sequence[Transition | NextStep]) -> frozenset[UUID]:
        """A batch arrives."""
        self._world.alive()
        check = self._world.oracle.stale(batch)
        applied = self.inner.apply(batch)
        check()
        self._world.oracle.look()
        return applied

    def request_cancel(self, workspace: UUID, task: UUID, note: str | None, actor: str) -> bool:
        """See Queue."""
        self._world.alive()
        return self.inner.request_cancel(workspace, task, note, actor)

    def hasten(self, workspace: UUID, waiting_for: str) -> int:
        """See Queue."""
        hastened = self.inner.hasten(workspace, waiting_for)
        self._world.oracle.look()
        return hastened

    def awaited(self, workspace: UUID, tasks: Sequence[UUID], linger: timedelta) -> int:
        """See Queue."""
        waited = self.inner.awaited(workspace, tasks, linger)
        self._world.oracle.look()
        return waited

    def due(self, limit: int) -> list[Task]:
        """See Queue."""
        tasks = self.inner.due(limit)
        self._world.point()
        return tasks

    def next_due(self, state: State) -> timedelta | None:
        """See Queue."""
        return self.inner.next_due(state)

    def forget(self, limit: int) -> int:
        """See Queue."""
        return self.inner.forget(limit)

    def get(self, workspace: UUID, ids: Sequence[UUID]) -> list[Task]:
        """See Queue."""
        self._world.alive()
        return self.inner.get(workspace, ids)
