"""Requests that wait for a task to settle (`?wait=`). One look a second serves all of them; a wake makes it at once."""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from common.ports import Reads

LOOK_SECONDS: Final = 1.0  # a wake reaches one replica; this one looks by itself as well


class Waits:
    """Of one process; lives on its event loop."""

    def __init__(self, reads: Reads) -> None:
        """`reads`: where the waited tasks are looked at."""
        self._reads = reads
        self._waited: dict[UUID, set[asyncio.Future[None]]] = {}
        self._woken = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    def woken(self) -> None:
        """Something finished somewhere: look now."""
        if self._waited:
            self._woken.set()

    async def settled(self, task: UUID, seconds: float) -> None:
        """Return once the task is terminal, waits for approval or for a person; or when the time is over."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waited.setdefault(task, set()).add(future)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        # It may have settled before it was waited for: an event in between would be lost without this look.
        self._woken.set()
        try:
            await asyncio.wait_for(future, seconds)
        except TimeoutError:
            return
        finally:
            self._leave(task, future)

    def _leave(self, task: UUID, future: asyncio.Future[None]) -> None:
        futures = self._waited.get(task, set())
        futures.discard(future)
        if not futures:
            self._waited.pop(task, None)

    async def _look(self) -> None:
        while self._waited:
            self._woken.clear()
            for task in await run_in_threadpool(self._reads.settled, list(self._waited)):
                for future in self._waited.get(task, ()):
                    if not future.done():
                        future.set_result(None)
            await asyncio.sleep(0)  # let those that were answered leave
            if self._waited:
                await asyncio.wait([asyncio.create_task(self._woken.wait())], timeout=LOOK_SECONDS)
