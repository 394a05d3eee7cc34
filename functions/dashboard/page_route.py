"""The one class of all page routes: host and origin first; an error becomes a page, a missing session a sign-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, cast
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from common.core.errors import AppError, NotFound, Unauthenticated
from common.problems import Stranger
from common.telemetry import log_stranger
from common.wiring import Container

from .rendering import render
from .session import Reader, base_of, check_host, check_origin, csrf_of, session_cookie


class PageRoute(APIRoute):
    """A page's route."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """See APIRoute."""
        original = super().get_route_handler()

        async def handler(request: Request) -> Response:
            wired = cast("Container", request.app.state.container)
            try:
                check_host(request, wired.settings)
                if request.method == "POST":
                    check_origin(request, wired.settings)
                response: Response = await original(request)
                return response
            except Unauthenticated as exc:
                if request.method == "GET":
                    return _to_sign_in(request, wired)
                return await run_in_threadpool(_error_page, request, wired, exc)
            except AppError as exc:
                return await run_in_threadpool(_error_page, request, wired, exc)
            except RequestValidationError:
                return await run_in_threadpool(_error_page, request, wired, NotFound())
            except Exception as exc:  # noqa: BLE001 - a person gets a page whatever happened; the log has the cause
                log_stranger(self.path, exc)
                return await run_in_threadpool(_error_page, request, wired, Stranger("the log has the cause"))

        return handler


def _to_sign_in(request: Request, wired: Container) -> Response:
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = f"{base_of(wired.settings)}/sign-in"
    return RedirectResponse(target if here == "/" else f"{target}?next={quote(here, safe='')}", 303)


def _error_page(request: Request, wired: Container, exc: AppError) -> Response:
    response = render(request, wired, "error.html", None, exc.status, code=exc.code, detail=str(exc), title=exc.title)
    if exc.retry_after:
        response.headers["Retry-After"] = str(exc.retry_after)
    return response


def new_router() -> APIRouter:
    """A router of pages."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)


def session_reader(request: Request, wired: Container) -> Reader:
    """The session's reader. Unauthenticated without one."""
    secret = request.cookies.get(session_cookie(wired.settings))
    if not secret:
        raise Unauthenticated
    return Reader(wired.doorkeeper.principal_of(secret), secret, csrf_of(wired.settings, secret))


def _session_reader(request: Request) -> Reader:
    reader = session_reader(request, cast("Container", request.app.state.container))
    request.state.principal = reader.who  # what `Who` and `TaskRef` of common.web read; so a reader is asked for first
    return reader


Reading = Annotated[Reader, Depends(_session_reader)]
