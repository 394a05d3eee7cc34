"""The class of all form routes: a form that is not carried out is shown again, with what was typed into it."""

from __future__ import annotations

from dataclasses import replace
from typing import cast
from uuid import UUID

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from common.core.errors import AppError, Forbidden, NotFound, Unauthenticated, Unavailable
from common.i18n import t
from common.problems import detail_of
from common.wiring import Container

from . import pages, task_lists
from .page_route import PageRoute, error_page
from .rendering import render
from .session import Flash, Reader, StaleForm, page_lang
from .unsent import Again, NotDone, Unsent, form_of


class FormRoute(PageRoute):
    """A form's route."""

    async def refused(self, request: Request, wired: Container, exc: AppError) -> Response:
        """See PageRoute."""
        lang = page_lang(request)
        if isinstance(exc, Unauthenticated):
            flash = Flash("bad", t("page.unsent.signed_out", lang))
            request.state.again = Again(await _unsent(request), flash)
            return await run_in_threadpool(sign_in_page, request, wired, exc.status)
        if isinstance(exc, StaleForm):
            flash = Flash("bad", t("page.unsent.stale", lang), (detail_of(exc, lang),))
            again = Again(await _unsent(request), flash)
            return await run_in_threadpool(shown_again, request, wired, _reader(request), again, exc.status)
        if exc.retry_after:
            request.state.again = Again(await _unsent(request), None)
        return await super().refused(request, wired, exc)

    async def not_done(self, request: Request, wired: Container, exc: NotDone) -> Response:
        """See PageRoute."""
        again = Again(await _unsent(request), exc.flash)
        return await run_in_threadpool(shown_again, request, wired, _reader(request), again, exc.status)


def form_router() -> APIRouter:
    """A router of forms."""
    return APIRouter(route_class=FormRoute, include_in_schema=False)


async def _unsent(request: Request) -> Unsent:
    try:
        fields = await form_of(request)
    except HTTPException:  # larger than any form of ours: there is nothing of it to show again
        return Unsent(request.url.path, {})
    return Unsent(request.url.path, {name: value for name, value in fields.items() if isinstance(value, str)})


def _reader(request: Request) -> Reader:
    return cast("Reader", request.state.reader)


def sign_in_page(
    request: Request,
    wired: Container,
    status: int = 200,
    *,
    code: str = "",
    following: str = "/",
    wrong: bool = False,
) -> Response:
    """A form for the code, or a button if there is one; `following`: the path to go on to."""
    return render(request, wired, "sign_in.html", status=status, code=code, next=following, wrong=wrong)


def shown_again(request: Request, wired: Container, reader: Reader, again: Again, status: int = 200) -> Response:
    """The page on which the form stands; the list if this reader may not see it. What was typed is there either way."""
    request.state.again = again
    try:
        response = _page(request, wired, reader, again.unsent)
    except Unavailable as exc:  # what refused the form, most likely: its page cannot be shown either
        request.state.again = replace(again, flash=None)
        return error_page(request, wired, exc)
    except (Forbidden, NotFound):
        request.state.again = replace(again, elsewhere=True)
        response = task_lists.list_page(request, wired, reader, task_lists.ListQuery(), draft=again.unsent.draft)
    response.status_code = status
    return response


def _page(request: Request, wired: Container, reader: Reader, unsent: Unsent) -> Response:
    match unsent.page.split("/")[1:]:
        case ["tasks", task]:
            return pages.task_page(request, wired, reader, _id(task))
        case ["settings"]:
            return pages.settings_page(request, wired, reader)
        case ["people"]:
            return pages.people_page(request, wired, reader)
        case _:
            return task_lists.list_page(request, wired, reader, task_lists.ListQuery(), draft=unsent.draft)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as exc:
        msg = f"{text[:40]!r} is no task id"
        raise NotFound(msg) from exc
