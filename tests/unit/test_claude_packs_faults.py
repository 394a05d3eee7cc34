"""A pack that is refused, fails or breaks something: what becomes of its tasks, and of the others."""

from __future__ import annotations

from uuid import UUID

import httpx2
import pytest

from common.ports import CallRequest, NotAnswered, NotReserved
from tests.unit.packs import TEXTS, known, values
from tests.unit.provider import Provider, fault, items_of, message, nonces_of, several


def test_whoever_is_refused_is_refused_alone() -> None:
    """Nothing of a refused answer counts: nobody knows whom it refused. Each is asked by itself."""

    def touchy(request: httpx2.Request) -> httpx2.Response:
        refused = any(item["text"] == TEXTS[1] for item in items_of(request))
        return message("", "refusal") if refused else known(request)

    provider = Provider(touchy)
    assert values(provider.read_all(*several(*TEXTS))) == [0, ("refused_by_model", None), 2]
    assert [len(nonces_of(request)) for request in provider.requests] == [3, 1, 1, 1]


def test_a_fault_of_a_pack_is_the_fault_of_each_of_its_tasks() -> None:
    """And what was booked for it is shared."""
    provider = Provider(fault(500, "api_error"))
    said = provider.read_all(*several(*TEXTS))
    assert {(item.failure.code, item.waiting_for) for item in said if isinstance(item, NotAnswered)} == {
        ("provider_error", "provider")
    }
    assert (sum(item.cost for item in said), 0) == provider.spent
    assert len(provider.requests) == 1


def test_a_text_that_is_not_let_through_takes_no_other_with_it() -> None:
    """I12: who refuses a pack unread does not say for which of its texts; only the one refused alone is a person's."""

    def says(request: httpx2.Request) -> httpx2.Response:
        poison = any(item["text"] == TEXTS[1] for item in items_of(request))
        return fault(400, "invalid_request_error") if poison else known(request)

    provider = Provider(says)
    said = values(provider.read_all(*several(*TEXTS)))
    assert [said[0], said[2]] == [0, 2]
    assert isinstance(said[1], tuple)
    assert said[1][0] == "request_refused"
    assert [(reason, tasks) for _, reason, tasks in provider.calls] == [("first", 3), *[("repair", 1)] * 3]


def test_where_nobody_answers_repairs_the_rest_waits() -> None:
    """One that is turned away is enough to know: the others are not sent after it."""
    provider = Provider(message("{}"), fault(529, "overloaded_error", retry_after="12"), analyses_at_once=1)
    said = provider.read_all(*several(*TEXTS))
    assert [item.failure.code for item in said if isinstance(item, NotAnswered)] == ["provider_overloaded"] * 3
    assert len(provider.requests) == 2
    assert (sum(item.cost for item in said), 0) == provider.spent


def break_budget(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget breaks, in a way that nobody foresaw, at a call for the second of TEXTS alone."""
    reserve = provider.budget.reserve

    def odd(call: CallRequest) -> UUID | NotReserved:
        if call.task_ids == (UUID(int=101),):
            raise ZeroDivisionError
        return reserve(call)

    monkeypatch.setattr(provider.budget, "reserve", odd)


def test_what_nobody_foresaw_of_one_repair_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its task goes to a person."""
    provider = Provider(lambda request: known(request) if len(items_of(request)) == 1 else message("{}"))
    break_budget(provider, monkeypatch)
    assert values(provider.read_all(*several(*TEXTS))) == [0, ("unusable_answer", "ZeroDivisionError"), 2]
    provider.chain.close()


def test_what_nobody_foresaw_of_one_pack_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tasks go to a person."""
    provider = Provider(known, pack_tasks=1)
    break_budget(provider, monkeypatch)
    assert values(provider.read_all(*several(*TEXTS))) == [0, ("unusable_answer", "ZeroDivisionError"), 2]
    provider.chain.close()
