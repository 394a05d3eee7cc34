"""Reading tasks, their history and results; cancelling one."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Header, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse
from starlette.responses import Response

from common import api
from common.awaited import read_soon
from common.core.errors import Conflict, IllegalTransition, NotFound
from common.core.lifecycle import Detail, move
from common.core.task import LEASED, TERMINAL, Json, Lang, State, Task
from common.page import cursor_after, not_a_cursor, page_from, read_cursor
from common.ports import EventRecord, Principal, TaskFilter, TaskRecord
from common.transitions import write
from common.views import event_view, task_view
from common.web import ReaderLang, TaskRef, Who, Wired

from .live import FROM_THE_START, Feed, Serving

STREAM: Final = "text/event-stream"
CANCEL_TRIES: Final = 5  # a worker may move the task between the look and the write
# What an action fetched is foreign: it is never shown as a page of ours, whatever it says it is.
FOREIGN: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "no-store",
}
STREAMING: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


# --- lists ------------------------------------------------------------------------------------------------------------


def list_tasks(query: Annotated[api.TaskQuery, Query()], who: Who, wired: Wired, lang: ReaderLang) -> api.TaskList:
    """Tasks, newest first; `next` is the cursor of the page after."""
    records, following = page_of(query, who, wired)
    return api.TaskList(items=[task_view(r, who.role, lang) for r in records], next=following)


def page_of(query: api.TaskQuery, who: Principal, wired: Wired) -> tuple[list[TaskRecord], str | None]:
    """One page of records, and the cursor of the next."""
    filters = TaskFilter(
        states=tuple(query.state),
        risk=query.risk,
        kind=query.kind,
        tag=query.tag,
        q=query.q,
        since=query.since,
        until=query.until,
        before=_before(query.cursor),
        limit=query.limit,
    )
    found = wired.reads.tasks(who.workspace, filters)
    page = found[: query.limit]
    return page, cursor_after(str(page[-1].task.id)) if len(found) > query.limit else None


def _before(cursor: str | None) -> UUID | None:
    last = read_cursor(cursor)
    try:
        return None if last is None else UUID(last)
    except ValueError as exc:
        raise not_a_cursor() from exc


# --- one task ---------------------------------------------------------------------------------------------------------


async def get_task(
    id: TaskRef,
    query: Annotated[api.WaitQuery, Query()],
    who: Who,
    wired: Wired,
    serving: Serving,
    lang: ReaderLang,
) -> api.Task:
    """One task; with `wait`, once it is settled or the time is over."""
    record = await run_in_threadpool(record_of, id, who, wired)
    if query.wait and not settled(record.task.state):
        if record.task.state is State.RECEIVED:
            await run_in_threadpool(read_soon, wired, who.workspace, [id])
        found = await serving.waits.settled(who.workspace, [id], query.wait)
        record = found if found is not None else await run_in_threadpool(record_of, id, who, wired)
    return task_view(record, who.role, lang)


def settled(state: State) -> bool:
    """Whether a `?wait=` has nothing left to wait for."""
    return state in TERMINAL or state in {State.AWAITING_APPROVAL, State.MANUAL}


def record_of(task: UUID, who: Principal, wired: Wired) -> TaskRecord:
    """The task as stored. NotFound if it is not this workspace's."""
    record = wired.reads.task(who.workspace, task)
    if record is None:
        raise NotFound(f"no task {task}")
    return record


# --- history ----------------------------------------------------------------------------------------------------------


async def wants_stream(accept: Annotated[str, Header()] = "") -> bool:
    """Whether the client asks for a live stream."""
    return STREAM in accept.lower()


Streaming = Annotated[bool, Depends(wants_stream)]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=200)]


def _feed(who: Who, wired: Wired, serving: Serving, lang: ReaderLang, streaming: Streaming) -> Feed | None:
    """What tells events as they happen, if that is asked for."""
    if not streaming:
        return None
    return Feed(
        serving.hub,
        wired.reads,
        who.workspace,
        lambda r: event_view(r, who.role, lang),
        lambda: wired.doorkeeper.still(who),
    )


Live = Annotated[Feed | None, Depends(_feed)]


async def task_events(
    id: TaskRef,
    who: Who,
    wired: Wired,
    lang: ReaderLang,
    live: Live,
    query: Annotated[api.PageQuery, Query()],
    last_event_id: LastEventId = None,
) -> Response:
    """A task's history; with `Accept: text/event-stream` live until it ends, resumable by `Last-Event-ID` (a `seq`)."""
    await run_in_threadpool(record_of, id, who, wired)
    after = int(last_event_id) if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 10 else 0  # noqa: PLR2004 - an int4
    if live is not None:
        return EventSourceResponse(live.task(id, after), headers=STREAMING)
    found = await run_in_threadpool(wired.reads.events, who.workspace, id, after)
    page, following = page_from(found, query, lambda r: f"{r.event.seq:010}")
    return _told(page, following, who, lang)


async def events(
    who: Who,
    wired: Wired,
    lang: ReaderLang,
    live: Live,
    query: Annotated[api.PageQuery, Query()],
    last_event_id: LastEventId = None,
) -> Response:
    """The workspace's events; live as a stream. `Last-Event-ID`, also without streaming: those after it.

    As JSON without it: nothing older than the newest event, whose position is `next`; ask again with that as `cursor`.
    """
    if live is not None:
        return EventSourceResponse(live.all(last_event_id), headers=STREAMING)
    after = last_event_id or query.cursor
    found = await run_in_threadpool(wired.reads.workspace_events, who.workspace, after, query.limit)
    return _told(found, found[-1].position if found else after or FROM_THE_START or None, who, lang)


def _told(events: Sequence[EventRecord], following: str | None, who: Principal, lang: Lang) -> Response:
    body = api.EventList(items=[event_view(r, who.role, lang) for r in events], next=following)
    return Response(body.model_dump_json(), media_type="application/json")


def task_result(id: TaskRef, step: str, who: Who, wired: Wired) -> Response:
    """A done step's output as an attachment: text as text, everything else as JSON."""
    record_of(id, who, wired)
    output = wired.reads.result(who.workspace, id, step[:64])
    if output is None:
        raise NotFound(f"no result of step {step[:64]!r}")
    body, media, ending = rendered(output)
    name = f"{id.hex[-8:]}-{''.join(c for c in step if c.isalnum() or c == '_')}.{ending}"
    return Response(
        body, media_type=media, headers={**FOREIGN, "Content-Disposition": f'attachment; filename="{name}"'}
    )


def rendered(output: Json) -> tuple[bytes, str, str]:
    """An output's bytes, media type and file ending. Bytes that were no text are stored as base64."""
    if isinstance(output, dict):
        if isinstance(output.get("base64"), str):
            return base64.b64decode(str(output["base64"])), "application/octet-stream", "bin"
        if isinstance(output.get("text"), str) and "json" not in output:
            return str(output["text"]).encode(errors="replace"), "text/plain; charset=utf-8", "txt"
        if "json" in output and "status" in output:
            output = output["json"]
    if isinstance(output, str):
        return output.encode(errors="replace"), "text/plain; charset=utf-8", "txt"
    return json.dumps(output, ensure_ascii=False, indent=2).encode(errors="replace"), "application/json", "json"


# --- cancel -----------------------------------------------------------------------------------------------------------


def cancel(
    id: TaskRef,
    note: api.Note,
    who: Who,
    wired: Wired,
    lang: ReaderLang,
) -> api.Task:
    """Cancel a task. While a worker has it this is a request, carried out once no attempt is open."""
    for _ in range(CANCEL_TRIES):
        if _cancelled(_present(id, who, wired), note.note, who, wired):
            return task_view(record_of(id, who, wired), who.role, lang)
    raise Conflict("it moves too fast; ask again")


def _present(task: UUID, who: Principal, wired: Wired) -> Task:
    found = wired.queue.get(who.workspace, [task])
    if not found:
        raise NotFound(f"no task {task}")
    return found[0]


def _cancelled(task: Task, note: str | None, who: Principal, wired: Wired) -> bool:
    """Whether the write met the state that was looked at."""
    if task.state in TERMINAL:
        raise IllegalTransition("cancelled", task.state)
    actor = f"person:{who.person}"
    if task.state in LEASED and task.batch is None:
        return wired.queue.request_cancel(who.workspace, task.id, note, actor)
    change = move(task, "cancelled", State.CANCELLED, None, actor, detail=Detail(note=note))
    return task.id in write(wired.queue, wired.notifier, [change])
