"""A share of packs is asked again, alone and permuted: what a disagreement costs, and whom."""

from __future__ import annotations

import httpx2
import pytest

from common.core.task import Json
from common.ports import Answer
from tests.unit.packs import TEXTS, known, value, values
from tests.unit.provider import Provider, fault, items_of, message, nonces_of, several, step, under


def test_a_share_of_packs_is_asked_again_alone_and_permuted() -> None:
    """I12: one task alone, all in another order, each on record as a check; readings that agree change nothing."""
    provider = Provider(known, pack_checks=1.0)
    said = provider.read_all(*several(*TEXTS))
    assert values(said) == [0, 1, 2]
    assert provider.calls == [
        ("claude-haiku-5-5", reason, n) for reason, n in (("first", 3), ("check", 1), ("check", 3))
    ]
    texts = [[item["text"] for item in items_of(request)] for request in provider.requests]
    assert texts[2] == list(TEXTS[::-1])
    assert texts[1][0] in TEXTS
    assert [row.disagreements for row in provider.store.calls.values()] == [0, 0, 0]


@pytest.mark.parametrize(
    ("changes", "risk"),
    [
        ({"risk": "medium"}, "medium"),
        ({"steps": step(action="http.request", args='{"url": "https://b.example"}')}, "high"),
        ({"steps": [*step(), *step(id="t")]}, "high"),
        ({"steps": []}, "high"),
    ],
    ids=["another risk", "another effect", "another step", "a person is needed"],
)
def test_where_readings_differ_it_is_counted_and_the_higher_risk_is_taken(changes: dict[str, Json], risk: str) -> None:
    """I5, I12: and where not even the steps agree, a person looks."""

    def fickle(request: httpx2.Request) -> httpx2.Response:
        items = items_of(request)
        asked_first = [item["text"] for item in items] == list(TEXTS)
        said = [value(0) if asked_first or item["text"] != TEXTS[1] else value(0, **changes) for item in items]
        return message(under(nonces_of(request), *said))

    provider = Provider(fickle, pack_checks=1.0)
    first, second, third = provider.read_all(*several(*TEXTS))
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert isinstance(third, Answer)
    assert (first.risk, second.risk, third.risk) == ("low", risk, "low")
    assert [row.disagreements for row in provider.store.calls.values()][-1] == 1


def test_one_task_is_no_pack_and_is_not_checked() -> None:
    """There is nothing that another could have done to it."""
    provider = Provider(known, pack_checks=1.0)
    provider.read_all(*several(TEXTS[0]))
    assert len(provider.requests) == 1


def test_a_check_that_fails_says_nothing() -> None:
    """The answers stand as they are."""
    provider = Provider(known, fault(529, "overloaded_error"), pack_checks=1.0)
    assert values(provider.read_all(*several(*TEXTS))) == [0, 1, 2]
