"""Requests that wait for a task to settle (`?wait=`). One look a second serves all of them; a wake makes it at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False

    def woken(self) -> None:
        """Something finished somewhere: look now."""
        if self._waited:
            self._woken.set()

    def end(self) -> None:
        """Answer everybody as things stand: the process is about to stop. From any thread."""
        self._ended = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._answer, list(self._waited))

    def _answer(self, tasks: Iterable[UUID]) -> None:
        for task in tasks:
            for future in self._waited.get(task, ()):
                if not future.done():
                    future.set_result(None)

    async def settled(self, task: UUID, seconds: float) -> None:
        """Return once the task is terminal, waits for approval or for a person; or when the time is over."""
        if self._ended:
            return
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = self._loop.create_future()
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
            self._answer(await run_in_threadpool(self._reads.settled, list(self._waited)))
            await asyncio.sleep(0)  # let those that were answered leave
            if self._waited:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), LOOK_SECONDS)
