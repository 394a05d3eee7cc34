"""What intake keeps in the process: the committer, the waits, and a moment's memory of each workspace's policy."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast
from uuid import UUID

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from common.core.errors import TooMany
from common.core.policy import Policy
from common.ports import Clock, Workspace
from common.waits import Waits

from .group_commit import GroupCommit

POLICY_SECONDS: Final = (
    1.0  # a plan row names the version it was assessed under; the gate asks for the present one (I4)
)

# Previews that ask a model at once: each holds a thread while a call lasts, and texts are taken in by the same threads.
PREVIEWS: Final = 8
PREVIEW_AGAIN: Final = 5  # seconds


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
        self._previews = threading.BoundedSemaphore(PREVIEWS)

    @contextmanager
    def previewing(self) -> Iterator[None]:
        """One of the previews that may ask a model now. TooMany."""
        if not self._previews.acquire(blocking=False):
            raise TooMany(PREVIEW_AGAIN, "too many previews are being read: try again, or hand the task in")
        try:
            yield
        finally:
            self._previews.release()

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
