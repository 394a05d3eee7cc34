"""What intake keeps in the process: the committer, the waits, and a moment's memory of each workspace's policy."""

from __future__ import annotations

import asyncio
from typing import Final, cast
from uuid import UUID

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from common.core.policy import Policy
from common.ports import Clock, Workspace
from common.waits import Waits

from .group_commit import GroupCommit

POLICY_SECONDS: Final = (
    1.0  # a plan row names the version it was assessed under; the gate asks for the present one (I4)
)


class Intake:
    """Of one process."""

    def __init__(self, commit: GroupCommit, waits: Waits, workspace: Workspace, clock: Clock) -> None:
        """Everything is the process's own."""
        self.commit = commit
        self.waits = waits
        self._workspace = workspace
        self._clock = clock
        self._policies: dict[UUID, tuple[float, Policy]] = {}
        self._asked: dict[UUID, asyncio.Task[Policy]] = {}

    async def policy(self, workspace: UUID) -> Policy:
        """The workspace's policy, a second old at most."""
        known = self._policies.get(workspace)
        if known is not None and known[0] >= self._clock.monotonic():
            return known[1]
        # All that come while it is looked up wait for the one look; it goes on if the first of them leaves.
        asked = self._asked.get(workspace)
        if asked is None:
            asked = self._asked[workspace] = asyncio.create_task(self._look_up(workspace))
        return await asyncio.shield(asked)

    async def _look_up(self, workspace: UUID) -> Policy:
        try:
            policy = await run_in_threadpool(self._workspace.policy, workspace)
            self._policies[workspace] = (self._clock.monotonic() + POLICY_SECONDS, policy)
            return policy
        finally:
            del self._asked[workspace]


def intake_of(request: Request) -> Intake:
    """The process's intake."""
    return cast("Intake", request.app.state.function.intake)
