"""The pages that show: the list, a task, the inbox, settings, people, recipes, the contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Query
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from common import api
from common.analysis.recipes import RECIPES
from common.auth import ROLES, reaches, require
from common.core.errors import NotFound
from common.core.task import RISKS, TERMINAL, Attempt, Json, Lang, OutcomeKind, Risk, State, Step, Task
from common.ports import Approval, Principal, TaskFilter, TaskRecord
from common.views import approval_view, event_view, task_view
from common.web import TaskRef, Wired

from . import admin, forms, setting_forms, sign_in, tasks
from .live import READY, Feed, Serving
from .openapi import document
from .page_route import Reading, new_router
from .rendering import FOREVER, STATIC, render
from .session import Reader, base_of, page_lang

router = new_router()
router.routes.extend(sign_in.router.routes)
router.routes.extend(forms.router.routes)

PAGE: Final = 30
INBOX_PAGES: Final = 5  # of 200 each: whoever has more waiting than that sees the oldest thousand
IN_PROGRESS: Final = (State.RECEIVED, State.ANALYZING, State.QUEUED, State.RUNNING)
TABS: Final = (
    ("all", ()),
    ("progress", IN_PROGRESS),
    ("approval", (State.AWAITING_APPROVAL,)),
    ("person", (State.MANUAL,)),
    ("succeeded", (State.SUCCEEDED,)),
    ("cancelled", (State.CANCELLED,)),
)
STATIC_FILES: Final = frozenset({"app.css", "app.js", "icon.svg"})


# --- what the templates show ------------------------------------------------------------------------------------------


class ListQuery(BaseModel):
    """The list's filters as a form sends them: an empty field narrows nothing, a strange one neither."""

    state: list[State] = Field(default_factory=list)
    risk: Literal["", "low", "medium", "high", "critical"] = ""
    kind: str = Field(default="", max_length=100)
    tag: str = Field(default="", max_length=64)
    q: str = Field(default="", max_length=200)
    cursor: str = ""

    def asked(self) -> api.TaskQuery:
        """The same as the API's query."""
        return api.TaskQuery(
            limit=PAGE,
            cursor=self.cursor or None,
            state=self.state,
            risk=Risk(self.risk) if self.risk else None,
            kind=self.kind or None,
            tag=self.tag or None,
            q=self.q or None,
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A task in a list."""

    task: api.Task
    title: str


@dataclass(frozen=True, slots=True)
class Tab:
    """A filter by state. `count` None: not counted, since it only grows."""

    name: str
    url: str
    count: int | None
    chosen: bool


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step of the plan, and how far it is. `sentence` None: not for this reader."""

    id: str
    action: str
    sentence: str | None
    status: str  # done, unknown, failed, running, next
    attempts: int
    has_result: bool


def title_of(task: Task, reader: Reader, wired: Wired, lang: Lang) -> str:
    """What a task is called: its text, else what its plan does first."""
    if task.request.text:
        return task.request.text
    if task.plan is None:
        return task.id.hex[-8:]
    # What makes it risky says more than what comes first.
    riskiest = next((reason.step for reason in task.plan.reasons if reason.step), None)
    step = next((s for s in task.plan.steps if s.id == riskiest), task.plan.steps[0])
    return wired.catalogue.sentence(step, lang) if reaches(reader.who.role, "operator") else step.action


def lines_of(records: list[TaskRecord], reader: Reader, wired: Wired, lang: Lang) -> list[Line]:
    """Tasks as a list shows them."""
    return [Line(task_view(r, reader.who.role, lang), title_of(r.task, reader, wired, lang)) for r in records]


def steps_of(task: Task, reader: Reader, wired: Wired, lang: Lang) -> list[StepLine]:
    """The plan's steps."""
    full = reaches(reader.who.role, "operator")
    return [
        StepLine(
            step.id,
            step.action,
            wired.catalogue.sentence(step, lang) if full else None,
            _status(task, step),
            len(task.attempts_of(step.id)),
            step.id in task.done and full,
        )
        for step in (task.plan.steps if task.plan else ())
    ]


def _status(task: Task, step: Step) -> str:
    if step.id in task.done:
        return "done"
    tries = task.attempts_of(step.id)
    if tries and tries[-1].outcome is OutcomeKind.UNKNOWN:
        return "unknown"
    if tries and tries[-1].outcome is None:
        return "running"
    return "failed" if tries else "next"


# --- lists ------------------------------------------------------------------------------------------------------------


@router.get("/")
def tasks_page(request: Request, wired: Wired, reader: Reading, query: Annotated[ListQuery, Query()]) -> Response:
    """The list, with its filters in the address."""
    return list_page(request, wired, reader, query)


def list_page(
    request: Request,
    wired: Wired,
    reader: Reader,
    query: ListQuery,
    *,
    draft: str = "",
    preview: api.Preview | None = None,
) -> Response:
    """The list; `draft` and `preview`: a text that was only looked at."""
    lang = page_lang(request)
    records, following = tasks.page_of(query.asked(), reader.who, wired)
    counts = wired.reads.counts(reader.who.workspace)
    return render(
        request,
        wired,
        "tasks.html",
        reader,
        lines=lines_of(records, reader, wired, lang),
        tabs=_tabs(request, query, counts),
        query=query,
        risks=RISKS,
        filtered=bool(query.q or query.kind or query.tag or query.risk or query.state),
        narrowed=bool(query.kind or query.tag or query.risk),
        next_url=_with(request, cursor=following) if following else None,
        first_url=_without(request, "cursor") if query.cursor else None,
        inbox=_waiting(counts),
        draft=draft,
        preview=preview,
    )


def _with(request: Request, **changed: object) -> str:
    return f"?{request.url.remove_query_params('lang').include_query_params(**changed).query}"


def _without(request: Request, *names: str) -> str:
    return f"?{request.url.remove_query_params([*names, 'lang']).query}"


def _tabs(request: Request, query: ListQuery, counts: dict[State, int]) -> list[Tab]:
    tabs = []
    for name, states in TABS:
        plain = _without(request, "cursor", "state")
        url = plain + "".join(
            f"{'' if plain.endswith('?') and i == 0 else '&'}state={s.value}" for i, s in enumerate(states)
        )
        live = [s for s in states if s not in TERMINAL]
        count = sum(counts.get(s, 0) for s in live) if live else None
        tabs.append(Tab(name, url, count, set(states) == set(query.state)))
    return tabs


def _waiting(counts: dict[State, int]) -> int:
    return counts.get(State.AWAITING_APPROVAL, 0) + counts.get(State.MANUAL, 0)


@router.post("/preview")
async def preview_page(request: Request, wired: Wired, forward: forms.Forwarding) -> Response:
    """What would be done with the box's text; nothing is stored."""
    body = forms.request_of(await forward.form(), forward)
    answer = await forward.send("preview", body)
    if not answer.good:
        return forward.back("/", answer, "")
    preview = api.Preview.model_validate(answer.body)

    def page() -> Response:
        return list_page(request, wired, forward.reader, ListQuery(), draft=str(body["text"]), preview=preview)

    return await run_in_threadpool(page)


@router.get("/inbox")
def inbox_page(request: Request, wired: Wired, reader: Reading) -> Response:
    """What waits for a person, the oldest first."""
    lang = page_lang(request)
    found: list[TaskRecord] = []
    before: UUID | None = None
    for _ in range(INBOX_PAGES):
        states = (State.AWAITING_APPROVAL, State.MANUAL)
        page = wired.reads.tasks(reader.who.workspace, TaskFilter(states=states, before=before, limit=200))
        found += page[:200]
        if len(page) <= 200:  # noqa: PLR2004 - the limit above
            break
        before = found[-1].task.id
    found.sort(key=lambda record: record.since)
    waiting = lines_of(found, reader, wired, lang)
    return render(
        request,
        wired,
        "inbox.html",
        reader,
        approvals=[line for line in waiting if line.task.state is State.AWAITING_APPROVAL],
        people=[line for line in waiting if line.task.state is State.MANUAL],
        inbox=len(found),
    )


# --- one task ---------------------------------------------------------------------------------------------------------


@router.get("/tasks/{id}")
def task_page(request: Request, wired: Wired, reader: Reading, id: TaskRef) -> Response:
    """All about one task."""
    who, lang = reader.who, page_lang(request)
    record = tasks.record_of(id, who, wired)
    task = record.task
    timeline = wired.reads.events(who.workspace, id)
    return render(
        request,
        wired,
        "task.html",
        reader,
        task=task_view(record, who.role, lang),
        title=title_of(task, reader, wired, lang),
        steps=steps_of(task, reader, wired, lang),
        approval=_approval(record, who, wired, lang),
        events=[event_view(e, who.role, lang) for e in timeline],
        unknown=_to_decide(task),
        cancelling=task.cancel_requested and task.state not in TERMINAL,
        can_retry=task.plan is not None and task.unknown_effect is None,
        can_reanalyze=task.request.text is not None and task.unknown_effect is None,
        has_result=record.has_result,
        inbox=_waiting(wired.reads.counts(who.workspace)),
    )


def _to_decide(task: Task) -> Attempt | None:
    return task.unknown_effect if task.state is State.MANUAL else None


def _approval(record: TaskRecord, who: Principal, wired: Wired, lang: Lang) -> api.Approval | None:
    """What waits for approval, for those who may see it whole."""
    task = record.task
    if task.state is not State.AWAITING_APPROVAL or task.plan is None or not reaches(who.role, "operator"):
        return None
    found: Approval | None = wired.approvals.open(who.workspace, task.id)
    if found is None or found.plan_number != task.plan.number:
        return None
    allowed = wired.workspace.policy(who.workspace).self_approval
    return approval_view(found, record, task.plan, wired.catalogue.sentence, who, lang, self_approval=allowed)


@router.get("/tasks/{id}/results/{step}")
def result_file(wired: Wired, reader: Reading, id: TaskRef, step: str) -> Response:
    """A step's result, only ever as an attachment."""
    require(reader.who, "operator")
    return tasks.task_result(id, step, reader.who, wired)


@router.get("/live")
async def live(request: Request, wired: Wired, reader: Reading, serving: Serving) -> Response:
    """Tells a page that something changed; the page then asks for itself again."""
    lang = page_lang(request)
    feed = Feed(
        serving.hub, wired.reads, reader.who.workspace, lambda record: event_view(record, "viewer", lang), READY
    )
    return EventSourceResponse(feed.all(None), headers=tasks.STREAMING)


# --- settings and people ----------------------------------------------------------------------------------------------


@router.get("/settings")
def settings_page(request: Request, wired: Wired, reader: Reading) -> Response:
    """Every setting, each in a form of its own."""
    require(reader.who, "admin")
    items = [item for item in admin.list_settings(reader.who, wired).items if item.name != "pause"]  # it has a button
    return render(
        request,
        wired,
        "settings.html",
        reader,
        items=items,
        lists=setting_forms.LISTS,
        typed=setting_forms.shown,
        choice_of=setting_forms.choice_of,
        risks=RISKS,
        inbox=_waiting(wired.reads.counts(reader.who.workspace)),
    )


@router.get("/people")
def people(request: Request, wired: Wired, reader: Reading) -> Response:
    """Members and tokens."""
    return people_page(request, wired, reader)


def people_page(request: Request, wired: Wired, reader: Reader, once: dict[str, Json] | None = None) -> Response:
    """The people; `once`: a code or a token that is shown this one time."""
    require(reader.who, "admin")
    return render(
        request,
        wired,
        "people.html",
        reader,
        people=admin.list_people(reader.who, wired).items,
        tokens=admin.list_tokens(reader.who, wired).items,
        roles=ROLES,
        once=once,
        inbox=_waiting(wired.reads.counts(reader.who.workspace)),
    )


@router.post("/people/{id}/{what}")
async def shown_once(request: Request, wired: Wired, forward: forms.Forwarding, id: str, what: str) -> Response:
    """A sign-in code, or a token for programs: shown once, on this page and nowhere else."""
    await forward.form()
    route = {"code": "sign_in_code", "token": "add_token"}.get(what)
    if route is None:
        raise NotFound("no such form")
    answer = await forward.send(route, {"person": id})
    if not answer.good:
        return forward.back("/people", answer, "")
    return await run_in_threadpool(people_page, request, wired, forward.reader, answer.body)


@router.get("/recipes")
def recipes_page(request: Request, wired: Wired, reader: Reading) -> Response:
    """What can be asked for without a model."""
    inbox = _waiting(wired.reads.counts(reader.who.workspace))
    return render(request, wired, "recipes.html", reader, recipes=[r.id for r in RECIPES], inbox=inbox)


# --- open to everybody ------------------------------------------------------------------------------------------------


@router.get("/docs")
def docs_page(request: Request, wired: Wired) -> Response:
    """The contract, to read."""
    return render(
        request,
        wired,
        "docs.html",
        None,
        contract=document(base_of(wired.settings)),
        origin=wired.settings.public_url.rstrip("/"),
    )


@router.get("/static/{path:path}")
def static_file(path: str) -> Response:
    """Style, script and icon of the pages."""
    if path not in STATIC_FILES:
        raise NotFound("no such file")
    return FileResponse(STATIC / path, headers={"Cache-Control": FOREVER, "X-Content-Type-Options": "nosniff"})
