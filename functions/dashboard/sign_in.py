"""Signing in and out. A GET only shows: mail scanners open links, so the code is redeemed by the button's POST."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from common.core.errors import Unauthenticated
from common.web import Wired

from .codes import SignInLimits, redeem
from .page_route import Reading, new_router
from .rendering import render
from .session import base_of, check_csrf, clear_session, set_session

router = new_router()


@router.get("/sign-in")
def sign_in(request: Request, wired: Wired, next: str = "") -> Response:
    """A form for the code."""
    return render(request, wired, "sign_in.html", code="", next=_inside(next), wrong=False)


@router.post("/sign-in")
def sign_in_with(
    request: Request,
    wired: Wired,
    code: Annotated[str, Form(max_length=64)] = "",
    next: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Redeem the code of the form."""
    return _redeem(request, wired, code, _inside(next))


@router.get("/in/{code}")
def show_code(request: Request, wired: Wired, code: str) -> Response:
    """A button; nothing is redeemed yet."""
    return render(request, wired, "sign_in.html", code=code[:64], next="", wrong=False)


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


def _redeem(request: Request, wired: Wired, code: str, target: str) -> Response:
    limits = cast("SignInLimits", request.app.state.function.sign_ins)
    address = _address(request)
    limits.count(address)
    redeemed = redeem(wired.people, code)
    if redeemed is None:
        return render(request, wired, "sign_in.html", status=Unauthenticated.status, code="", next=target, wrong=True)
    limits.forgive(address)
    response = RedirectResponse(base_of(wired.settings) + target, 303)
    set_session(response, wired.settings, redeemed[1])
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
