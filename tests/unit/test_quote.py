"""What a plan can cost at most, and that execution stops there (I7)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import httpx2
import pytest

from common.actions.catalogue import Catalogue
from common.analysis.money.prices import TABLE, OwnPrice, Prices
from common.analysis.money.quote import Quote
from common.analysis.prompts import GENERATE, prompt
from common.api import usd
from common.core.after_step import Began, Limits, NotDone, Unknown, after_step
from common.core.lifecycle import Transition
from common.core.policy import Policy, planned
from common.core.task import Attempt, Effect, Json, Origin, OutcomeKind, Request, State, Step, Task
from tests.unit.desk import desk
from tests.unit.provider import Provider, message

MODEL = "claude-haiku-5-5"
QUOTE = Quote(TABLE, MODEL, attempts=5)
CATALOGUE = Catalogue.shipped(quote=QUOTE)
FETCH = Step(id="page", action="http.request", args={"url": "https://a.example/x"})


def writing(name: str = "text", prompt_value: Json = "Say hello", tokens: int = 100, **args: Json) -> Step:
    """A step that writes."""
    return Step(id=name, action="claude.generate", args={"prompt": prompt_value, "max_tokens": tokens, **args})


def worst(prompt_bytes: int, tokens: int) -> int:
    """One call's worst case, reckoned by hand: all of the prompt written to the cache at 0.20, the answer at 0.50."""
    return (prompt_bytes + len(prompt(GENERATE).text.encode()) + 2000) * 200 + tokens * 500


def task(*steps: Step, cap: int | None, begun: tuple[str, ...] = (), done: tuple[str, ...] = ()) -> Task:
    """A running task with a plan of these steps."""
    request = Request(text="x", requested_by=UUID(int=1), origin=Origin.PERSON)
    plan = planned(1, steps, "claude", CATALOGUE.assess(steps, request, Policy()), Policy(), cost_cap=cap)
    trail = tuple(
        Attempt(
            step_id=name, number=1, plan_number=1, lease_no=1, effect=Effect.IDEMPOTENT, idempotency_key="k",
            args_sha256="h", outcome=OutcomeKind.DONE if name in done else OutcomeKind.NOT_DONE,
        )
        for name in begun
    )  # fmt: skip
    return Task(
        id=UUID(int=2), workspace=UUID(int=3), state=State.RUNNING, request=request, plan=plan, trail=trail, lease_no=1
    )


def test_a_plan_that_writes_nothing_costs_nothing() -> None:
    """None, which is no cap of zero: nothing of it can be held back for its cost."""
    assert CATALOGUE.cost_cap([FETCH]) is None


def test_each_step_once_and_the_dearest_as_often_as_a_plan_may_fail() -> None:
    """I7: calls, and retries up to the one limit of attempts that all steps share."""
    small, large = worst(len("Say hello"), 100), worst(len("안녕".encode()), 8000)
    steps = [FETCH, writing(), writing("long", "안녕", 8000)]
    assert CATALOGUE.cost_cap(steps) == small + large + 4 * large


def test_a_result_to_come_is_taken_for_64_kilobytes() -> None:
    """What is not known yet is not taken for nothing; a schema counts, too."""
    ref: Json = {"$ref": "steps.page.text"}
    schema: Json = {"type": "object"}
    assert CATALOGUE.cost_cap([FETCH, writing(prompt_value=["Sum up: ", ref])]) == 5 * worst(8 + 64_000, 100)
    size = 1 + len('{"type": "object"}')
    assert CATALOGUE.cost_cap([writing(prompt_value="x", schema=schema)]) == 5 * worst(size, 100)


@pytest.mark.parametrize("part", ["안녕\ud800", "x" * 100, ["a", {"b": {"$ref": "steps.page.json"}}], {"a": [1, None]}])
def test_the_quote_holds_whatever_the_prompt(part: Json) -> None:
    """I7: the reservation of the real call is never more than what was shown for it, results of 64 KB included."""
    quoted = CATALOGUE.cost_cap([FETCH, writing(prompt_value=part)])
    assert quoted is not None
    assert quoted >= 5 * worst(0, 100)


def test_what_costs_nothing_has_no_cap() -> None:
    """A local model is free, and a model without a price is never asked."""
    free = Prices("openai", {"local": OwnPrice(Decimal(0), Decimal(0))})
    assert Catalogue.shipped(quote=Quote(free, "local", 5)).cost_cap([writing()]) is None
    assert Quote(free, "local", 5).one_call() == 0
    assert Catalogue.shipped(quote=Quote(TABLE, "nobody-knows", 5)).cost_cap([writing()]) is None
    assert Quote(TABLE, "nobody-knows", 5).one_call() == 0


def test_a_new_plan_may_cost_what_the_old_one_did_and_what_is_new() -> None:
    """I7: what was begun may have been paid already; what both plans share is not counted twice."""
    first, second = writing("one"), writing("two", "Say more", 200)
    cap = CATALOGUE.cost_cap([first])
    assert cap is not None
    replanned = task(first, cap=cap, begun=("one",))
    assert CATALOGUE.cost_cap([first], replanned) == cap
    assert CATALOGUE.cost_cap([first, second], replanned) == cap + 5 * worst(len("Say more"), 200)
    assert CATALOGUE.cost_cap([FETCH], replanned) == cap


def test_a_plan_that_never_began_is_quoted_anew() -> None:
    """Nothing was paid for it: a policy that changed while it waited makes it no dearer."""
    step = writing("one")
    cap = CATALOGUE.cost_cap([step])
    waiting = task(writing("other", "x" * 1000), cap=10**9)
    assert CATALOGUE.cost_cap([step], waiting) == cap


def test_a_finished_step_is_not_paid_again() -> None:
    """I6: what is done stays done; its price is in the earlier plan's."""
    first = writing("one")
    done = task(first, cap=700, begun=("one",), done=("one",))
    assert CATALOGUE.cost_cap([first, FETCH], done) == 700


def test_a_reached_cap_goes_to_a_person() -> None:
    """I7: thinking again would only cost more, so there is no replan, though there is text and a model."""
    step = writing("one")
    outcome = NotDone("cost_cap", transient=False)
    limits = Limits(attempts=5, replans=3, model=True)
    follows = after_step(
        task(step, cap=1, begun=()), Began(step, Effect.IDEMPOTENT, 1), outcome, limits, 0.5, "execute"
    )
    assert isinstance(follows, Transition)
    assert (follows.kind, follows.target) == ("gave_up", State.MANUAL)
    assert follows.check_in is not None
    assert follows.check_in > timedelta(0)


def test_execution_stops_at_the_cap() -> None:
    """I7: the quoted price covers every attempt's worst case; one call more is refused before anything is sent."""
    step = writing(prompt_value="greet", tokens=100)
    cap = CATALOGUE.cost_cap([step])
    assert cap is not None
    provider = Provider(httpx2.Response(200, text="<html>captive portal</html>"))
    held = task(step, cap=cap)
    for _ in range(5):
        assert isinstance(provider.chain.generate(held, "greet", 100, None), Unknown)
    assert provider.spent == (cap, 0)
    assert provider.chain.generate(held, "greet", 100, None) == NotDone("cost_cap", transient=False)
    assert len(provider.requests) == 5


def test_a_result_that_is_larger_than_quoted_stops_at_the_cap() -> None:
    """I7: what came was longer than what was shown: a person decides, nothing is sent."""
    step = writing(prompt_value=["Sum up: ", {"$ref": "steps.page.text"}])
    provider = Provider(message("short"))
    held = task(FETCH, step, cap=CATALOGUE.cost_cap([FETCH, step]))
    said = provider.chain.generate(held, "x" * 1_000_000, 100, None)
    assert said == NotDone("cost_cap", transient=False)
    assert provider.requests == []


def test_what_a_plan_may_cost_is_shown_before_anybody_says_yes() -> None:
    """The preview, the stored plan and the approval say the same worst cost; a plan without any says none."""
    steps: list[Json] = [
        {"id": "text", "action": "claude.generate", "args": {"prompt": "Say hello", "max_tokens": 100}},
        {"id": "a", "action": "http.request", "args": {"method": "POST", "url": "https://pay.example.com/", "json": 1}},
    ]
    with desk() as at:
        operator, boss = at.token("operator"), at.token("approver")
        body = {"plan": {"steps": steps}}
        expected = usd(5 * worst(len("Say hello"), 100))
        preview = at.clients["analyze"].post("/api/v1/preview", json=body, headers=operator).json()
        assert preview["estimate_usd"] == expected
        made = at.clients["analyze"].post("/api/v1/tasks", json=body, headers=operator).json()
        shown = at.clients["approve"].get(f"/api/v1/tasks/{made['id']}/approval", headers=boss).json()
        assert shown["worst_cost_usd"] == expected
        free = at.clients["analyze"].post("/api/v1/preview", json={"plan": {"steps": steps[1:]}}, headers=operator)
        assert free.json()["estimate_usd"] == usd(0)


def test_a_retry_after_a_reached_cap_asks_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """I7: what it may cost is a person's to say: the plan waits with its new price, and runs once that is approved."""
    steps: list[Json] = [
        {"id": "text", "action": "claude.generate", "args": {"prompt": "Say hello", "max_tokens": 100}}
    ]
    once = 5 * worst(len("Say hello"), 100)
    with desk() as at:
        operator, boss = at.token("operator"), at.token("approver")
        monkeypatch.setattr(at.reader, "generate", lambda *_: NotDone("cost_cap", transient=False))
        made = at.clients["analyze"].post("/api/v1/tasks", json={"plan": {"steps": steps}}, headers=operator).json()
        place = f"/api/v1/tasks/{made['id']}"
        at.wake("execute")
        seen = at.clients["dashboard"].get(place, headers=operator).json()
        assert (seen["state"], seen["error"]["code"]) == ("manual", "cost_cap")
        monkeypatch.undo()
        again = at.clients["approve"].post(f"{place}/retry", json={}, headers=operator).json()
        assert again["state"] == "awaiting_approval"
        shown = at.clients["approve"].get(f"{place}/approval", headers=boss).json()
        assert shown["worst_cost_usd"] == usd(2 * once)
        assert [reason["rule"] for reason in shown["reasons"]] == ["cost_cap"]
        # A newer policy does not let it go by itself.
        at.container.workspace.put(at.workspace, "hosts", ["a.example"], None, UUID(int=9))
        at.wake("schedule")
        shown = at.clients["approve"].get(f"{place}/approval", headers=boss).json()
        assert (shown["may_decide"], shown["worst_cost_usd"]) == (True, usd(2 * once))
        yes = at.clients["approve"].post(f"{place}/approve", json={"digest": shown["digest"]}, headers=boss)
        assert yes.json()["state"] == "queued"
        at.wake("execute")
        assert at.clients["dashboard"].get(place, headers=operator).json()["state"] == "succeeded"
