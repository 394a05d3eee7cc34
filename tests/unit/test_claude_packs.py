"""Several tasks in one call: which of them share one, whose answer is whose, and what each pays."""

from __future__ import annotations

import threading
import time

import httpx2

from common.actions.catalogue import Catalogue
from common.analysis.packs.answer import LONGEST
from common.analysis.packs.pack import TEXT_BYTES, packs_of
from common.analysis.packs.sample import compared
from common.core.spending import shares_of
from common.core.task import Json, Origin, Risk, Step
from common.ports import Answer
from tests.unit.packs import TEXTS, known, value, values
from tests.unit.provider import Provider, answers, items_of, message, nonces_of, question, several, under


def test_readings_that_aim_by_different_inputs_disagree() -> None:
    """I12: a target that is named by an input is read like any other; two of them are not alike in being unreadable."""
    asked = question(inputs={"mine": "https://a.example/x", "other": "https://b.example/x"})

    def posts_to(name: str) -> Answer:
        args: dict[str, Json] = {"method": "POST", "url": {"$ref": f"inputs.{name}"}}
        return Answer(
            kind="k", steps=(Step(id="s", action="http.request", args=args),), source="claude", risk=Risk.HIGH
        )

    catalogue = Catalogue.shipped()
    assert compared(posts_to("mine"), posts_to("mine"), asked, catalogue) is None
    assert compared(posts_to("mine"), posts_to("other"), asked, catalogue) is Risk.HIGH


def test_tasks_share_a_call_and_each_has_its_own_answer() -> None:
    """I12: one request, a nonce each that nobody could know, answers by nonce whatever their order."""
    seen: list[list[str]] = []

    def backwards(request: httpx2.Request) -> httpx2.Response:
        seen.append(nonces_of(request))
        said = [value(number) for number in range(3)]
        return message(under(seen[-1][::-1], *said[::-1]))

    provider = Provider(backwards)
    assert values(provider.read_all(*several(*TEXTS))) == [0, 1, 2]
    assert provider.calls == [("claude-haiku-5-5", "first", 3)]
    provider.read_all(*several(*TEXTS))
    assert len({mark for marks in seen for mark in marks}) == 6


def test_each_task_pays_its_share() -> None:
    """The shares of a call are its cost, to the nanodollar."""
    provider = Provider(known)
    said = provider.read_all(*several(*TEXTS))
    assert (sum(item.cost for item in said), 0) == provider.spent
    assert shares_of(10, 3) == [4, 3, 3]


def test_packs_hold_one_workspace_and_one_origin() -> None:
    """I12: whoever mixes them up gets calls of their own, however few they are."""
    people, derived = several("a", "b"), several("c", origin=Origin.DERIVED, first=200)
    mixed = [people[0], derived[0], people[1]]
    assert packs_of(mixed, 10) == [(0, 2), (1,)]
    provider = Provider(answers(value(1), value(2)))
    provider.read_all(*mixed)
    assert sorted([item["text"] for item in items_of(request)] for request in provider.requests) == [["a", "b"], ["c"]]


def test_several_packs_are_asked_at_once_after_the_first() -> None:
    """The first writes the provider's prompt cache, the others read it; each answer is its own task's."""
    here, most, lock = 0, 0, threading.Lock()

    def slow(request: httpx2.Request) -> httpx2.Response:
        nonlocal here, most
        with lock:
            here, most = here + 1, max(most, here + 1)
        time.sleep(0.1)
        with lock:
            here -= 1
        return known(request)

    provider = Provider(slow, pack_tasks=1)
    assert values(provider.read_all(*several(*TEXTS))) == [0, 1, 2]
    assert most == 2
    assert values(provider.read_all(*several(*TEXTS))) == [0, 1, 2]
    assert most == 3
    provider.chain.close()


def test_long_texts_share_no_call() -> None:
    """A call stays far below where its price doubles; one that is too long by itself goes alone."""
    long = "x" * (TEXT_BYTES // 2 + 1)
    assert packs_of(several("a", long, long, "b"), 10) == [(0, 1), (2, 3)]
    assert packs_of(several("a", "y" * TEXT_BYTES * 2, "b"), 10) == [(0,), (1,), (2,)]
    assert packs_of(several(*"abcde"), 2) == [(0, 1), (2, 3), (4,)]


def test_an_answer_may_be_as_long_as_its_tasks_are_many() -> None:
    """And waits for as long; the reserve follows."""
    one, ten = Provider(known), Provider(answers(*[value(1)] * 10))
    one.read_all(*several(TEXTS[0]))
    ten.read_all(*several(*"abcdefghij"))
    assert [p.bodies[0]["max_tokens"] for p in (one, ten)] == [4000, 11200]
    assert LONGEST > 11200 * 4


def test_the_system_text_and_the_form_are_the_same_for_one_and_for_many() -> None:
    """Only then does the provider's cache help."""
    provider = Provider(known)
    provider.read_all(*several(*TEXTS))
    provider.read_all(*several(TEXTS[0]))
    first, second = provider.bodies
    assert first["system"] == second["system"]
    assert first["output_config"] == second["output_config"]
