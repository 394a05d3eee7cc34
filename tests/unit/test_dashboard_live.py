"""Live streams: nothing is missed, nothing is told twice, and one look serves everybody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import timedelta
from uuid import UUID

import pytest

from common import api
from common.core.lifecycle import move
from common.core.task import State
from common.ports import EventRecord
from common.views import event_view
from functions.dashboard import live
from functions.dashboard.live import Feed, Hub
from tests.unit.desk import Desk, desk

PLAN = {"plan": {"steps": [{"id": "v", "action": "value", "args": {"value": 1}}]}}


@pytest.fixture
def at() -> Iterator[Desk]:
    """The five functions over memory."""
    with desk() as it:
        yield it


@pytest.fixture
def operator(at: Desk) -> dict[str, str]:
    """An operator's headers."""
    return at.token("operator")


def shown(record: EventRecord) -> api.Event:
    """As a viewer sees it."""
    return event_view(record, "viewer", "en")


def feed(at: Desk) -> Feed:
    """A reader's streams over a hub of their own."""
    return Feed(Hub(at.container.reads), at.container.reads, at.workspace, shown, lambda: True)


def submit(at: Desk, operator: dict[str, str]) -> UUID:
    """A queued task."""
    return UUID(at.clients["analyze"].post("/api/v1/tasks", json=PLAN, headers=operator).json()["id"])


def cancel(at: Desk, task: UUID) -> None:
    """End a task."""
    [found] = at.container.queue.get(at.workspace, [task])
    assert at.container.queue.apply([move(found, "cancelled", State.CANCELLED, None, "test")])


async def events_of(stream: AsyncIterator[bytes], count: int) -> list[dict[str, str]]:
    """The next events of a stream, as fields; ends early where the stream ends."""
    found: list[dict[str, str]] = []
    async for chunk in stream:
        fields = dict(line.split(": ", 1) for line in chunk.decode().strip().split("\n") if ": " in line)
        if "data" in fields:
            found.append(fields)
        if len(found) == count:
            break
    return found


def test_a_tasks_stream_tells_its_history_then_what_comes_and_ends_with_the_task(
    at: Desk, operator: dict[str, str]
) -> None:
    """A stream opened late misses nothing, and closes itself once nothing can come any more."""
    task = submit(at, operator)

    async def scene() -> list[dict[str, str]]:
        async def later() -> None:
            await asyncio.sleep(0.1)
            await asyncio.to_thread(submit, at, operator)
            await asyncio.to_thread(cancel, at, task)

        ending = asyncio.create_task(later())
        found = await asyncio.wait_for(events_of(feed(at).task(task, 0), 99), 10)
        await ending
        return found

    found = asyncio.run(scene())
    assert [event["id"] for event in found] == ["1", "2"]
    assert [api.Event.model_validate_json(event["data"]).kind for event in found] == ["submitted", "cancelled"]


def test_a_tasks_stream_resumes_after_the_last_event_that_was_seen(at: Desk, operator: dict[str, str]) -> None:
    """Last-Event-ID is a `seq`: what was seen is not told again."""
    task = submit(at, operator)
    cancel(at, task)
    found = asyncio.run(events_of(feed(at).task(task, 1), 99))
    assert [event["id"] for event in found] == ["2"]


def test_a_workspaces_stream_resumes_without_gap_or_repeat(at: Desk, operator: dict[str, str]) -> None:
    """From a position on: everything after it once, whether it was there before the stream opened or came later."""
    submit(at, operator)
    [newest] = at.container.reads.workspace_events(at.workspace, None, 1)
    missed = submit(at, operator)

    async def scene() -> tuple[list[dict[str, str]], UUID]:
        stream = feed(at).all(newest.position)
        first = await events_of(stream, 1)
        came = await asyncio.to_thread(submit, at, operator)
        return first + await asyncio.wait_for(events_of(stream, 1), 10), came

    found, came = asyncio.run(scene())
    assert [api.Event.model_validate_json(event["data"]).task_id for event in found] == [missed, came]


def test_a_workspaces_stream_begins_with_now_in_a_workspace_without_any_event(
    at: Desk, operator: dict[str, str]
) -> None:
    """The very first event of an installation is seen by whoever looks already."""

    async def scene() -> list[dict[str, str]]:
        async def later() -> None:
            await asyncio.sleep(0.1)
            await asyncio.to_thread(submit, at, operator)

        coming = asyncio.create_task(later())
        found = await asyncio.wait_for(events_of(feed(at).all(None), 1), 10)
        await coming
        return found

    assert len(asyncio.run(scene())) == 1


def test_a_wake_makes_the_next_look_come_at_once(
    at: Desk, operator: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a look every hour, the event arrives in the moment of the wake."""
    monkeypatch.setattr(live, "LOOK_SECONDS", 3600.0)

    async def scene() -> int:
        it = feed(at)
        waiting = asyncio.create_task(events_of(it.all(None), 1))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(submit, at, operator)
        it.hub.woken()
        return len(await asyncio.wait_for(waiting, 10))

    assert asyncio.run(scene()) == 1


def test_a_silent_stream_has_a_heartbeat_and_a_stop_ends_it(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies keep it open; a drain does not wait for readers who would stay for ever."""
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.05)

    async def scene() -> list[bytes]:
        it = feed(at)
        chunks: list[bytes] = []
        async for chunk in it.all(None):
            chunks.append(chunk)
            if len(chunks) == 3:
                it.hub.close()
        return chunks

    chunks = asyncio.run(asyncio.wait_for(scene(), 10))
    assert chunks[1:3] == [b": ping\n\n"] * 2


def test_a_reader_that_does_not_keep_up_is_sent_away_to_come_back(at: Desk, operator: dict[str, str]) -> None:
    """A slow reader costs bounded memory: its stream ends, and Last-Event-ID finds the rest."""
    submit(at, operator)
    [record] = at.container.reads.workspace_events(at.workspace, None, 1)

    async def scene() -> int:
        watcher = live.Watcher()
        for _ in range(live.BACKLOG + 1):
            watcher.offer(record)
        assert watcher.queue.get_nowait() is None
        return watcher.queue.qsize()

    assert asyncio.run(scene()) == 0


def test_no_look_is_made_for_nobody(at: Desk) -> None:
    """Once the last reader has gone, the hub asks the database for nothing."""

    async def scene() -> bool:
        hub = Hub(at.container.reads)
        async with hub.watching(at.workspace):
            looking = hub._looking
        hub._woken.set()
        assert looking is not None
        await asyncio.wait_for(looking, 5)
        return looking.done()

    assert asyncio.run(scene())


def test_a_waiting_answer_comes_with_the_task(at: Desk, operator: dict[str, str]) -> None:
    """`?wait=` of the dashboard answers as soon as the task is settled, long before its time is over."""
    task = submit(at, operator)
    ender = threading.Timer(0.2, cancel, (at, task))
    ender.start()
    answer = at.clients["dashboard"].get(f"/api/v1/tasks/{task}?wait=30", headers=operator)
    ender.join()
    assert answer.json()["state"] == "cancelled"
    assert answer.elapsed < timedelta(seconds=10)


def test_a_page_is_told_when_nothing_can_be_missed_any_more(at: Desk, operator: dict[str, str]) -> None:
    """What happens after the greeting is told; so a page that then looks once more is up to date for good."""

    async def scene() -> list[bytes]:
        it = feed(at)
        greeted = Feed(it.hub, it.reads, it.workspace, it.shown, it.allowed, live.READY)
        async with aclosing(greeted.all(None)) as stream:
            chunks = [await anext(stream), await anext(stream)]
            await asyncio.to_thread(submit, at, operator)
            return [*chunks, await asyncio.wait_for(anext(stream), 10)]

    _, greeting, told = asyncio.run(scene())
    assert greeting == b"event: ready\ndata: {}\n\n"
    assert b"submitted" in told
