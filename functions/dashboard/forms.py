"""What the pages' forms do: each is sent on to the function that owns the route."""

from __future__ import annotations

import json
from typing import Final, cast

from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from common import api
from common.core.errors import NotFound
from common.core.task import Json
from common.web import TaskRef, Wired

from .form_route import form_router
from .forward import Forward, Forwarding, field_of
from .pages import people_page
from .setting_forms import typed
from .task_lists import ListQuery, list_page

router = form_router()

# What a person does to a task: the form's verb is the route's name.
VERBS: Final = frozenset({"approve", "reject", "retry", "reanalyze", "resolve", "outcome", "cancel"})


def _note(fields: FormData) -> str | None:
    return field_of(fields, "note") or None


# --- tasks ------------------------------------------------------------------------------------------------------------


@router.post("/tasks")
async def submit(forward: Forwarding) -> Response:
    """Submit the box's text."""
    body = request_of(await forward.form(), forward)
    answer = await forward.send("submit", body)
    return forward.back(f"/tasks/{answer.body.get('id')}", answer, "page.done.submit")


def request_of(fields: FormData, forward: Forward) -> dict[str, Json]:
    """The box's text as a task request; the API says what is wrong with an empty one."""
    return {"text": field_of(fields, "text"), "lang": forward.lang}


@router.post("/preview")
async def preview_page(request: Request, wired: Wired, forward: Forwarding) -> Response:
    """What would be done with the box's text; nothing is stored."""
    body = request_of(await forward.form(), forward)
    answer = await forward.send("preview", body)
    forward.require(answer)
    preview = api.Preview.model_validate(answer.body)

    def page() -> Response:
        return list_page(request, wired, forward.reader, ListQuery(), draft=str(body["text"]), preview=preview)

    return await run_in_threadpool(page)


@router.post("/tasks/{id}/{verb}")
async def act(forward: Forwarding, id: TaskRef, verb: str) -> Response:
    """Decide or mend: what the form says is what the API is asked."""
    if verb not in VERBS:
        raise NotFound("no such form")
    fields = await forward.form()
    answer = await forward.send(verb, _body_of(verb, fields), id=str(id))
    return forward.back(f"/tasks/{id}", answer, f"page.done.{verb}")


def _body_of(verb: str, fields: FormData) -> dict[str, Json]:
    body: dict[str, Json] = {"note": _note(fields)}
    match verb:
        case "approve" | "reject":
            body["digest"] = field_of(fields, "digest")
        case "resolve":
            body = {"note": field_of(fields, "note"), "result": _json_or_text(field_of(fields, "result"))}
        case "outcome":
            body |= {"step": field_of(fields, "step"), "outcome": field_of(fields, "outcome")}
    return body


def _json_or_text(typed: str) -> Json:
    """What a person typed as a result: JSON where it is JSON, else the words themselves."""
    if not typed:
        return None
    try:
        return cast("Json", json.loads(typed))
    except ValueError:
        return typed


# --- pause and settings -----------------------------------------------------------------------------------------------


@router.post("/pause")
async def pause(forward: Forwarding) -> Response:
    """Stop all execution."""
    fields = await forward.form()
    return forward.back("/", await forward.send("pause", {"why": field_of(fields, "why")}), "page.done.pause")


@router.post("/resume")
async def resume(forward: Forwarding) -> Response:
    """Let everything go on."""
    await forward.form()
    return forward.back("/", await forward.send("resume"), "page.done.resume")


@router.post("/settings/{name}")
async def change_setting(forward: Forwarding, name: str) -> Response:
    """Change one setting, if it is still as the page showed it."""
    fields = await forward.form()
    given = {key: value for key, value in fields.items() if isinstance(value, str)}
    version = {"If-Match": f'"{field_of(fields, "version")}"'}
    answer = await forward.send("put_setting", {"value": typed(name, given)}, headers=version, name=name)
    return forward.back("/settings", answer, "page.done.setting")


# --- people -----------------------------------------------------------------------------------------------------------


@router.post("/people")
async def add_person(forward: Forwarding) -> Response:
    """A new member."""
    fields = await forward.form()
    body: dict[str, Json] = {"name": field_of(fields, "name"), "role": field_of(fields, "role")}
    return forward.back("/people", await forward.send("add_person", body), "page.done.person")


@router.post("/people/{id}/remove")
async def remove_person(forward: Forwarding, id: str) -> Response:
    """End a membership."""
    await forward.form()
    return forward.back("/people", await forward.send("remove_person", id=id), "page.done.removed")


@router.post("/tokens/{id}/revoke")
async def revoke_token(forward: Forwarding, id: str) -> Response:
    """End a token."""
    await forward.form()
    return forward.back("/people", await forward.send("revoke_token", id=id), "page.done.revoked")


@router.post("/people/{id}/{what}")
async def shown_once(request: Request, wired: Wired, forward: Forwarding, id: str, what: str) -> Response:
    """A sign-in code, or a token for programs: shown once, on this page and nowhere else."""
    await forward.form()
    route = {"code": "sign_in_code", "token": "add_token"}.get(what)
    if route is None:
        raise NotFound("no such form")
    answer = await forward.send(route, {"person": id})
    forward.require(answer)
    return await run_in_threadpool(people_page, request, wired, forward.reader, answer.body)
