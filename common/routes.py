"""The one table of routes: nginx's config, the OpenAPI document and the authorisation test are made from it.

Handlers register by it (`common.web`), so a path and its role are typed once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel

from common import api
from common.ports import Role

FunctionName = Literal["analyze", "execute", "approve", "schedule", "dashboard"]
FUNCTIONS: Final[tuple[FunctionName, ...]] = ("analyze", "execute", "approve", "schedule", "dashboard")
API: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the public API. `answers`: status -> model of the body (None: no JSON body)."""

    name: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str  # with the prefix
    function: FunctionName
    role: Role | None  # None: open to everybody
    summary: str
    body: type[BaseModel] | None = None
    answers: tuple[tuple[int, type[BaseModel] | None], ...] = ((200, None),)
    query: type[BaseModel] | None = None
    many: bool = False  # the body may also be an array of it


def _r(  # noqa: PLR0913 - one line of the table below
    name: str,
    method: Literal["GET", "POST", "PUT", "DELETE"],
    path: str,
    function: FunctionName,
    role: Role | None,
    summary: str,
    *,
    body: type[BaseModel] | None = None,
    ok: int = 200,
    answer: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    many: bool = False,
) -> Route:
    return Route(name, method, API + path, function, role, summary, body, ((ok, answer),), query, many)


ROUTES: Final[tuple[Route, ...]] = (
    _r("submit", "POST", "/tasks", "analyze", "operator", "Submit a task, or up to 1,000 at once",
       body=api.TaskRequest, ok=201, answer=api.Task, query=api.WaitQuery, many=True),
    _r("preview", "POST", "/preview", "analyze", "operator", "What would be done, without storing a task",
       body=api.TaskRequest, answer=api.Preview),
    _r("list_tasks", "GET", "/tasks", "dashboard", "viewer", "Tasks, newest first",
       answer=api.TaskList, query=api.TaskQuery),
    _r("get_task", "GET", "/tasks/{id}", "dashboard", "viewer", "One task", answer=api.Task, query=api.WaitQuery),
    _r("task_events", "GET", "/tasks/{id}/events", "dashboard", "viewer",
       "A task's history; live as text/event-stream",
       answer=api.EventList, query=api.PageQuery),
    _r("task_result", "GET", "/tasks/{id}/results/{step}", "dashboard", "operator",
       "A step's result, as an attachment"),
    _r("cancel", "POST", "/tasks/{id}/cancel", "dashboard", "operator", "Cancel a task",
       body=api.Note, answer=api.Task),
    _r("get_approval", "GET", "/tasks/{id}/approval", "approve", "approver", "What waits for approval",
       answer=api.Approval),
    _r("approve", "POST", "/tasks/{id}/approve", "approve", "approver", "Approve exactly what the digest names",
       body=api.Decision, answer=api.Task),
    _r("reject", "POST", "/tasks/{id}/reject", "approve", "approver", "Reject it",
       body=api.Decision, answer=api.Task),
    _r("retry", "POST", "/tasks/{id}/retry", "approve", "operator", "Try the plan again",
       body=api.Note, answer=api.Task),
    _r("reanalyze", "POST", "/tasks/{id}/reanalyze", "approve", "operator", "Have the text read again",
       body=api.Note, answer=api.Task),
    _r("resolve", "POST", "/tasks/{id}/resolve", "approve", "operator", "Close it by hand, with a note and a result",
       body=api.Resolution, answer=api.Task),
    _r("outcome", "POST", "/tasks/{id}/outcome", "approve", "operator", "Say whether an unknown step happened",
       body=api.GivenOutcome, answer=api.Task),
    _r("actions", "GET", "/actions", "execute", "viewer", "The action catalogue",
       answer=api.ActionList, query=api.PageQuery),
    _r("list_settings", "GET", "/settings", "dashboard", "admin", "Every setting",
       answer=api.SettingList, query=api.PageQuery),
    _r("get_setting", "GET", "/settings/{name}", "dashboard", "admin", "One setting", answer=api.Setting),
    _r("put_setting", "PUT", "/settings/{name}", "dashboard", "admin", "Change one, with If-Match",
       body=api.SettingValue, answer=api.Setting),
    _r("pause", "PUT", "/pause", "dashboard", "admin", "Stop all execution",
       body=api.PauseRequest, answer=api.PauseView),
    _r("resume", "DELETE", "/pause", "dashboard", "admin", "Resume execution", answer=api.PauseView),
    _r("list_people", "GET", "/people", "dashboard", "admin", "Members of the workspace",
       answer=api.PersonList, query=api.PageQuery),
    _r("add_person", "POST", "/people", "dashboard", "admin", "Add a person",
       body=api.NewPerson, ok=201, answer=api.Person),
    _r("remove_person", "DELETE", "/people/{id}", "dashboard", "admin", "Remove a person and their tokens", ok=204),
    _r("list_tokens", "GET", "/tokens", "dashboard", "admin", "Valid tokens, without secrets",
       answer=api.TokenList, query=api.PageQuery),
    _r("add_token", "POST", "/tokens", "dashboard", "admin", "A new token; its secret is shown once",
       body=api.NewToken, ok=201, answer=api.TokenWithSecret),
    _r("revoke_token", "DELETE", "/tokens/{id}", "dashboard", "admin", "Revoke a token", ok=204),
    _r("sign_in_code", "POST", "/sign-in-codes", "dashboard", "admin", "A sign-in code: 10 minutes, once",
       body=api.NewSignInCode, ok=201, answer=api.SignInCode),
    _r("queue", "GET", "/queue", "dashboard", "viewer", "Depth, age of the oldest, leases", answer=api.Queue),
    _r("costs", "GET", "/costs", "dashboard", "viewer", "What a month cost, and what each way of saving saved",
       answer=api.Costs, query=api.CostsQuery),
    _r("list_cache", "GET", "/cache", "dashboard", "admin", "Remembered answers, last used first",
       answer=api.CacheEntryList, query=api.PageQuery),
    _r("get_cached", "GET", "/cache/{key}", "dashboard", "admin", "One, with what was answered",
       answer=api.CacheEntryView),
    _r("drop_cached", "DELETE", "/cache/{key}", "dashboard", "admin", "Forget one: it is asked again",
       answer=api.CacheDropped),
    _r("drop_cache", "DELETE", "/cache", "dashboard", "admin", "Forget all", answer=api.CacheDropped),
    _r("events", "GET", "/events", "dashboard", "viewer", "The workspace's events, live, resumable",
       answer=api.EventList, query=api.PageQuery),
    _r("openapi", "GET", "/openapi.json", "dashboard", None, "This document"),
)  # fmt: skip

ROUTE: Final = {route.name: route for route in ROUTES}
_PATHS: Final = {
    path: re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))) for path in dict.fromkeys(r.path for r in ROUTES)
}


def methods_of(path: str) -> tuple[str, ...]:
    """What a path may be asked with, whichever function answers; HEAD where GET is. Empty: no route has it."""
    own = {route.method for route in ROUTES if _PATHS[route.path].fullmatch(path)}
    return tuple(sorted({*own, "HEAD"} if "GET" in own else own))


# What needs no role, and why that is right; everything else does, and a test holds every function's app to this list.
OPEN: Final = {
    "POST /": "a wake: carries no authority and no work",
    "GET /_/health": "alive",
    "GET /_/ready": "schema and stores reachable",
    f"GET {API}/openapi.json": "the contract is public",
    "GET /sign-in": "a form",
    "POST /sign-in": "redeems a code, rate-limited",
    "GET /in/{code}": "shows a button; its POST signs in",
    "POST /in/{code}": "redeems a code, rate-limited",
    "GET /static/{path:path}": "style and script of the pages",
    "GET /docs": "pages to read the contract; nothing from outside",
}
