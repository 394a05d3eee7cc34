"""A form on its way: checked for its token, then sent on with the session's secret.

What is done, and whether it may be, is decided where the route is: here it is only asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import quote

import httpx2
from fastapi import Depends
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from common.core.errors import Unauthenticated
from common.core.task import Json
from common.i18n import t
from common.routes import ROUTE
from common.web import Wired

from .live import Serving
from .page_route import Reading
from .session import Flash, base_of, check_csrf, page_lang, put_flash
from .unsent import NotDone, form_of

TIMEOUT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the function that owns the route said."""

    status: int
    body: dict[str, Json]

    @property
    def good(self) -> bool:
        """Whether it was done."""
        return self.status < 400  # noqa: PLR2004 - HTTP's own line


class Forward:
    """Sends a form on to the function that owns the route."""

    def __init__(self, request: Request, wired: Wired, reader: Reading, serving: Serving) -> None:
        """Everything a form needs to be sent on and answered."""
        self.request = request
        self.wired = wired
        self.reader = reader
        self.lang = page_lang(request)
        self._way = serving.way

    async def form(self) -> FormData:
        """The form's fields. Forbidden if it does not carry this session's token."""
        fields = await form_of(self.request)
        check_csrf(self.reader, fields.get("csrf"))
        return fields

    async def send(
        self,
        route_name: str,
        body: dict[str, Json] | None = None,
        *,
        headers: dict[str, str] | None = None,
        **path: str,
    ) -> Answer:
        """Send it on as JSON, as this person."""
        route = ROUTE[route_name]
        where = self.wired.settings.function_url.format(name=route.function).rstrip("/")
        url = where + route.path.format(**{name: quote(value, safe="") for name, value in path.items()})
        sent = {"Authorization": f"Bearer {self.reader.secret}", "Accept-Language": self.lang, **(headers or {})}
        async with httpx2.AsyncClient(transport=self._way, timeout=TIMEOUT_SECONDS) as client:
            try:
                got = await client.request(route.method, url, json=body, headers=sent)
                answered = got.json() if got.content else {}
            except (httpx2.HTTPError, ValueError):
                return Answer(
                    503, {"title": t("problem.unavailable", self.lang), "detail": t("page.unreachable", self.lang)}
                )
        return Answer(got.status_code, answered if isinstance(answered, dict) else {})

    def back(self, to: str, answer: Answer, done: str) -> Response:
        """Go to a page, and say there that it is done. NotDone if it is not.

        Args:
            to: the page's path.
            answer: what the function said.
            done: the message's key.
        """
        self.require(answer)
        response = RedirectResponse(base_of(self.wired.settings) + to, 303)
        put_flash(response, self.wired.settings, Flash("good", t(done, self.lang)))
        return response

    def require(self, answer: Answer) -> None:
        """NotDone unless it was done: the form is shown again, with why, and with what was typed."""
        if answer.status == Unauthenticated.status:
            raise Unauthenticated
        if answer.good:
            return
        title = str(answer.body.get("title") or t("problem.error", self.lang))
        errors = answer.body.get("errors")
        faults = [e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else []
        detail = str(answer.body.get("detail", ""))
        more = tuple(_fault(e) for e in faults) or (() if detail == title else (detail,))
        raise NotDone(answer.status, Flash("bad", title, more))


def _fault(error: dict[str, Json]) -> str:
    """A fault as the page says it: where a form has the field, its place in the JSON helps nobody."""
    hint = f" ({error['hint']})" if error.get("hint") else ""
    pointer = str(error.get("pointer", ""))
    place = f"{pointer}: " if pointer.startswith("#/plan") else ""
    return f"{place}{error.get('detail', '')}{hint}"


Forwarding = Annotated[Forward, Depends()]


def field_of(fields: FormData, name: str) -> str:
    """A field's text without blanks around it; empty if it was not sent."""
    value = fields.get(name, "")
    return value.strip() if isinstance(value, str) else ""
