"""People hear how their money stands: on the workspace's channel, once a change, in either direction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from common.core.spending import Standing
from common.core.task import uuid7
from common.ports import Bill, CallRequest, HttpResponse, Usage
from common.telemetry import metrics
from functions.approve.announce import Announcer
from functions.approve.budget_news import LOOK_EVERY, BudgetNews
from functions.approve.usage_news import UsageNews
from tests.unit.desk import Desk, desk

DOLLAR = 10**9


class Ticking:
    """A clock that moves on at each look, so that each turn looks."""

    def __init__(self) -> None:
        """At nothing."""
        self.at = 0.0

    def monotonic(self) -> float:
        """A look later."""
        self.at += LOOK_EVERY
        return self.at


@pytest.fixture
def at() -> Iterator[Desk]:
    """The five functions over memory, with a channel."""
    with desk() as it:
        admin = uuid7(0, bytes(10))
        it.container.workspace.put(it.workspace, "channels", {"ops": "http://127.0.0.1:9300/hook"}, None, admin)
        it.container.workspace.put(it.workspace, "notify", "ops", None, admin)
        yield it


def news_of(at: Desk) -> BudgetNews:
    """What looks at money, at each turn."""
    box = at.container
    announcer = Announcer(box.approvals, box.workspace, box.catalogue, box.http, "http://desk.example/")
    ticking: Any = Ticking()
    return BudgetNews(box.budget, box.workspace, ticking, announcer.tell, "http://desk.example/", lambda: 1000)


def spend(at: Desk, nanodollars: int) -> None:
    """Money is spent."""
    wanted = CallRequest(workspace=at.workspace, purpose="analysis", model="m", prompt_version="1", reserve=nanodollars)
    made = at.container.budget.reserve(wanted)
    assert isinstance(made, UUID)
    at.container.budget.settle(made, Bill(usage=Usage(input=1), cost=nanodollars))


def limit(at: Desk, dollars: str) -> None:
    """A person sets the limit."""
    at.container.workspace.put(at.workspace, "budget_usd", dollars, None, uuid7(0, bytes(10)))


def said(at: Desk) -> list[str]:
    """What the channel was told, and forgotten."""
    texts = [json.loads(request.body or b"")["text"] for request in at.far.seen]
    at.far.seen.clear()
    return texts


def test_each_change_is_told_once_with_what_goes_on_and_the_mend(at: Desk) -> None:
    """Normal, saving, exhausted: each announced once, and again when the limit is raised."""
    news = news_of(at)
    spend(at, 10 * DOLLAR)
    assert (news.turn(), said(at)) == (0, [])
    spend(at, 10 * DOLLAR)
    assert (news.turn(), news.turn()) == (1, 0)
    [text] = said(at)
    assert "$20.00 of $25.00 (80 %)" in text
    assert "priority under 5" in text
    assert "./aiw settings budget_usd DOLLARS, or http://desk.example/settings" in text
    spend(at, 5 * DOLLAR)
    assert (news.turn(), news.turn()) == (1, 0)
    [text] = said(at)
    assert "typed plans" in text
    assert "-01 00:00 UTC" in text
    limit(at, "50")
    assert (news.turn(), news.turn()) == (1, 0)
    [text] = said(at)
    assert text.startswith("There is money again: $25.00 of $50.00 is left this month. Everything goes on")


def test_the_next_month_is_told_of(at: Desk) -> None:
    """What was told in one month holds in the next, until there is money again."""
    news = news_of(at)
    spend(at, 25 * DOLLAR)
    assert news.turn() == 1
    said(at)
    at.elapse(timedelta(days=32))
    assert (news.turn(), news.turn()) == (1, 0)
    assert said(at)[0].startswith("There is money again: $25.00 of $25.00")
    spend(at, 25 * DOLLAR)
    assert (news.turn(), news.turn()) == (1, 0)


def test_it_is_said_in_the_language_of_the_newest_task(at: Desk) -> None:
    """A workspace whose people write Korean is told in Korean."""
    at.clients["analyze"].post("/api/v1/tasks", json={"text": "안녕", "lang": "ko"}, headers=at.token("operator"))
    spend(at, 25 * DOLLAR)
    assert news_of(at).turn() == 1
    [text] = said(at)
    assert text.startswith("이번 달 예산을 다 썼습니다. 한도 $25.00 가운데 $25.00")
    assert "./aiw settings budget_usd" in text


def test_a_channel_that_fails_is_told_later(at: Desk) -> None:
    """Nothing is taken for told that was not."""
    news = news_of(at)
    spend(at, 25 * DOLLAR)
    at.far.answers.append(HttpResponse(status=500, headers={}, body=b"", url=""))
    assert (news.turn(), news.turn(), news.turn()) == (0, 1, 0)


def test_without_a_channel_nobody_is_told_and_nobody_later(at: Desk) -> None:
    """A channel that is named afterwards does not hear of old changes."""
    at.container.workspace.put(at.workspace, "notify", None, None, uuid7(0, bytes(10)))
    spend(at, 25 * DOLLAR)
    assert news_of(at).turn() == 1
    at.container.workspace.put(at.workspace, "notify", "ops", None, uuid7(0, bytes(10)))
    assert (news_of(at).turn(), said(at)) == (0, [])


def test_the_function_looks_at_its_wakes_and_counts(at: Desk) -> None:
    """`approve` looks when it is woken, every few seconds at most; the gauge says how budgets stand."""
    spend(at, 25 * DOLLAR)
    at.wake("approve", "approve")
    assert len(said(at)) == 1
    registry = metrics().registry
    assert registry.get_sample_value("aiw_budget_state", {"state": Standing.EXHAUSTED.value}) == 1
    assert registry.get_sample_value("aiw_budget_state", {"state": Standing.NORMAL.value}) == 0
    assert registry.get_sample_value("aiw_budget_left_dollars") == 0


def test_a_usage_that_cannot_be_is_told_once_an_hour(at: Desk) -> None:
    """I7: what was booked instead, and what to check; of a month's money that is spent honestly nothing is said."""
    box, seconds = at.container, [0.0]
    clock: Any = Ticking()
    clock.monotonic = lambda: seconds[0]
    announcer = Announcer(box.approvals, box.workspace, box.catalogue, box.http, "http://desk.example/")
    news = UsageNews(box.budget, box.workspace, clock, announcer.tell, "http://desk.example/")
    wanted = CallRequest(workspace=at.workspace, purpose="analysis", model="m", prompt_version="1", reserve=DOLLAR)

    def booked(usage: Usage, cost: int) -> None:
        made = box.budget.reserve(wanted)
        assert isinstance(made, UUID)
        box.budget.settle(made, Bill(usage=usage, cost=cost))

    booked(Usage(input=7), DOLLAR)
    booked(Usage(), 1)
    assert (news.turn(), said(at)) == (0, [])
    booked(Usage(), DOLLAR)  # in full, and without a token
    assert news.turn() == 0  # it has just looked
    seconds[0] = 61.0
    assert news.turn() == 1
    [text] = said(at)
    assert text.startswith("The provider reports more than a request can cost: 1 calls of the last hour")
    seconds[0] = 600.0
    assert news.turn() == 0
    at.elapse(timedelta(hours=2))
    seconds[0] = 7300.0
    assert news.turn() == 0
