"""The one place where an error becomes HTTP: problem+json (RFC 9457), in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from common import api
from common.body import pointer_token
from common.core.errors import (
    AppError,
    Conflict,
    FieldError,
    Invalid,
    Malformed,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from common.core.model_faults import worded
from common.core.task import Lang
from common.i18n import t
from common.i18n.details import said
from common.routes import methods_of

PROBLEM: Final = "application/problem+json"
NOT_ALLOWED: Final = 405


def reader_lang(request: Request) -> Lang:
    """The reader's language: the first of Accept-Language that we speak, else English."""
    for part in request.headers.get("accept-language", "").split(","):
        tag = part.partition(";")[0].strip().lower()[:2]
        if tag in {"ko", "en"}:
            return cast("Lang", tag)
    return "en"


def problem(request: Request, exc: Exception) -> JSONResponse:
    """The one place where an error becomes HTTP (RFC 9457). Strangers are never quoted (I11)."""
    known, lang = _known(exc), reader_lang(request)
    body = api.Problem(
        type=f"/problems/{known.code}",
        title=t(f"problem.{known.code}", lang),
        status=known.status,
        detail=detail_of(known, lang),
        errors=[
            api.ProblemError(pointer=e.pointer, detail=said(e.detail, lang), hint=said(e.hint, lang))
            for e in known.errors
        ]
        if isinstance(known, Invalid)
        else None,
        state=known.state if isinstance(known, Conflict) else None,
        digest=known.digest if isinstance(known, Conflict) else None,
    )
    headers = {"Retry-After": str(known.retry_after)} if known.retry_after else {}
    if known.status == Unauthenticated.status:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(exc, HTTPException):
        headers |= exc.headers or {}
    # Starlette names the methods of one route, and a path may have several.
    if known.status == NOT_ALLOWED and (methods := methods_of(request.url.path)):
        headers["Allow"] = ", ".join(methods)
    return JSONResponse(body.model_dump(mode="json", exclude_none=True), known.status, headers, media_type=PROBLEM)


def detail_of(exc: AppError, lang: Lang) -> str:
    """What an error says besides its title; the title again where it says nothing."""
    text = str(exc)
    return t(f"problem.{exc.code}", lang) if text == exc.title and lang != "en" else said(text, lang)


class Stranger(AppError):
    """What nobody foresaw: the log has the cause, and nobody else (I11)."""

    code = "internal"


def _known(exc: Exception) -> AppError:
    if isinstance(exc, AppError):
        return exc
    if isinstance(exc, RequestValidationError):
        return invalid_from(exc.errors())
    if isinstance(exc, HTTPException):
        return _from_http(exc)
    return Stranger("the log has the cause")


def _from_http(exc: HTTPException) -> AppError:
    if exc.status_code == NotFound.status:
        return NotFound("no such route: see /api/v1/openapi.json")
    if exc.status_code == Malformed.status:
        return Malformed(str(exc.detail))
    if exc.status_code >= 500:  # noqa: PLR2004 - server errors
        return Unavailable(str(exc.detail))
    other = _Other(str(exc.detail))
    other.status = exc.status_code
    return other


class _Other(AppError):
    """Starlette's own refusals (405): the status is each one's."""

    code = "refused"


def invalid_from(errors: Any, root: str = "#") -> Invalid:  # noqa: ANN401 - pydantic's list of error dicts
    """pydantic's errors with JSON pointers (`#/plan/steps/0/args`); of a query: `?name`, of a path: `{name}`."""
    return Invalid(tuple(_field_error(error, root) for error in errors))


def _field_error(error: Mapping[str, Any], root: str) -> FieldError:
    where, *path = [*error["loc"]] or ["body"]
    if where == "query":
        pointer = f"?{path[0] if path else ''}"
    elif where == "path":
        pointer = f"{{{path[0] if path else ''}}}"
    else:
        tail = path if where == "body" else [where, *path]
        pointer = root + "".join(f"/{pointer_token(p)}" for p in tail)
    return FieldError(pointer, *worded(error))
