"""The pages that show: a task, settings, people, recipes, the contract; the lists are beside this."""

from __future__ import annotations

from typing import Final

from fastapi.sse import EventSourceResponse
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from common import api
from common.analysis.rules.recipes import RECIPES
from common.auth import reaches, require
from common.core.errors import NotFound
from common.core.task import RISKS, TERMINAL, Attempt, Json, Lang, State, Task
from common.ports import ROLES, Approval, Principal, TaskRecord
from common.views import approval_view, event_view, task_view
from common.web import TaskRef, Wired

from . import admin, setting_forms, tasks
from .lines import steps_of, title_of, waiting
from .live import READY, Feed, Serving
from .openapi import document
from .page_route import Reading, new_router
from .rendering import FOREVER, STATIC, render
from .session import Reader, base_of, page_lang

router = new_router()

STATIC_FILES: Final = frozenset({"app.css", "app.js", "icon.svg"})


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
        inbox=waiting(wired.reads.counts(who.workspace)),
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
        serving.hub,
        wired.reads,
        reader.who.workspace,
        lambda record: event_view(record, "viewer", lang),
        lambda: wired.doorkeeper.still(reader.who),
        READY,
    )
    return EventSourceResponse(feed.all(None), headers=tasks.STREAMING)


# --- settings and people ----------------------------------------------------------------------------------------------


@router.get("/settings")
def settings_page(request: Request, wired: Wired, reader: Reading) -> Response:
    """Every setting, each in a form of its own."""
    require(reader.who, "admin")
    items = [item for item in admin.settings_of(reader.who, wired) if item.name != "pause"]  # it has a button
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
        inbox=waiting(wired.reads.counts(reader.who.workspace)),
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
        people=admin.people_of(reader.who, wired),
        tokens=admin.tokens_of(reader.who, wired),
        roles=ROLES,
        once=once,
        inbox=waiting(wired.reads.counts(reader.who.workspace)),
    )


@router.get("/recipes")
def recipes_page(request: Request, wired: Wired, reader: Reading) -> Response:
    """What can be asked for without a model."""
    inbox = waiting(wired.reads.counts(reader.who.workspace))
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
