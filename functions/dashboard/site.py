"""Every page and every form, as one router; and what a browser gets where there is none."""

from __future__ import annotations

from typing import Final, cast

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from common.core.errors import AppError, NotFound
from common.problems import problem
from common.wiring import Container

from . import cost_page, forms, pages, sign_in, task_lists
from .page_route import error_page, new_router, session_reader

FOR_PROGRAMS: Final = ("/api/", "/_/")

router = new_router()
for part in (sign_in, task_lists, forms, pages, cost_page):
    router.routes.extend(part.router.routes)


async def nothing_here(request: Request, exc: Exception) -> Response:
    """A wrong address: a page for a person, a problem for a program."""
    missed = getattr(exc, "status_code", None) == NotFound.status and request.method == "GET"
    reads = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(FOR_PROGRAMS)
    if not missed or not reads:
        return problem(request, exc)
    return await run_in_threadpool(_page, request, cast("Container", request.app.state.container))


def _page(request: Request, wired: Container) -> Response:
    try:
        request.state.reader = session_reader(request, wired)
    except AppError:
        request.state.reader = None  # whoever is signed out, or finds no database, learns as much
    return error_page(request, wired, NotFound("no page has this address"))
