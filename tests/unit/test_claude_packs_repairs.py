"""An answer to a pack that is bad in part: what of it is asked again, and that the rest stays."""

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

from common.core.errors import StoreUnavailable
from common.ports import Answer, CallRequest, NotAnswered, NotReserved
from tests.unit.packs import TEXTS, known, value, values
from tests.unit.provider import KEY, Provider, answers, items_of, message, nonces_of, several, step, under

Says = Callable[[httpx2.Request], httpx2.Response]


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
