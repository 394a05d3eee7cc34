"""What makes a browser's request trustworthy: known host, own origin, a session's cookie, a form's token.

Only this function reads cookies. Its pages have no power of their own: they read as the session's person may, and what
changes something is sent on with the session's secret, and decided by the function that owns the route.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from common.config import Settings
from common.core.errors import Forbidden, Unavailable
from common.core.task import Lang
from common.ports import Principal
from common.problems import reader_lang

from .codes import SESSION_LASTS

LANG_COOKIE: Final = "aiw_lang"
FLASH_COOKIE: Final = "aiw_flash"
FLASH_SECONDS: Final = 60
YEAR_SECONDS: Final = 31_536_000
LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a page: the person, the session's secret for what is sent on, and the token of this session's forms."""

    who: Principal
    secret: str
    csrf: str


@dataclass(frozen=True, slots=True)
class Flash:
    """A message for the next page."""

    tone: Literal["good", "bad"]
    text: str
    more: tuple[str, ...] = ()


# --- where we are -----------------------------------------------------------------------------------------------------


def base_of(settings: Settings) -> str:
    """The path under which the pages are reached, without a trailing slash: links begin with it."""
    return urlsplit(settings.public_url).path.rstrip("/")


def is_secure(settings: Settings) -> bool:
    """Whether browsers come over TLS."""
    return settings.public_url.startswith("https://")


def check_host(request: Request, settings: Settings) -> None:
    """Refuse a Host that is not ours: a page elsewhere whose name was made to point here reads nothing."""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    ours = {urlsplit(settings.public_url).hostname, urlsplit(settings.function_url.format(name="dashboard")).hostname}
    if host not in LOCAL | ours | {"dashboard"}:
        raise Forbidden(f"unknown host {host[:100]!r}: use {settings.public_url}")


def check_origin(request: Request, settings: Settings) -> None:
    """Refuse a form that another site sent. A browser always says where a POST comes from."""
    origin = request.headers.get("origin")
    if origin is None:
        if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            raise Forbidden(FOREIGN_FORM)
        return
    sent_from = urlsplit(origin).netloc
    if sent_from not in {request.headers.get("host", ""), urlsplit(settings.public_url).netloc}:
        raise Forbidden(FOREIGN_FORM)


FOREIGN_FORM: Final = "this form was sent from another site; open the page here and try again"
STALE_FORM: Final = "this form belongs to an earlier session; open the page again"


# --- the session ------------------------------------------------------------------------------------------------------


def session_cookie(settings: Settings) -> str:
    """The cookie's name. `__Host-` keeps a neighbouring name from setting it, and browsers want TLS for it."""
    return "__Host-aiw" if is_secure(settings) else "aiw"


def set_session(response: Response, settings: Settings, secret: str) -> None:
    """Sign the browser in."""
    response.set_cookie(
        session_cookie(settings),
        secret,
        max_age=int(SESSION_LASTS.total_seconds()),
        path="/",
        secure=is_secure(settings),
        httponly=True,
        samesite="lax",
    )


def clear_session(response: Response, settings: Settings) -> None:
    """Forget the session in the browser."""
    response.delete_cookie(
        session_cookie(settings), path="/", secure=is_secure(settings), httponly=True, samesite="lax"
    )


@lru_cache(maxsize=4)
def _key(path: Path, changed_ns: int) -> bytes:  # noqa: ARG001 - a changed file is another entry
    return path.read_bytes().strip()


def signing_key(settings: Settings) -> bytes:
    """The installation's key. Unavailable if there is none yet."""
    path = settings.secrets_dir / "signing.key"
    try:
        key = _key(path, path.stat().st_mtime_ns)
    except OSError as exc:
        raise Unavailable("the secret `signing.key` cannot be read: see `aiw doctor`") from exc
    if not key:
        raise Unavailable("the secret `signing.key` is empty: see `aiw doctor`")
    return key


def csrf_of(settings: Settings, secret: str) -> str:
    """The token that every form of this session carries."""
    return hmac.new(signing_key(settings), f"csrf:{secret}".encode(), hashlib.sha256).hexdigest()


class StaleForm(Forbidden):
    """A form of another session of the same browser: who pressed it has signed in again since."""


def check_csrf(reader: Reader, given: object) -> None:
    """StaleForm unless it carries this session's token."""
    if not isinstance(given, str) or not hmac.compare_digest(reader.csrf.encode(), given.encode(errors="replace")):
        raise StaleForm(STALE_FORM)


# --- language and messages --------------------------------------------------------------------------------------------


def page_lang(request: Request) -> Lang:
    """`?lang=`, else what was chosen before, else the browser's."""
    for chosen in (request.query_params.get("lang"), request.cookies.get(LANG_COOKIE)):
        if chosen in {"ko", "en"}:
            return cast("Lang", chosen)
    return reader_lang(request)


def put_flash(response: Response, settings: Settings, flash: Flash) -> None:
    """Say it on the next page. Signed: nobody else puts words there."""
    more = [line[:150] for line in flash.more[:3]]  # a cookie has to stay under 4 KB, and Korean takes 3 bytes a letter
    raw = json.dumps([flash.tone, flash.text[:200], more], ensure_ascii=False).encode(errors="replace")
    body = base64.urlsafe_b64encode(raw).decode()
    response.set_cookie(
        FLASH_COOKIE,
        f"{body}.{_signature(settings, body)}",
        max_age=FLASH_SECONDS,
        path="/",
        secure=is_secure(settings),
        httponly=True,
        samesite="lax",
    )


def take_flash(cookies: Mapping[str, str], settings: Settings) -> Flash | None:
    """What was to be said; None if nothing, or if we did not write it."""
    body, _, signature = cookies.get(FLASH_COOKIE, "").partition(".")
    if not body or not hmac.compare_digest(_signature(settings, body).encode(), signature.encode(errors="replace")):
        return None
    try:
        tone, text, more = json.loads(base64.urlsafe_b64decode(body))
    except (ValueError, binascii.Error):
        return None
    return Flash(tone, text, tuple(more))


def _signature(settings: Settings, body: str) -> str:
    return hmac.new(signing_key(settings), f"flash:{body}".encode(), hashlib.sha256).hexdigest()[:32]
