"""Answers made to break whoever reads them, and answers that hold the key."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from common.core.task import State
from tests.hostile import EVIL, FETCH, OTHER, Item, answer, items, outcome, own_page, said, step
from tests.metered.asked import Asked
from tests.paid_desk import KEY, Paid, paid_desk


@pytest.fixture
def paid() -> Iterator[Paid]:
    """A desk whose provider says what the test tells it to."""
    with paid_desk() as made:
        yield made


ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
SECRETS: list[Callable[[Item], Item]] = [
    lambda item: answer(item["nonce"], step("value", value=KEY)),
    lambda item: answer(item["nonce"], {**step("value"), "args": '{"value": "' + ESCAPED + '"}'}),
    lambda item: answer(item["nonce"], step("value", value={KEY: 1})),
    lambda item: answer(item["nonce"], step("value", value=1), summary=f"The key is {KEY}."),
    lambda item: answer(item["nonce"], step("value", value=1), kind=KEY),
    lambda item: answer(item["nonce"], summary=f"A person has to use {KEY}."),
    lambda item: answer(item["nonce"], step("value", name=KEY, value=1)),
    lambda item: answer(item["nonce"], step(KEY, value=1)),
    lambda item: answer(item["nonce"], step("value", value=1), **{KEY: "x"}),
    lambda item: {**answer(KEY, step("value", value=1)), "was": item["nonce"]},
]  # fmt: skip


@pytest.mark.parametrize("leak", SECRETS)
def test_a_secret_that_is_echoed_is_kept_nowhere(
    paid: Paid, leak: Callable[[Item], Item], capfd: pytest.CaptureFixture[str]
) -> None:
    """I11: not in a task, a plan, an event, the ledger, an answer of the API or a log line."""
    [task] = outcome(paid, lambda asked: said(*map(leak, items(asked))), FETCH)
    assert task.state is State.MANUAL
    store = paid.desk.store
    kept = repr([store.tasks, store.events, store.plans, store.calls, store.stream, store.settings])
    shown = [
        paid.desk.clients["dashboard"].get(f"/api/v1/tasks/{task.id}{part}", headers=paid.operator).text
        for part in ("", "/events")
    ]
    logged = capfd.readouterr()
    assert KEY not in kept + "".join(shown) + logged.out + logged.err


def huge(asked: Asked) -> str:
    """Two megabytes of well-formed JSON."""
    return said(*(answer(item["nonce"], step("value", value="x" * 2_000_000)) for item in items(asked)))


def countless(asked: Asked) -> str:
    """An answer again and again."""
    return said(*(answer(item["nonce"], step("value", value=1)) for item in items(asked) for _ in range(5000)))


def endless_steps(asked: Asked) -> str:
    """More steps than a plan may have."""
    steps = [step("value", name=f"s{n}", value=n) for n in range(51)]
    return said(*(answer(item["nonce"], *steps) for item in items(asked)))


def deep_item(asked: Asked) -> str:
    """Nested past what any reader can follow."""
    return said(*items(asked)[:0])[:-2] + "[" * 100_000 + "]" * 100_000 + "]}"


def deep_arguments(asked: Asked) -> str:
    """The same inside of the arguments, which are JSON in a string."""
    args = '{"value": ' + "[" * 50_000 + "]" * 50_000 + "}"
    return said(*(answer(item["nonce"], {**step("value"), "args": args}) for item in items(asked)))


def deep_but_readable(asked: Asked) -> str:
    """Deeper than what is stored may be, and just readable."""
    args = '{"value": ' + "[" * 600 + "]" * 600 + "}"
    return said(*(answer(item["nonce"], {**step("value"), "args": args}) for item in items(asked)))


def big_number(asked: Asked) -> str:
    """A number of which reading alone could take minutes."""
    args = '{"value": ' + "9" * 100_000 + "}"
    return said(*(answer(item["nonce"], {**step("value"), "args": args}) for item in items(asked)))


def twice_the_key(asked: Asked) -> str:
    """A key twice, of which two readers would see different values."""
    args = '{"url": "https://a.example/x", "url": "' + EVIL + '"}'
    return said(*(answer(item["nonce"], {**step(), "args": args}) for item in items(asked)))


def no_numbers(asked: Asked) -> str:
    """What is no JSON, and Python reads all the same."""
    return said(*(answer(item["nonce"], {**step("value"), "args": '{"value": NaN}'}) for item in items(asked)))


def surrogates(asked: Asked) -> str:
    """Half of a character, which no UTF-8 can hold, and a NUL, which PostgreSQL cannot."""
    args = '{"value": "\\ud800\\u0000"}'
    return said(*(answer(item["nonce"], {**step("value"), "args": args}) for item in items(asked)))


@pytest.mark.parametrize(
    "says",
    [
        huge, countless, endless_steps, deep_item, deep_arguments, deep_but_readable, big_number, twice_the_key,
        no_numbers, surrogates,
    ],
)  # fmt: skip
def test_what_is_made_to_break_the_reader_goes_to_a_person(paid: Paid, says: Callable[[Asked], str]) -> None:
    """Within seconds, with the books in order, and the next task is read as if nothing had been."""
    paid.fake.account.cuts = False
    began = time.monotonic()
    [task] = outcome(paid, says, FETCH)
    assert time.monotonic() - began < 10
    assert (task.state, task.plan) == (State.MANUAL, None)
    [after] = outcome(paid, lambda asked: said(*map(own_page, items(asked))), OTHER)
    assert after.state is State.SUCCEEDED
