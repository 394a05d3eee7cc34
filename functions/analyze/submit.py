"""`POST /tasks`: a request becomes a task; a plan that is typed or known is decided at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from common import api
from common.awaited import read_soon
from common.body import text_fault
from common.core.errors import Conflict, FieldError, Invalid, Unauthenticated
from common.core.policy import Policy, destination, planned
from common.core.task import (
    PRIORITY_DEFAULT,
    Json,
    Lang,
    Origin,
    Plan,
    PlanSource,
    Request,
    State,
    Task,
    uuid7,
)
from common.ports import APART, Added, AddRefused, NewTask, Principal, Submission
from common.problems import invalid_from, reader_lang
from common.table_route import JsonBytes
from common.views import stored_view, task_view
from common.wiring import Container

from .intake import intake_of
from .recalled import recalled

KEY_MAX: Final = 200
INLINE_BYTES: Final = 64_000


async def submit(request: HttpRequest) -> Response:
    """Store one task, or an array of up to 1,000: all of them or none."""
    wired: Container = request.app.state.container
    who: Principal = request.state.principal
    lang = reader_lang(request)
    query = _wait_of(request)
    given: Json = await request.json()
    many = isinstance(given, list)
    intake = intake_of(request)
    policy = await intake.policy(who.workspace)
    key = _key(request)
    submission = Submission(
        token_sha256=who.token_sha256,
        tasks=(),
        key=key,
        body_sha256="" if key is None else hashlib.sha256(await request.body()).hexdigest(),
    )
    tasks: tuple[NewTask, ...] = ()
    added: Added | AddRefused | None
    try:
        # What is large takes too long for the loop that serves everybody; a text is looked up, which waits for Redis.
        if len(await request.body()) > INLINE_BYTES or _has_text(given):
            tasks = await run_in_threadpool(new_tasks, given, wired, who, lang, policy)
        else:
            tasks = new_tasks(given, wired, who, lang, policy)
    except Invalid:
        # What this key stands for is answered as it was stored, though settings or the time would refuse it by now.
        added = None if key is None else await run_in_threadpool(wired.queue.known, submission)
        if added is None:
            raise
    else:
        added = await intake.commit.add(replace(submission, tasks=tasks))
    if added is AddRefused.TOKEN:
        raise Unauthenticated
    if not isinstance(added, Added):
        msg = "this Idempotency-Key was used with another body: use a new key for a new request"
        raise Conflict(msg)
    if query.wait and any(task.target is State.RECEIVED for task in tasks):
        await run_in_threadpool(read_soon, wired, who.workspace, added.ids)
    found = await intake.waits.settled(who.workspace, added.ids, query.wait) if query.wait else None
    if query.wait or added.replayed or added.at is None:
        views = (
            [task_view(found, who.role, lang)] if found else await run_in_threadpool(_read, wired, who, added.ids, lang)
        )
        body = (api.TaskList(items=views) if many else views[0]).model_dump_json().encode()
    else:
        at, paused = added.at, policy.pause is not None
        stored = [
            stored_view(task, who, at + APART * place, paused=paused, lang=lang) for place, task in enumerate(tasks)
        ]
        body = orjson.dumps({"items": stored, "next": None} if many else stored[0], option=orjson.OPT_UTC_Z)
    location = () if many else ((b"location", f"/api/v1/tasks/{added.ids[0]}".encode()),)
    return JsonBytes(body, 201, *location)


NO_WAIT: Final = api.WaitQuery()


def _wait_of(request: HttpRequest) -> api.WaitQuery:
    """The query. Invalid."""
    if not request.scope["query_string"]:
        return NO_WAIT
    try:
        return api.WaitQuery.model_validate(dict(request.query_params))
    except ValidationError as exc:
        errors = [{**error, "loc": ("query", *error["loc"])} for error in exc.errors(include_url=False)]
        raise invalid_from(errors) from None


def _has_text(given: Json) -> bool:
    return any(isinstance(item, dict) and "text" in item for item in (given if isinstance(given, list) else [given]))


def _key(request: HttpRequest) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= KEY_MAX:
        raise Invalid((FieldError("Idempotency-Key", f"1 to {KEY_MAX} characters", "a UUID is a good key"),))
    return key


def _read(wired: Container, who: Principal, ids: Sequence[UUID], lang: Lang) -> list[api.Task]:
    records = [wired.reads.task(who.workspace, task) for task in ids]
    return [task_view(record, who.role, lang) for record in records if record is not None]


# --- from the body to tasks -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends a request, and when: what all of its tasks share."""

    wired: Container
    who: Principal
    lang: Lang  # of what does not say its own
    policy: Policy
    now: datetime
    actor: str
    origin: Origin


def sender(wired: Container, who: Principal, lang: Lang, policy: Policy) -> Sender:
    """For a request that came at this moment."""
    now = datetime.fromtimestamp(wired.clock.unix_ms() / 1000, UTC)
    origin = Origin.PERSON if who.kind == "session" else Origin.TOKEN
    return Sender(wired, who, lang, policy, now, f"person:{who.person}", origin)


def new_tasks(body: Json, wired: Container, who: Principal, lang: Lang, policy: Policy) -> tuple[NewTask, ...]:
    """Every task of a body. Invalid, with a pointer to every fault of every item."""
    items = body if isinstance(body, list) else [body]
    if not items or len(items) > api.BATCH_MAX:
        raise Invalid((FieldError("#", f"{len(items)} tasks", f"send 1 to {api.BATCH_MAX:,} in one request"),))
    sent = sender(wired, who, lang, policy)
    roots = [f"#/{index}" for index in range(len(items))] if isinstance(body, list) else ["#"]
    try:
        tasks = _made(REQUESTS.validate_python(items), sent, roots)
    except (ValidationError, Invalid):
        raise _every_fault(items, sent, roots) from None
    return recalled(tasks, wired, policy, sent.now)


REQUESTS: Final = TypeAdapter(list[api.TaskRequest])
FAULTS_MAX: Final = 100  # of an array of a thousand equal mistakes, these are enough to see


def _every_fault(items: Sequence[Json], sent: Sender, roots: Sequence[str]) -> Invalid:
    """Of a body that was refused: item by item, so that one fault hides no other."""
    errors: list[FieldError] = []
    for item, root in zip(items, roots, strict=True):
        try:
            new_task(api.TaskRequest.model_validate(item), sent, root)
        except ValidationError as exc:
            errors += invalid_from(exc.errors(include_url=False, include_input=False), root).errors
        except Invalid as exc:
            errors += exc.errors
    return Invalid(tuple(errors[:FAULTS_MAX]))


def new_task(given: api.TaskRequest, sent: Sender, root: str) -> NewTask:
    """The task that a request makes. Invalid."""
    [task] = _made([given], sent, [root])
    return task


def _made(given: Sequence[api.TaskRequest], sent: Sender, roots: Sequence[str]) -> list[NewTask]:
    """The tasks that requests make; typed plans are read, assessed and placed. Invalid, of the first with a fault.

    One kind of work after the other, for all of them: task by task it takes half as long again, since each kind then
    finds the processor's caches full of the others' code.
    """
    for request, root in zip(given, roots, strict=True):
        _refuse_times(request, sent.now, root)
    requests = [_request(asked, sent) for asked in given]
    plans = [
        _typed_plan(asked.plan, request, sent, root) if asked.plan is not None else None
        for asked, request, root in zip(given, requests, roots, strict=True)
    ]
    clock = sent.wired.clock
    at, entropy = clock.unix_ms(), clock.entropy(UUID_ENTROPY * len(given))
    ids = [uuid7(at, entropy[start : start + UUID_ENTROPY]) for start in range(0, len(entropy), UUID_ENTROPY)]
    return [_task(*made, sent) for made in zip(ids, given, requests, plans, strict=True)]


UUID_ENTROPY: Final = 10  # bytes of each id


def _request(given: api.TaskRequest, sent: Sender) -> Request:
    return Request(
        text=given.text,
        inputs=given.inputs,
        tags=tuple(given.tags),
        not_before=given.not_before,
        deadline=given.deadline,
        lang=given.lang or sent.lang,
        requested_by=sent.who.person,
        origin=sent.origin,
        priority_given=given.priority is not None,
    )


def _typed_plan(given: api.PlanRequest, request: Request, sent: Sender, root: str) -> Plan:
    """A typed plan, read and assessed. Invalid."""
    catalogue, policy, pointer = sent.wired.catalogue, sent.policy, f"{root}/plan"
    steps = catalogue.read(given.steps, request.inputs, sent.now, pointer=pointer)
    catalogue.refuse(steps, policy, pointer=pointer)
    verdict = catalogue.assess(steps, request, policy)
    return planned(1, steps, PlanSource.TYPED, verdict, policy, cost_cap=catalogue.cost_cap(steps))


def _task(task: UUID, given: api.TaskRequest, request: Request, plan: Plan | None, sent: Sender) -> NewTask:
    workspace = sent.who.workspace
    target, ask = State.QUEUED if plan else State.RECEIVED, None
    if plan is not None and plan.needs_approval:
        target, ask = destination(Task(id=task, workspace=workspace, state=State.RECEIVED, request=request), plan)
    return NewTask(
        economy=given.economy,
        id=task,
        workspace=workspace,
        request=request,
        priority=PRIORITY_DEFAULT if given.priority is None else given.priority,
        target=target,
        actor=sent.actor,
        kind=plan.steps[0].action if plan else None,
        plan=plan,
        ask=ask,
    )


def _refuse_times(given: api.TaskRequest, now: datetime, root: str) -> None:
    if given.deadline is not None and given.deadline <= now:
        raise Invalid((FieldError(f"{root}/deadline", "it has passed", "give a time to come"),))
    if given.deadline is not None and given.not_before is not None and given.not_before >= given.deadline:
        raise Invalid((FieldError(f"{root}/not_before", "not before the deadline", "start earlier, or end later"),))
    for index, tag in enumerate(given.tags):
        if text_fault(tag):
            raise Invalid((FieldError(f"{root}/tags/{index}", "not storable text", "leave control characters out"),))
