"""Every page and every form, as one router; and what a browser gets where there is none."""

from __future__ import annotations

from typing import Final, cast

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from common.core.errors import AppError, NotFound
from common.problems import NOT_ALLOWED, problem
from common.wiring import Container

from . import cost_page, forms, pages, sign_in, task_lists
from .page_route import error_page, new_router, session_reader
from .session import base_of
from .unsent import Unsent

FOR_PROGRAMS: Final = ("/api/", "/_/")

router = new_router()
for part in (sign_in, task_lists, forms, pages, cost_page):
    router.routes.extend(part.router.routes)


async def nothing_here(request: Request, exc: Exception) -> Response:
    """A wrong address: a page for a person, a problem for a program.

    After a preview, or a form that was refused, the address is the form's: whoever asks for it again gets its page.
    """
    status, path = getattr(exc, "status_code", None), request.url.path
    reads = "text/html" in request.headers.get("accept", "") and not path.startswith(FOR_PROGRAMS)
    if request.method != "GET" or not reads or status not in {NotFound.status, NOT_ALLOWED}:
        return problem(request, exc)
    wired = cast("Container", request.app.state.container)
    if status == NOT_ALLOWED:
        return RedirectResponse(base_of(wired.settings) + Unsent(path, {}).page, 303)
    return await run_in_threadpool(_page, request, wired)


def _page(request: Request, wired: Container) -> Response:
    try:
        request.state.reader = session_reader(request, wired)
    except AppError:
        request.state.reader = None  # whoever is signed out, or finds no database, learns as much
    return error_page(request, wired, NotFound("no page has this address"))
