"""Templates to HTML: the environment, what every page needs, and how values look in the reader's language."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from common.api import ReasonView
from common.auth import reaches
from common.core.spending import standing
from common.core.task import Json, Lang, State
from common.i18n import catalogue, failure_said, t
from common.i18n.money import dollars
from common.wiring import Container

from .session import FLASH_COOKIE, LANG_COOKIE, YEAR_SECONDS, Reader, base_of, is_secure, page_lang, take_flash
from .unsent import Again

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"
FOREVER: Final = "public, max-age=31536000, immutable"  # the address carries the content's hash
# No inline script or style, nothing from outside, no frame around us, forms to ourselves only.
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60))


@lru_cache
def environment() -> Environment:
    """The templates, compiled once. Everything is escaped; a name that is not there is an error."""
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.filters["pretty"] = pretty
    env.filters["by_text"] = by_text
    env.globals["dollars"] = dollars
    env.globals["reaches"] = reaches
    env.globals["State"] = State
    return env


@lru_cache
def static_version() -> str:
    """Changes with the content of any file in static/."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def render(
    request: Request, wired: Container, template: str, reader: Reader | None = None, status: int = 200, **values: object
) -> HTMLResponse:
    """A page, with its headers. `values`: what the template names besides the words below."""
    lang = page_lang(request)
    shown = Shown(lang, zone_of(wired, reader))
    again: Again | None = getattr(request.state, "again", None)
    left = take_flash(request.cookies, wired.settings)
    here = again.path if again and reader else request.url.path
    pause = wired.workspace.policy(reader.who.workspace).pause if reader else None
    budget = standing(wired.budget.month(reader.who.workspace), wired.quote.one_call()) if reader else None
    body = (
        environment()
        .get_template(template)
        .render(
            base=base_of(wired.settings),
            version=static_version(),
            lang=lang,
            t=partial(_t, lang),
            shown=shown,
            reader=reader,
            path=here,
            other_lang_url=_other_lang_url(request, lang, base_of(wired.settings), here),
            flash=again.flash if again else left,
            unsent=again.unsent if again else None,
            pause=pause,
            budget=budget,
            **values,
        )
    )
    response = HTMLResponse(body, status, HEADERS)
    if left is not None:
        response.delete_cookie(FLASH_COOKIE, path="/", secure=is_secure(wired.settings), httponly=True, samesite="lax")
    if request.query_params.get("lang") == lang:
        response.set_cookie(
            LANG_COOKIE, lang, max_age=YEAR_SECONDS, path="/", secure=is_secure(wired.settings), samesite="lax"
        )
    return response


def _t(lang: Lang, key: str, /, **values: object) -> str:
    return t(key, lang, **values)


def _other_lang_url(request: Request, lang: Lang, base: str, here: str) -> str:
    """This page in the other language; of what a form showed, the page where it stands, or the front page."""
    other = "ko" if lang == "en" else "en"
    if request.method != "GET":
        return f"{base}{here if here != request.url.path else '/'}?lang={other}"
    return f"{base}{quote(request.url.path)}?{request.url.include_query_params(lang=other).query}"


def zone_of(wired: Container, reader: Reader | None) -> ZoneInfo:
    """The workspace's time zone; UTC where it is unknown here."""
    name = wired.workspace.policy(reader.who.workspace).time_zone if reader else "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def pretty(value: Json) -> str:
    """JSON for people."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def by_text(reasons: Iterable[ReasonView]) -> list[tuple[ReasonView, list[str]]]:
    """Reasons that say the same stand once, with the steps of all: a plan may have fifty."""
    found: dict[tuple[str, str], tuple[ReasonView, list[str]]] = {}
    for reason in reasons:
        steps = found.setdefault((reason.floor.value, reason.text), (reason, []))[1]
        if reason.step:
            steps.append(reason.step)
    return list(found.values())


class Shown:
    """How times, spans and failures look to this reader."""

    def __init__(self, lang: Lang, zone: ZoneInfo) -> None:
        """`zone`: the workspace's."""
        self._lang = lang
        self._zone = zone

    def time(self, at: datetime | None) -> Markup:
        """An absolute time of the workspace's zone."""
        if at is None:
            return Markup("")
        local = at.astimezone(self._zone)
        words = t("page.time", self._lang, year=local.year, month=local.month, day=local.day,
                  clock=f"{local:%H:%M}", name=f"{local:%b}")  # fmt: skip
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            at.isoformat(), f"{local:%Y-%m-%d %H:%M:%S %Z}", words
        )

    def ago(self, at: datetime | None) -> Markup:
        """A time seen from now; the script keeps it fresh."""
        if at is None:
            return Markup("")
        local = at.astimezone(self._zone)
        return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
            at.isoformat(), f"{local:%Y-%m-%d %H:%M:%S %Z}", self._from_now(at - datetime.now(UTC))
        )

    def _from_now(self, span: timedelta) -> str:
        seconds = span.total_seconds()
        for unit, size in UNITS:
            if abs(seconds) >= size:
                number = int(abs(seconds) // size)
                return t(f"page.{'in' if seconds > 0 else 'ago'}.{unit}", self._lang, n=number)
        return t("page.in.moment" if seconds > 0 else "page.ago.moment", self._lang)

    def money(self, usd: str) -> str:
        """Dollars as a person writes them: no row of zeros."""
        return usd.rstrip("0").rstrip(".") if "." in usd else usd

    def failure(self, code: str) -> tuple[str, str]:
        """What went wrong, and what mends it."""
        mend = f"mend.{code}" if f"mend.{code}" in catalogue("en") else "mend.other"
        return failure_said(code, self._lang), t(mend, self._lang)

    def note(self, note: str) -> str:
        """A note: a person's words as they are; a code that the machinery left, in words."""
        key = f"failure.{note}"
        return t(key, self._lang) if key in catalogue("en") else note
