"""Which model reads a task, why a stronger one reads it again, and what is made of two readings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx2
import pytest

from common.actions.catalogue import Catalogue
from common.analysis.cascade import Tiers, why_stronger
from common.core.task import Json, Risk, Step
from common.ports import Answer, CallReason, CallRequest, NotAnswered, Question
from tests.unit.provider import (
    POLICY,
    WORKSPACE,
    Provider,
    failed,
    fault,
    items_of,
    message,
    nonces_of,
    proposal,
    question,
    several,
    step,
    under,
)

SMALL, STRONG = "claude-haiku-5-5", "claude-sonnet-5-5"
POST = step(action="http.request", args='{"method": "POST", "url": "https://b.example/pay"}')
TIERS = Tiers(small=SMALL, strong=STRONG, escalate_below=0.6)
Says = httpx2.Response | Callable[[httpx2.Request], httpx2.Response]


def says(**changes: Json) -> Callable[[httpx2.Request], httpx2.Response]:
    """A model that answers every task so."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        marks = nonces_of(request)
        return message(under(marks, *[proposal(**{"steps": step(), **changes})] * len(marks)))

    return answer


def two(small: Says, strong: Says, **settings: Any) -> Provider:  # noqa: ANN401 - any of them
    """Both models, each as told."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        said = strong if json.loads(request.content)["model"] == STRONG else small
        return said if isinstance(said, httpx2.Response) else said(request)

    return Provider(answer, **{"strong_model": STRONG, **settings})


def answered(said: Answer | NotAnswered) -> Answer:
    """It is an answer."""
    assert isinstance(said, Answer), said
    return said


def test_what_is_clear_and_harmless_is_read_once() -> None:
    """By the small model alone."""
    provider = two(says(), says())
    said = answered(provider.read(question()))
    assert provider.calls == [(SMALL, "first", 1)]
    assert (said.confidence, said.escalated, said.provisional) == (0.9, None, False)


@pytest.mark.parametrize(
    ("small", "why"),
    [
        (says(confidence=0.59), "confidence"),
        (says(confidence="very"), "confidence"),
        (says(confidence=0.2, steps=[]), "confidence"),
        (says(risk="high"), "stakes"),
        (says(risk="critical", confidence=0.1), "stakes"),
        (says(risk=None), "stakes"),
        (says(steps=POST), "stakes"),
    ],
    ids=["unsure", "unreadable", "unsure that a person is needed", "high", "critical", "no risk", "a POST called low"],
)
def test_a_stronger_model_reads_again_and_says_why(small: Says, why: str) -> None:
    """The reason stands in the ledger and goes with the answer."""
    provider = two(small, says(summary="By the strong one."))
    said = answered(provider.read(question()))
    assert provider.calls == [(SMALL, "first", 1), (STRONG, why, 1)]
    assert (said.summary, said.escalated) == ("By the strong one.", why)
    assert provider.spent == (said.cost, 0)


def test_a_plan_that_failed_is_thought_over_by_the_strong_model_at_once() -> None:
    """The one that made it would mostly make it again; nothing is paid for that."""
    provider = two(says(), says(steps=step(id="again")))
    said = answered(provider.read(failed()))
    assert provider.calls == [(STRONG, "failed_before", 1)]
    assert said.escalated == "failed_before"


def test_what_is_read_again_shares_a_call() -> None:
    """Of one analysis: the unsure, the grave and those that failed; the row has the gravest of their reasons."""

    def small(request: httpx2.Request) -> httpx2.Response:
        said = [proposal(steps=step(), confidence=0.1 if "?" in str(i["text"]) else 0.9) for i in items_of(request)]
        return message(under(nonces_of(request), *said))

    provider = two(small, says(steps=step(id="again")))
    asked = several("a", "b?", "c", "d?")
    asked.insert(1, Question(task=failed().task, policy=POLICY))
    said = provider.read_all(*asked)
    assert provider.calls == [(SMALL, "first", 4), (STRONG, "failed_before", 3)]
    assert [answered(item).escalated for item in said] == [None, "failed_before", "confidence", None, "confidence"]
    assert (sum(item.cost for item in said), 0) == provider.spent


def test_of_two_readings_the_higher_risk_counts() -> None:
    """I5: a stronger model cannot talk a risk down."""
    assert answered(two(says(risk="critical"), says()).read(question())).risk is Risk.CRITICAL
    assert answered(two(says(confidence=0.1), says(risk="medium")).read(question())).risk is Risk.MEDIUM


@pytest.mark.parametrize("code", ["needs_person", "refused_by_model"])
def test_a_stronger_model_that_wants_a_person_is_believed(code: str) -> None:
    """It read the task, and says so."""
    strong = says(steps=[], summary="A person decides.") if code == "needs_person" else message("", "refusal")
    said = two(says(confidence=0.1), strong).read(question())
    assert isinstance(said, NotAnswered)
    assert (said.failure.code, said.again_in) == (code, None)


@pytest.mark.parametrize(
    "strong",
    [fault(529, "overloaded_error"), fault(404, "not_found_error"), fault(500, "api_error"), message("chatter")],
    ids=["overloaded", "unknown", "broken", "unusable"],
)
def test_without_the_stronger_model_a_person_looks_at_the_first_reading(strong: httpx2.Response) -> None:
    """It is paid for: at a high risk it is used, and never kept for others."""
    provider = two(says(confidence=0.1, summary="By the small one."), strong)
    said = answered(provider.read(question()))
    assert (said.summary, said.risk, said.provisional) == ("By the small one.", Risk.HIGH, True)
    assert provider.spent == (said.cost, 0)


def test_a_stronger_model_that_cannot_be_paid_is_not_asked() -> None:
    """I7: its worst case does not fit any more, the small one's did."""
    provider = two(says(risk="high"), says(), budget_usd=0.03)
    said = answered(provider.read(question()))
    assert [reason for _, reason, _ in provider.calls] == ["first"]
    assert (said.risk, said.provisional) == (Risk.HIGH, True)


def test_a_failed_plan_that_only_the_small_model_can_be_paid_for() -> None:
    """Better than nobody; the answer says that it is not the last word."""
    provider = two(says(steps=step(id="again")), says(), budget_usd=0.03)
    said = answered(provider.read(failed()))
    assert provider.calls == [(SMALL, "failed_before", 1)]
    assert (said.risk, said.provisional) == (Risk.HIGH, True)


def test_failed_plans_share_the_small_models_call_as_well() -> None:
    """They are not asked about one by one because the strong one could not be had."""
    provider = two(says(steps=step(id="again")), says(), budget_usd=0.03)
    asked = [Question(task=failed().task.model_copy(update={"id": UUID(int=n)}), policy=POLICY) for n in (7, 8, 9)]
    assert all(answered(said).provisional for said in provider.read_all(*asked))
    assert provider.calls == [(SMALL, "failed_before", 3)]


def test_a_failed_plan_waits_for_a_provider_that_is_down() -> None:
    """The small model is behind the same door."""
    provider = two(says(), fault(529, "overloaded_error", retry_after="9"))
    said = provider.read(failed())
    assert isinstance(said, NotAnswered)
    assert (said.failure.code, said.waiting_for) == ("provider_overloaded", "provider")
    assert len(provider.requests) == 1


def test_near_the_limit_a_doubt_alone_is_not_worth_a_call() -> None:
    """What is unsure is looked at by a person then; what is grave is read again as ever."""
    unsure = two(says(confidence=0.1), says())
    nearly_spent(unsure)
    said = answered(unsure.read(question()))
    assert [reason for _, reason, _ in unsure.calls] == ["orphan", "first"]
    assert (said.risk, said.provisional) == (Risk.HIGH, True)
    grave = two(says(risk="high"), says())
    nearly_spent(grave)
    grave.read(question())
    assert [reason for _, reason, _ in grave.calls] == ["orphan", "first", "stakes"]


def test_a_check_that_was_read_again_names_its_own_call() -> None:
    """Where the readings differ, that row says so, whoever had the last word, and however often it was asked."""
    provider = two(says(confidence=0.1), says())
    said = answered(provider.read(replace(question(), reason=CallReason.CACHE_CHECK)))
    assert [reason for _, reason, _ in provider.calls] == ["cache_check", "confidence"]
    assert said.call == next(iter(provider.store.calls))
    mended = Provider(message("{}"), says())
    said = answered(mended.read(replace(question(), reason=CallReason.CACHE_CHECK)))
    assert [reason for _, reason, _ in mended.calls] == ["cache_check", "repair"]
    assert said.call == next(iter(mended.store.calls))


def test_of_a_shared_strong_call_those_that_nobody_read_are_counted() -> None:
    """The ledger: what a plan that failed would have cost the naive way, beside what a doubt cost."""
    provider = two(says(confidence=0.1), says())
    provider.read_all(question("a"), replace(failed(), task=failed().task.model_copy(update={"id": UUID(int=77)})))
    small, strong = provider.store.calls.values()
    assert (small.reason, small.tasks, strong.reason, strong.tasks) == ("first", 1, "failed_before", 2)
    bill = strong.bill
    assert bill is not None
    assert 0 < bill.baseline < bill.cost * 2
    assert bill.baseline - bill.cost == bill.saved.total


def nearly_spent(provider: Provider) -> None:
    """Most of the month's money is gone."""
    cap = provider.budget.month(WORKSPACE).cap
    gone = CallRequest(
        workspace=WORKSPACE,
        purpose="generate",
        model=SMALL,
        prompt_version="p",
        reserve=cap * 9 // 10,
        reason=CallReason.ORPHAN,
    )
    assert isinstance(provider.budget.reserve(gone), UUID)


def test_what_its_last_reader_is_unsure_of_never_runs_by_itself() -> None:
    """I5: with nobody to read again, or with one that is unsure as well, a person looks."""
    alone = answered(two(says(confidence=0.1), says(), strong_model="").read(question()))
    assert (alone.risk, alone.escalated, alone.provisional) == (Risk.HIGH, None, False)
    both = answered(two(says(confidence=0.1), says(confidence=0.5)).read(question()))
    assert (both.risk, both.escalated) == (Risk.HIGH, "confidence")
    sure = answered(two(says(confidence=0.1), says(), strong_model="", escalate_below=0.0).read(question()))
    assert sure.risk is Risk.LOW


def test_a_model_is_not_stronger_than_itself() -> None:
    """Who sets both to the same pays for one."""
    provider = two(says(confidence=0.1), says(), strong_model=SMALL)
    provider.read(question())
    assert provider.calls == [(SMALL, "first", 1)]


def test_why_stronger_is_decided_without_asking_anybody() -> None:
    """Pure: the same question and answer give the same reason; without a strong model there is none."""
    catalogue = Catalogue.shipped()
    grave = Answer(kind="k", steps=(), source="claude", risk=Risk.HIGH, confidence=0.1)
    assert why_stronger(question(), grave, catalogue, TIERS, saving=False) is CallReason.STAKES
    assert why_stronger(question(), None, catalogue, TIERS, saving=True) is CallReason.FAILED_BEFORE
    assert why_stronger(question(), grave, catalogue, Tiers(small=SMALL, escalate_below=0.6), saving=False) is None


def test_stakes_are_those_of_the_targets_that_inputs_name() -> None:
    """I5: a URL that the requester gave as an input is a target like any other, neither unreadable nor harmless."""
    catalogue = Catalogue.shipped()
    args: dict[str, Json] = {"url": {"$ref": "inputs.page"}}
    said = Answer(kind="k", steps=(Step(id="page", action="http.request", args=args),), source="claude", confidence=0.9)
    reads = question("fetch the page", inputs={"page": "https://a.example/x"})
    assert why_stronger(reads, said, catalogue, TIERS, saving=False) is None
    deletes = said.steps[0].model_copy(update={"args": {**args, "method": "DELETE"}})
    grave = replace(said, steps=(deletes,))
    assert why_stronger(reads, grave, catalogue, TIERS, saving=False) is CallReason.STAKES
    assert why_stronger(question("fetch the page"), said, catalogue, TIERS, saving=False) is CallReason.STAKES
