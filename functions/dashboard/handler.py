"""The dashboard: pages, reads, live streams, cancel, people, settings, pause, sign-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi.responses import JSONResponse
from mangum import Mangum
from starlette.exceptions import HTTPException

from common.web import Wired, make_app

from . import admin, cache, costs, live, site, tasks
from .openapi import document
from .session import base_of


def openapi(wired: Wired) -> JSONResponse:
    """The contract of all five functions, as one document."""
    return JSONResponse(document(base_of(wired.settings)))


ENDPOINTS: Final[dict[str, Callable[..., Any]]] = {
    "list_tasks": tasks.list_tasks,
    "get_task": tasks.get_task,
    "task_events": tasks.task_events,
    "task_result": tasks.task_result,
    "cancel": tasks.cancel,
    "list_settings": admin.list_settings,
    "get_setting": admin.get_setting,
    "put_setting": admin.put_setting,
    "pause": admin.pause,
    "resume": admin.resume,
    "list_people": admin.list_people,
    "add_person": admin.add_person,
    "remove_person": admin.remove_person,
    "list_tokens": admin.list_tokens,
    "add_token": admin.add_token,
    "revoke_token": admin.revoke_token,
    "sign_in_code": admin.sign_in_code,
    "queue": admin.queue,
    "costs": costs.costs,
    "list_cache": cache.list_cache,
    "get_cached": cache.get_cached,
    "drop_cached": cache.drop_cached,
    "drop_cache": cache.drop_cache,
    "events": tasks.events,
    "openapi": openapi,
}

app = make_app("dashboard", ENDPOINTS, live.Live, pages=site.router)
app.add_exception_handler(HTTPException, site.nothing_here)
handler = Mangum(app)
