"""`ports.Queue` on PostgreSQL: a method is one statement and one commit. They are in add, claim, gate and apply."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from common.adapters.postgres import add as intake, apply as changes, claim as leases, gate, pack_claim
from common.adapters.postgres.connection import Database
from common.adapters.postgres.documents import uuids
from common.adapters.postgres.rows import tasks_from
from common.core.lifecycle import NextStep, Transition
from common.core.task import State, Task
from common.ports import Added, AddRefused, Begin, Begun, Claim, Forming, NotBegun, Submission


class PostgresQueue:
    """`ports.Queue`."""

    def __init__(self, database: Database) -> None:
        """`database`: as `aiw_app`, or `aiw_approve` for what needs no intake."""
        self._database = database

    def add(self, batch: Sequence[Submission]) -> list[Added | AddRefused]:
        """See ports.Queue."""
        return intake.add(self._database, batch)

    def known(self, submission: Submission) -> Added | AddRefused | None:
        """See ports.Queue."""
        return intake.known(self._database, submission)

    def claim(
        self, state: State, worker: str, limit: int, lease: timedelta, without: Collection[UUID] = ()
    ) -> list[Task]:
        """See ports.Queue."""
        return leases.claim(self._database, state, worker, limit, lease, without)

    def claim_packs(self, worker: str, forming: Forming, lease: timedelta) -> list[list[Task]]:
        """See ports.Queue."""
        return pack_claim.claim_packs(self._database, worker, forming, lease)

    def next_pack(self, forming: Forming) -> timedelta | None:
        """See ports.Queue."""
        return pack_claim.next_pack(self._database, forming)

    def renew(self, held: Sequence[tuple[UUID, int]], lease: timedelta) -> frozenset[UUID]:
        """See ports.Queue."""
        return leases.renew(self._database, held, lease)

    def begin(self, wanted: Sequence[Begin]) -> list[Begun | NotBegun]:
        """See ports.Queue."""
        return gate.begin(self._database, wanted)

    def apply(self, batch: Sequence[Transition | NextStep]) -> frozenset[UUID]:
        """See ports.Queue."""
        return changes.apply(self._database, batch)

    def apply_then_claim(
        self, batch: Sequence[Transition | NextStep], claim: Claim
    ) -> tuple[frozenset[UUID], list[Task]]:
        """See ports.Queue."""
        return leases.apply_then_claim(self._database, batch, claim)

    def request_cancel(self, workspace: UUID, task: UUID, note: str | None, actor: str) -> bool:
        """See ports.Queue."""
        return leases.request_cancel(self._database, workspace, task, note, actor)

    def hasten(self, workspace: UUID, waiting_for: str) -> int:
        """See ports.Queue."""
        return len(self._database.run(leases.HASTEN, str(workspace), waiting_for))

    def awaited(self, workspace: UUID, tasks: Sequence[UUID], linger: timedelta) -> int:
        """See ports.Queue."""
        seconds = str(linger.total_seconds())
        return len(self._database.run(leases.AWAITED, str(workspace), uuids(tasks), seconds))

    def due(self, limit: int) -> list[Task]:
        """See ports.Queue."""
        return tasks_from(self._database.run(leases.DUE, str(limit)))

    def next_due(self, state: State) -> timedelta | None:
        """See ports.Queue."""
        return leases.next_due(self._database, state)

    def get(self, workspace: UUID, ids: Sequence[UUID]) -> list[Task]:
        """See ports.Queue."""
        return tasks_from(self._database.run(leases.GET, str(workspace), uuids(ids)))

    def forget(self, limit: int) -> int:
        """See ports.Queue."""
        return len(self._database.run(intake.FORGET, str(limit)))
