"""Signing in and out. A GET only shows: mail scanners open links, so the code is redeemed by the button's POST."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from common.core.errors import Unauthenticated
from common.i18n import t
from common.web import Wired

from .codes import SignInLimits, redeem
from .form_route import shown_again, sign_in_page
from .page_route import Reading, new_router
from .session import Flash, Reader, base_of, check_csrf, clear_session, csrf_of, page_lang, set_session
from .unsent import Again, Unsent

router = new_router()


@router.get("/sign-in")
def sign_in(request: Request, wired: Wired, next: str = "") -> Response:
    """A form for the code."""
    return sign_in_page(request, wired, following=_inside(next))


@router.post("/sign-in")
def sign_in_with(
    request: Request,
    wired: Wired,
    code: Annotated[str, Form(max_length=64)] = "",
    next: Annotated[str, Form(max_length=2000)] = "",
    unsent: Annotated[str, Form()] = "",
) -> Response:
    """Redeem the code of the form; `unsent`: another form that was pressed when the session had ended."""
    return _redeem(request, wired, code, _inside(next), Unsent.unpacked(unsent))


@router.get("/in/{code}")
def show_code(request: Request, wired: Wired, code: str) -> Response:
    """A button; nothing is redeemed yet."""
    return sign_in_page(request, wired, code=code[:64])


@router.post("/in/{code}")
def sign_in_by_link(request: Request, wired: Wired, code: str) -> Response:
    """Redeem the code of the link."""
    return _redeem(request, wired, code, "/")


@router.post("/sign-out")
def sign_out(wired: Wired, reader: Reading, csrf: Annotated[str, Form()] = "") -> Response:
    """End the session, here and everywhere."""
    check_csrf(reader, csrf)
    wired.people.revoke(reader.who.workspace, reader.who.token_sha256)
    wired.doorkeeper.forget(reader.who.token_sha256)
    response = RedirectResponse(f"{base_of(wired.settings)}/sign-in", 303)
    clear_session(response, wired.settings)
    return response


def _redeem(request: Request, wired: Wired, code: str, target: str, unsent: Unsent | None = None) -> Response:
    limits = cast("SignInLimits", request.app.state.function.sign_ins)
    address = _address(request)
    limits.count(address)
    redeemed = redeem(wired.people, code)
    if redeemed is None:
        request.state.again = Again(unsent, None) if unsent else None
        return sign_in_page(request, wired, Unauthenticated.status, following=target, wrong=True)
    limits.forgive(address)
    who, secret = redeemed
    response: Response = RedirectResponse(base_of(wired.settings) + target, 303)
    if unsent:
        again = Again(unsent, Flash("good", t("page.unsent.signed_in", page_lang(request))))
        response = shown_again(request, wired, Reader(who, secret, csrf_of(wired.settings, secret)), again)
    set_session(response, wired.settings, secret)
    return response


def _inside(target: str) -> str:
    """A path of ours to go on to; anything else is the front page."""
    if target.startswith("/") and not target.startswith(("//", "/\\")) and "\n" not in target and "\r" not in target:
        return target
    return "/"


def _address(request: Request) -> str:
    """Where a try comes from, as the nearest proxy saw it."""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded[:64] or (request.client.host if request.client else "")
