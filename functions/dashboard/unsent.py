"""A form that was not carried out, and what was typed into it: nothing that a person wrote is lost to a refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import FormData
from starlette.requests import Request

from .session import Flash

# What the page puts into a form, as opposed to what a person does.
OURS: Final = frozenset({"csrf", "version", "digest", "step", "outcome", "code", "next", "unsent"})
IN_THE_BOX: Final = frozenset({"/tasks", "/preview"})
LENGTH_MAX: Final = 200_000  # a text may have 20,000 letters, each escaped as six
FIELDS_MAX: Final = 50  # the largest form of ours has far fewer


async def form_of(request: Request) -> FormData:
    """A form's fields, read once and kept with the request. HTTPException: it is larger than any form of ours."""
    return await request.form(max_files=0, max_fields=FIELDS_MAX)


@dataclass(frozen=True, slots=True)
class Unsent:
    """A form as it was sent to us.

    Args:
        action: its path, without the base.
        fields: all of them, as they came.
    """

    action: str
    fields: Mapping[str, str]

    @property
    def page(self) -> str:
        """The path of the page on which it stands."""
        match self.action.split("/")[1:]:
            case ["tasks", task, _]:
                return f"/tasks/{task}"
            case ["settings", *_]:
                return "/settings"
            case ["people" | "tokens", *_]:
                return "/people"
            case _:
                return "/"

    @property
    def draft(self) -> str:
        """What was written into the box for a new task."""
        return self.fields.get("text", "") if self.action in IN_THE_BOX else ""

    @property
    def typed(self) -> dict[str, str]:
        """What a person wrote or chose, but for what the box shows by itself."""
        given = {name: value for name, value in self.fields.items() if name not in OURS and value.strip()}
        return {} if self.action in IN_THE_BOX else given

    def packed(self) -> str:
        """To carry it through a sign-in. The token of its session is of no use afterwards."""
        return json.dumps({"action": self.action, "fields": {k: v for k, v in self.fields.items() if k != "csrf"}})

    @classmethod
    def unpacked(cls, text: str) -> Unsent | None:
        """What `packed` made; None if it is none of ours: it came through the browser."""
        if not text or len(text) > LENGTH_MAX:
            return None
        try:
            found = json.loads(text)
            action, fields = found["action"], found["fields"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if not isinstance(action, str) or not action.startswith("/") or not isinstance(fields, dict):
            return None
        return cls(action, {str(k): v for k, v in fields.items() if isinstance(v, str)})


@dataclass(frozen=True, slots=True)
class Again:
    """A page that is shown because its form was not carried out; `flash` says why; `path` is the page's."""

    unsent: Unsent
    flash: Flash | None
    elsewhere: bool = False  # this reader may not see the form's own page

    @property
    def path(self) -> str:
        """The page's, without the base."""
        return "/" if self.elsewhere else self.unsent.page


class NotDone(Exception):
    """The function that owns the route did not do what a form asked for."""

    def __init__(self, status: int, flash: Flash) -> None:
        """`status`: what it answered; `flash`: why, in the reader's words."""
        super().__init__(flash.text)
        self.status = status
        self.flash = flash
