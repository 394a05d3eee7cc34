"""The list with its filters in the address, and the inbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from common import api
from common.core.task import RISKS, TERMINAL, Risk, State
from common.ports import TaskFilter, TaskRecord
from common.web import Wired

from . import tasks
from .lines import lines_of, waiting
from .page_route import Reading, new_router
from .rendering import render
from .session import Reader, page_lang

router = new_router()

PAGE: Final = 30
INBOX_PAGES: Final = 5  # of 200 each: whoever has more waiting than that sees the oldest thousand
IN_PROGRESS: Final = (State.RECEIVED, State.ANALYZING, State.QUEUED, State.RUNNING)
TABS: Final = (
    ("all", ()),
    ("progress", IN_PROGRESS),
    ("approval", (State.AWAITING_APPROVAL,)),
    ("person", (State.MANUAL,)),
    ("succeeded", (State.SUCCEEDED,)),
    ("cancelled", (State.CANCELLED,)),
)


class ListQuery(BaseModel):
    """The list's filters as a form sends them: an empty field narrows nothing, a strange one neither."""

    state: list[State] = Field(default_factory=list)
    risk: Literal["", "low", "medium", "high", "critical"] = ""
    kind: str = Field(default="", max_length=100)
    tag: str = Field(default="", max_length=64)
    q: str = Field(default="", max_length=200)
    cursor: str = ""

    def asked(self) -> api.TaskQuery:
        """The same as the API's query."""
        return api.TaskQuery(
            limit=PAGE,
            cursor=self.cursor or None,
            state=self.state,
            risk=Risk(self.risk) if self.risk else None,
            kind=self.kind or None,
            tag=self.tag or None,
            q=self.q or None,
        )


@dataclass(frozen=True, slots=True)
class Tab:
    """A filter by state. `count` None: not counted, since it only grows."""

    name: str
    url: str
    count: int | None
    chosen: bool


@router.get("/")
def tasks_page(request: Request, wired: Wired, reader: Reading, query: Annotated[ListQuery, Query()]) -> Response:
    """The list, with its filters in the address."""
    return list_page(request, wired, reader, query)


def list_page(
    request: Request,
    wired: Wired,
    reader: Reader,
    query: ListQuery,
    *,
    draft: str = "",
    preview: api.Preview | None = None,
) -> Response:
    """The list; `draft` and `preview`: a text that was only looked at."""
    lang = page_lang(request)
    records, following = tasks.page_of(query.asked(), reader.who, wired)
    counts = wired.reads.counts(reader.who.workspace)
    return render(
        request,
        wired,
        "tasks.html",
        reader,
        lines=lines_of(records, reader, wired, lang),
        tabs=_tabs(request, query, counts),
        query=query,
        risks=RISKS,
        filtered=bool(query.q or query.kind or query.tag or query.risk or query.state),
        narrowed=bool(query.kind or query.tag or query.risk),
        next_url=_with(request, cursor=following) if following else None,
        first_url=_without(request, "cursor") if query.cursor else None,
        inbox=waiting(counts),
        draft=draft,
        preview=preview,
    )


def _with(request: Request, **changed: object) -> str:
    return f"?{request.url.remove_query_params('lang').include_query_params(**changed).query}"


def _without(request: Request, *names: str) -> str:
    return f"?{request.url.remove_query_params([*names, 'lang']).query}"


def _tabs(request: Request, query: ListQuery, counts: dict[State, int]) -> list[Tab]:
    tabs = []
    for name, states in TABS:
        plain = _without(request, "cursor", "state")
        url = plain + "".join(
            f"{'' if plain.endswith('?') and i == 0 else '&'}state={s.value}" for i, s in enumerate(states)
        )
        live = [s for s in states if s not in TERMINAL]
        count = sum(counts.get(s, 0) for s in live) if live else None
        tabs.append(Tab(name, url, count, set(states) == set(query.state)))
    return tabs


@router.get("/inbox")
def inbox_page(request: Request, wired: Wired, reader: Reading) -> Response:
    """What waits for a person, the oldest first."""
    lang = page_lang(request)
    found: list[TaskRecord] = []
    before: UUID | None = None
    for _ in range(INBOX_PAGES):
        states = (State.AWAITING_APPROVAL, State.MANUAL)
        page = wired.reads.tasks(reader.who.workspace, TaskFilter(states=states, before=before, limit=200))
        found += page[:200]
        if len(page) <= 200:  # noqa: PLR2004 - the limit above
            break
        before = found[-1].task.id
    found.sort(key=lambda record: record.since)
    lines = lines_of(found, reader, wired, lang)
    return render(
        request,
        wired,
        "inbox.html",
        reader,
        approvals=[line for line in lines if line.task.state is State.AWAITING_APPROVAL],
        people=[line for line in lines if line.task.state is State.MANUAL],
        inbox=len(found),
    )
