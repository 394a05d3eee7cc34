"""Several tasks in one call: whose answer is whose, and what one bad answer costs the others."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

import httpx2
import pytest

from common.actions.catalogue import Catalogue
from common.analysis.packs.answer import LONGEST
from common.analysis.packs.pack import TEXT_BYTES, packs_of
from common.analysis.packs.sample import compared
from common.core.errors import StoreUnavailable
from common.core.spending import shares_of
from common.core.task import Json, Origin, Risk, Step
from common.ports import Answer, CallRequest, NotAnswered, NotReserved
from tests.unit.packs import TEXTS, known, value, values
from tests.unit.provider import (
    KEY,
    Provider,
    answers,
    fault,
    items_of,
    message,
    nonces_of,
    question,
    several,
    step,
    under,
)

Says = Callable[[httpx2.Request], httpx2.Response]


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


def only(bad: Callable[[list[str]], str]) -> Says:
    """Spoils the answers to a pack; alone, each text is answered as it should be."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        marks = nonces_of(request)
        return known(request) if len(marks) == 1 else message(bad(marks))

    return answer


def three(marks: list[str], middle: str | None) -> str:
    """The answers to TEXTS, the second as told."""
    return under(marks, value(0), middle, value(2))


DEEP = '{"kind": "x", "summary": "", "risk": "low", "steps": [], "deep": ' + "[" * 500 + "]" * 500 + "}"


def marked(*places: int | str) -> Callable[[list[str]], str]:
    """Three answers, each under the nonce of a place, or under another one."""
    said = [value(0), value(1), value(2)]
    return lambda marks: under([p if isinstance(p, str) else marks[p] for p in places], *said)


HIDDEN = json.dumps({"value": KEY}).replace("s", "\\u0073")
MIDDLE: dict[str, str | None] = {
    "missing": None,
    "null": "null",
    "an unknown action": value(1, steps=step(action="shell.run")),
    "a field that grants": value(1, approved=True),
    "arguments that are none": value(1, steps=step(args="[]")),
    "a key twice": value(1).replace('"kind"', '"risk": "low", "kind"', 1),
    "NaN": value(1).replace("0.9", "NaN"),
    "our own key": value(1, summary=f"use {KEY}"),
    "our own key, escaped": value(1, steps=step(args=HIDDEN)),
    "too deep": DEEP,
}
SPOILT: dict[str, tuple[Callable[[list[str]], str], set[str]]] = {
    **{name: (partial(three, middle=middle), {TEXTS[1]}) for name, middle in MIDDLE.items()},
    "twice": (lambda m: under([*m[:2], *m[1:]], value(0), value(7), value(8), value(2)), {TEXTS[1]}),
    "under another's nonce": (marked(0, 0, 2), {TEXTS[0], TEXTS[1]}),
    "under nobody's nonce": (marked(0, "00000000", 2), {TEXTS[1]}),
    "without a nonce": (lambda marks: three(marks, None)[:-2] + "," + value(1) + "]}", {TEXTS[1]}),
    "a nonce that is none": (lambda marks: three(marks, None)[:-2] + ', {"nonce": ["x"]}]}', {TEXTS[1]}),
    "no JSON": (lambda _: "I would rather chat.", set(TEXTS)),
    "fields around it": (lambda marks: three(marks, value(1))[:-1] + ', "hosts": ["evil.example"]}', set(TEXTS)),
    "two megabytes": (lambda marks: three(marks, value(1, summary="y" * 2_000_000)), set(TEXTS)),
    "nothing": (lambda _: '{"answers": []}', set(TEXTS)),
}


@pytest.mark.parametrize(("bad", "alone"), SPOILT.values(), ids=SPOILT.keys())
def test_a_bad_item_is_redone_alone(bad: Callable[[list[str]], str], alone: set[str]) -> None:
    """I12: what is missing, doubled, swapped, foreign or invalid, and nothing else; never the whole pack."""
    provider = Provider(only(bad))
    said = provider.read_all(*several(*TEXTS))
    assert values(said) == [0, 1, 2]
    again = [items_of(request) for request in provider.requests[1:]]
    assert all(len(items) == 1 for items in again)
    assert {str(items[0]["text"]) for items in again} == alone
    assert len(again) == len(alone)
    assert provider.calls[1:] == [("claude-haiku-5-5", "repair", 1)] * len(alone)
    assert (sum(item.cost for item in said), 0) == provider.spent


def test_a_repair_is_told_what_was_wrong_and_comes_once() -> None:
    """Then a person; what its neighbours were answered stays."""

    def stubborn(request: httpx2.Request) -> httpx2.Response:
        wrong = value(1, steps=step(action="shell.run"))
        said = [wrong if item["text"] == TEXTS[1] else value(0) for item in items_of(request)]
        return message(under(nonces_of(request), *said))

    provider = Provider(stubborn)
    first, second, third = provider.read_all(*several(*TEXTS))
    assert isinstance(first, Answer)
    assert isinstance(third, Answer)
    assert isinstance(second, NotAnswered)
    assert (second.failure.code, second.again_in) == ("unusable_answer", None)
    [again] = items_of(provider.requests[1])
    assert "#/plan/steps/0/action" in str(again["mistake"])
    assert len(provider.requests) == 2


def test_one_task_is_repaired_as_well() -> None:
    """One form for one and for many; what is wrong with the whole answer is its own mistake then."""
    provider = Provider(message("I would rather chat."), answers(value(4)))
    assert values(provider.read_all(*several("a"))) == [4]
    assert items_of(provider.requests[1])[0]["mistake"] == "not JSON"


def test_what_was_said_in_full_counts_though_the_answer_was_cut_off() -> None:
    """It is paid for; the rest is asked alone, without the blame."""

    def cut(request: httpx2.Request) -> httpx2.Response:
        if len(nonces_of(request)) == 1:
            return known(request)
        whole = under(nonces_of(request), value(0), value(1), value(2))
        return message(whole[: whole.rindex('{"nonce"') + 40], "max_tokens")

    provider = Provider(cut)
    assert values(provider.read_all(*several(*TEXTS))) == [0, 1, 2]
    [[again]] = [items_of(request) for request in provider.requests[1:]]
    assert again["text"] == TEXTS[2]
    assert "mistake" not in again


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


def test_repairs_of_one_pack_are_made_at_once() -> None:
    """Each in a call of its own, as many as are allowed at once and no more; every answer is its own task's."""
    here, most, lock, texts = 0, 0, threading.Lock(), [f"{n} of many" for n in range(6)]

    def says(request: httpx2.Request) -> httpx2.Response:
        nonlocal here, most
        items = items_of(request)
        if len(items) > 1:
            return message("{}")
        with lock:
            here, most = here + 1, max(most, here + 1)
        time.sleep(0.1)
        with lock:
            here -= 1
        return message(under(nonces_of(request), value(texts.index(str(items[0]["text"])))))

    provider = Provider(says, analyses_at_once=3)
    began = time.monotonic()
    assert values(provider.read_all(*several(*texts))) == list(range(6))
    assert (most, time.monotonic() - began < 0.45) == (3, True)
    assert [reason for _, reason, _ in provider.calls] == ["first", *["repair"] * 6]
    provider.chain.close()


def test_what_nobody_foresaw_of_one_repair_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its task goes to a person."""
    provider = Provider(lambda request: known(request) if len(items_of(request)) == 1 else message("{}"))
    reserve = provider.budget.reserve

    def odd(call: CallRequest) -> UUID | NotReserved:
        if call.task_ids == (UUID(int=101),):
            raise ZeroDivisionError
        return reserve(call)

    monkeypatch.setattr(provider.budget, "reserve", odd)
    assert values(provider.read_all(*several(*TEXTS))) == [0, ("unusable_answer", "ZeroDivisionError"), 2]
    provider.chain.close()


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


def test_a_database_that_is_down_in_between_takes_no_answer_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was paid for stays; what was to be asked again waits."""
    provider = Provider(only(lambda marks: three(marks, None)))
    reserve, asked = provider.budget.reserve, []

    def once(call: CallRequest) -> UUID | NotReserved:
        asked.append(call.reason)
        if len(asked) > 1:
            raise StoreUnavailable("no")
        return reserve(call)

    monkeypatch.setattr(provider.budget, "reserve", once)
    first, second, third = provider.read_all(*several(*TEXTS))
    assert isinstance(first, Answer)
    assert isinstance(third, Answer)
    assert isinstance(second, NotAnswered)
    assert (second.waiting_for, second.again_in) == ("provider", timedelta(seconds=30))
    assert asked == ["first", "repair"]


def test_what_nobody_foresaw_of_one_pack_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tasks go to a person."""
    provider = Provider(known, pack_tasks=1)
    reserve = provider.budget.reserve

    def odd(call: CallRequest) -> UUID | NotReserved:
        if call.task_ids == (UUID(int=101),):
            raise ZeroDivisionError
        return reserve(call)

    monkeypatch.setattr(provider.budget, "reserve", odd)
    assert values(provider.read_all(*several(*TEXTS))) == [0, ("unusable_answer", "ZeroDivisionError"), 2]
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
