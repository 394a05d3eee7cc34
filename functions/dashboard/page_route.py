"""What all page routes share: host and origin first; an error becomes a page, a missing session a sign-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, cast
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from common.core.errors import AppError, NotFound, TooLarge, Unauthenticated, Unavailable
from common.i18n import t
from common.problems import Stranger, detail_of
from common.telemetry import log_stranger
from common.wiring import Container

from .lines import waiting
from .rendering import render
from .session import Reader, base_of, check_host, check_origin, csrf_of, page_lang, session_cookie
from .unsent import NotDone

RENEWED: Final = 5  # seconds after which a page that had no database looks again


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
            except NotDone as exc:
                return await self.not_done(request, wired, exc)
            except AppError as exc:
                return await self.refused(request, wired, exc)
            except RequestValidationError:
                return await self.refused(request, wired, NotFound())
            except HTTPException:  # a form that Starlette does not read: a field over 1 MB, too many of them
                return await run_in_threadpool(error_page, request, wired, TooLarge())
            except Exception as exc:  # noqa: BLE001 - a person gets a page whatever happened; the log has the cause
                log_stranger(self.path, exc)
                return await self.refused(request, wired, Stranger("the log has the cause"))

        return handler

    async def refused(self, request: Request, wired: Container, exc: AppError) -> Response:
        """What a person gets who was refused: a page that says why, or the sign-in."""
        if isinstance(exc, Unauthenticated) and request.method == "GET":
            return _to_sign_in(request, wired)
        return await run_in_threadpool(error_page, request, wired, exc)

    async def not_done(self, request: Request, wired: Container, exc: NotDone) -> Response:  # noqa: ARG002 - a form's
        """What a person gets whose form was not carried out: only forms raise it."""
        raise exc


def _to_sign_in(request: Request, wired: Container) -> Response:
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = f"{base_of(wired.settings)}/sign-in"
    return RedirectResponse(target if here == "/" else f"{target}?next={quote(here, safe='')}", 303)


def error_page(request: Request, wired: Container, exc: AppError) -> Response:
    """What went wrong, in the reader's words. One that may pass by itself looks again, unless it is a form."""
    lang = page_lang(request)
    reader, inbox = _head(request, wired, exc)
    renews = request.method == "GET" and exc.retry_after is not None
    title = t(f"problem.{exc.code}", lang)
    detail = detail_of(exc, lang)
    response = render(
        request,
        wired,
        "error.html",
        reader,
        exc.status,
        code=exc.code,
        detail="" if detail == title else detail,
        renews=RENEWED if renews else None,
        inbox=inbox,
    )
    if exc.retry_after:
        response.headers["Retry-After"] = str(exc.retry_after)
    if renews:
        response.headers["Refresh"] = str(RENEWED)
    return response


def _head(request: Request, wired: Container, exc: AppError) -> tuple[Reader | None, int]:
    """Whose head the page has, and what waits for them: none where the database does not answer."""
    reader: Reader | None = getattr(request.state, "reader", None)
    if reader is None or exc.status >= 500:  # noqa: PLR2004 - HTTP's own line
        return None, 0
    try:
        return reader, waiting(wired.reads.counts(reader.who.workspace))
    except Unavailable:
        return None, 0


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
    request.state.reader = reader
    request.state.principal = reader.who  # what `Who` and `TaskRef` of common.web read; so a reader is asked for first
    return reader


Reading = Annotated[Reader, Depends(_session_reader)]
