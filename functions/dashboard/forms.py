"""What the pages' forms do: checked for origin and token, then sent on with the session's secret.

What is done, and whether it may be, is decided where the route is: here it is only asked for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Final, cast
from urllib.parse import quote

import httpx2
from fastapi import Depends
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from common.core.errors import NotFound
from common.core.task import Json
from common.i18n import t
from common.routes import ROUTE
from common.web import TaskRef, Wired

from .live import Serving
from .page_route import Reading, new_router
from .session import Flash, base_of, check_csrf, page_lang, put_flash
from .setting_forms import typed

router = new_router()

TIMEOUT_SECONDS: Final = 30.0
# What a person does to a task: the form's verb is the route's name.
VERBS: Final = frozenset({"approve", "reject", "retry", "reanalyze", "resolve", "outcome", "cancel"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the function that owns the route said."""

    status: int
    body: dict[str, Json]

    @property
    def good(self) -> bool:
        """Whether it was done."""
        return self.status < 400  # noqa: PLR2004 - HTTP's own line


class Forward:
    """Sends a form on to the function that owns the route."""

    def __init__(self, request: Request, wired: Wired, reader: Reading, serving: Serving) -> None:
        """Everything a form needs to be sent on and answered."""
        self.request = request
        self.wired = wired
        self.reader = reader
        self.lang = page_lang(request)
        self._way = serving.way

    async def form(self) -> FormData:
        """The form's fields. Forbidden if it does not carry this session's token."""
        fields = await self.request.form(max_files=0, max_fields=50)
        check_csrf(self.reader, fields.get("csrf"))
        return fields

    async def send(
        self,
        route_name: str,
        body: dict[str, Json] | None = None,
        *,
        headers: dict[str, str] | None = None,
        **path: str,
    ) -> Answer:
        """Send it on as JSON, as this person."""
        route = ROUTE[route_name]
        where = self.wired.settings.function_url.format(name=route.function).rstrip("/")
        url = where + route.path.format(**{name: quote(value, safe="") for name, value in path.items()})
        sent = {"Authorization": f"Bearer {self.reader.secret}", "Accept-Language": self.lang, **(headers or {})}
        async with httpx2.AsyncClient(transport=self._way, timeout=TIMEOUT_SECONDS) as client:
            try:
                got = await client.request(route.method, url, json=body, headers=sent)
                answered = got.json() if got.content else {}
            except (httpx2.HTTPError, ValueError):
                return Answer(
                    503, {"title": t("problem.unavailable", self.lang), "detail": t("page.unreachable", self.lang)}
                )
        return Answer(got.status_code, answered if isinstance(answered, dict) else {})

    def back(self, to: str, answer: Answer, done: str) -> Response:
        """Go to a page, and say there how it went. `done`: the message's key."""
        response = RedirectResponse(base_of(self.wired.settings) + to, 303)
        put_flash(response, self.wired.settings, self.said(answer, done))
        return response

    def said(self, answer: Answer, done: str) -> Flash:
        """How it went, in the reader's words."""
        if answer.good:
            return Flash("good", t(done, self.lang))
        title = str(answer.body.get("title") or t("problem.error", self.lang))
        errors = answer.body.get("errors")
        if isinstance(errors, list) and errors:
            return Flash("bad", title, tuple(_fault(e) for e in errors if isinstance(e, dict)))
        return Flash("bad", title, (str(answer.body.get("detail", "")),))


def _fault(error: dict[str, Json]) -> str:
    hint = f" ({error['hint']})" if error.get("hint") else ""
    return f"{error.get('pointer', '')}: {error.get('detail', '')}{hint}"


Forwarding = Annotated[Forward, Depends()]


def field_of(fields: FormData, name: str) -> str:
    """A field's text without blanks around it; empty if it was not sent."""
    value = fields.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _note(fields: FormData) -> str | None:
    return field_of(fields, "note") or None


# --- tasks ------------------------------------------------------------------------------------------------------------


@router.post("/tasks")
async def submit(forward: Forwarding) -> Response:
    """Submit the box's text."""
    body = request_of(await forward.form(), forward)
    answer = await forward.send("submit", body)
    target = f"/tasks/{answer.body['id']}" if answer.good and "id" in answer.body else "/"
    return forward.back(target, answer, "page.done.submit")


def request_of(fields: FormData, forward: Forward) -> dict[str, Json]:
    """The box's text as a task request; the API says what is wrong with an empty one."""
    return {"text": field_of(fields, "text"), "lang": forward.lang}


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
