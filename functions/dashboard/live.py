"""Live streams: one look a second serves everybody who watches a workspace.

A wake (`POST /`) only makes the next look come at once. It reaches one replica and may be lost, so what is relied on is
the look by the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Annotated, Final, cast
from uuid import UUID

import httpx2
from fastapi import Depends
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.requests import Request

from common import api
from common.claim_loop import Turn
from common.core.errors import Unavailable
from common.core.task import TERMINAL
from common.ports import EventRecord, Reads
from common.waits import Waits
from common.web import Function
from common.wiring import Container

from .codes import SignInLimits

LOOK_SECONDS: Final = 1.0  # how stale an answer may be when the wake was lost
GATHER_SECONDS: Final = 0.02  # wakes come in bursts: one look serves them
HEARTBEAT_SECONDS: Final = 15.0  # under every proxy's idle timeout, nginx's 60 s the shortest
PAGE: Final = 500  # events a look
BACKLOG: Final = 5_000  # of a reader that does not keep up: it is dropped, and resumes by Last-Event-ID
FROM_THE_START: Final = ""  # the position before the first event
RETRY_MS: Final = 1_000  # a browser comes back after this long

BEGIN: Final = format_sse_event(comment="live", retry=RETRY_MS)
# A page was made before its stream: told this, it asks for itself once more, and from then on it is told everything.
READY: Final = format_sse_event(event="ready", data_str="{}")


@dataclass(eq=False)
class Watcher:
    """One open stream of a workspace: what the shared look has found and it has not yet sent."""

    queue: asyncio.Queue[EventRecord | None] = field(default_factory=lambda: asyncio.Queue(BACKLOG))

    def offer(self, record: EventRecord) -> None:
        """Hand it one; a reader that is too slow is told to go and come back."""
        if self.queue.full():
            self.end()
        else:
            self.queue.put_nowait(record)

    def end(self) -> None:
        """Its stream ends; what it has not sent yet it finds again by Last-Event-ID."""
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


@dataclass(eq=False)
class Tail:
    """The shared look at one workspace: up to where, and who is told."""

    position: str
    watchers: set[Watcher] = field(default_factory=set)


class Hub:
    """The shared looks of one process; lives on its event loop."""

    def __init__(self, reads: Reads) -> None:
        """`reads`: where the events are looked for."""
        self._reads = reads
        self._tails: dict[UUID, Tail] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._closed = False

    def woken(self) -> None:
        """Something happened somewhere: look now rather than in a second."""
        if self._tails:
            self._woken.set()

    def close(self) -> None:
        """End every stream: the process is about to stop, and browsers come back to another. From any thread."""
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end_all)

    def _end_all(self) -> None:
        for tail in self._tails.values():
            for watcher in tail.watchers:
                watcher.end()

    @contextlib.asynccontextmanager
    async def watching(self, workspace: UUID) -> AsyncIterator[Watcher]:
        """Be told of the workspace's events from now on."""
        self._loop = asyncio.get_running_loop()
        if workspace not in self._tails:
            newest = await run_in_threadpool(self._reads.workspace_events, workspace, None, 1)
            self._tails.setdefault(workspace, Tail(newest[-1].position if newest else FROM_THE_START))
        tail = self._tails[workspace]
        watcher = Watcher()
        tail.watchers.add(watcher)
        if self._closed:
            watcher.end()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._keep_looking(), name="live")
        try:
            yield watcher
        finally:
            tail.watchers.discard(watcher)
            if not tail.watchers and self._tails.get(workspace) is tail:
                del self._tails[workspace]

    async def _keep_looking(self) -> None:
        while self._tails and not self._closed:
            self._woken.clear()
            with contextlib.suppress(Unavailable):  # the next look is a second away
                await self._look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), LOOK_SECONDS)
                await asyncio.sleep(GATHER_SECONDS)

    async def _look(self) -> None:
        for workspace, tail in list(self._tails.items()):
            found = await run_in_threadpool(self._reads.workspace_events, workspace, tail.position, PAGE)
            for record in found:
                tail.position = record.position
                for watcher in tail.watchers:
                    watcher.offer(record)
            if len(found) == PAGE:
                self._woken.set()


@dataclass(frozen=True, slots=True)
class Feed:
    """A reader's streams: what of the hub's events they see, and how."""

    hub: Hub
    reads: Reads
    workspace: UUID
    shown: Callable[[EventRecord], api.Event]
    allowed: Callable[[], bool]  # whether the reader still may; asked with every heartbeat
    greeting: bytes = b""  # sent once nothing can be missed any more

    async def task(self, task: UUID, after_seq: int) -> AsyncGenerator[bytes, None]:
        """A task's events after `after_seq`, then live; ends with the terminal one. Last-Event-ID is a `seq`."""
        yield BEGIN
        async with self.hub.watching(self.workspace) as watcher:
            for record in await run_in_threadpool(self.reads.events, self.workspace, task, after_seq):
                after_seq = record.event.seq
                yield self._sent(record, str(after_seq))
                if record.event.to_state in TERMINAL:
                    return
            async for found in _following(watcher, self.allowed):
                if isinstance(found, bytes):
                    yield found
                elif found.event.task_id == task and found.event.seq > after_seq:
                    after_seq = found.event.seq
                    yield self._sent(found, str(after_seq))
                    if found.event.to_state in TERMINAL:
                        return

    async def all(self, after: str | None) -> AsyncGenerator[bytes, None]:
        """The workspace's events after a position (None: from now on), without end. Last-Event-ID is the position."""
        yield BEGIN
        async with self.hub.watching(self.workspace) as watcher:
            if self.greeting:
                yield self.greeting
            caught_up: set[tuple[UUID, int]] = set()
            while after is not None:
                found = await run_in_threadpool(self.reads.workspace_events, self.workspace, after, PAGE)
                for record in found:
                    after = record.position
                    caught_up.add((record.event.task_id, record.event.seq))
                    yield self._sent(record, record.position)
                if len(found) < PAGE:
                    break
            async for told in _following(watcher, self.allowed):
                if isinstance(told, bytes):
                    yield told
                elif (told.event.task_id, told.event.seq) not in caught_up:
                    yield self._sent(told, told.position)

    def _sent(self, record: EventRecord, identity: str) -> bytes:
        return format_sse_event(data_str=self.shown(record).model_dump_json(), event="event", id=identity)


async def _following(watcher: Watcher, allowed: Callable[[], bool]) -> AsyncIterator[EventRecord | bytes]:
    """What comes, and a heartbeat where nothing does; ends when the stream is to end, or the reader's token has."""
    now = asyncio.get_running_loop().time
    ask_at = now() + HEARTBEAT_SECONDS
    while True:
        found: EventRecord | bytes | None
        try:
            found = await asyncio.wait_for(watcher.queue.get(), max(0.0, ask_at - now()))
        except TimeoutError:
            found = KEEPALIVE_COMMENT
        if now() >= ask_at:
            if not await run_in_threadpool(allowed):
                return
            ask_at = now() + HEARTBEAT_SECONDS
        if found is None:
            return
        yield found


class Live(Function):
    """What the process keeps besides its endpoints. It claims nothing: a wake ends waits and moves streams."""

    def __init__(self, container: Container) -> None:
        """`container`: whose reads are looked at."""
        self.waits = Waits(container.reads)
        self.hub = Hub(container.reads)
        self.sign_ins = SignInLimits(container.clock)
        self.way: httpx2.AsyncBaseTransport | None = None  # by which forms are sent on; None: the network

    def turn(self) -> Turn:
        """Nothing is claimed here."""
        return Turn()

    def woken(self) -> None:
        """See `common.web.Function`."""
        self.waits.woken()
        self.hub.woken()

    def ending(self) -> None:
        """See `common.web.Function`."""
        self.hub.close()
        self.waits.end()


async def _serving(request: Request) -> Live:
    return cast("Live", request.app.state.function)


Serving = Annotated[Live, Depends(_serving)]
