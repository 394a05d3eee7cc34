"""Each way in which the provider can fail, over real HTTP and the whole lifecycle: the next step, and the books."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from common.adapters.memory.rows import SettingEntry
from common.core.task import State
from tests.metered.faults import Fault, Kind
from tests.paid_desk import Paid, paid_desk

TEXT = "What is new at https://a.example/x, and is it worth a visit?"
NOTHING, EXACTLY, AT_LEAST = "nothing", "exactly", "at least"  # what is booked, beside what is billed
MINUTE = 60
LATER = [
    # the fault, the failure's code, what the task waits for, after how many seconds it is tried again, the books
    (Fault(kind="status", status=429, retry_after=17), "rate_limited", "provider", 17, NOTHING),
    (Fault(kind="status", status=429, retry_after=86_400), "rate_limited", "provider", 15 * MINUTE, NOTHING),
    (Fault(kind="status", status=529), "provider_overloaded", "provider", 30, NOTHING),
    (Fault(kind="status", status=500), "provider_error", "provider", 30, AT_LEAST),
    (Fault(kind="status", status=500, billed=True), "provider_error", "provider", 30, AT_LEAST),
    (Fault(kind="slow", seconds=1.5), "provider_timeout", "provider", 30, AT_LEAST),
    (Fault(kind="cut_off"), "provider_reset", "provider", 30, AT_LEAST),
    (Fault(kind="reset"), "provider_reset", "provider", 30, AT_LEAST),
    (Fault(kind="malformed"), "provider_error", "provider", 30, AT_LEAST),
    (Fault(kind="status", status=401), "bad_key", "provider", 10 * MINUTE, NOTHING),
    (Fault(kind="status", status=403), "key_not_permitted", "provider", 10 * MINUTE, NOTHING),
    (
        Fault(kind="status", status=429, code="enforced_spend_limit_reached", retry_after=5),
        "spend_limit", "budget", 60 * MINUTE, NOTHING,
    ),
    (
        Fault(kind="status", status=400, message="You have reached your specified API usage limits."),
        "spend_limit", "budget", 60 * MINUTE, NOTHING,
    ),
]  # fmt: skip
PERSON = [
    # the fault, the failure's code, the books
    (Fault(kind="refusal", times=9), "refused_by_model", EXACTLY),
    (Fault(kind="max_tokens", times=9), "answer_truncated", EXACTLY),
    (Fault(kind="says", text="I would rather talk about it.", times=9), "unusable_answer", EXACTLY),
    (Fault(kind="status", status=400), "request_refused", NOTHING),
    (Fault(kind="status", status=413), "request_refused", NOTHING),
]


@pytest.fixture
def paid(monkeypatch: pytest.MonkeyPatch) -> Iterator[Paid]:
    """A desk whose patience with a provider is short."""
    monkeypatch.setattr("common.analysis.packs.pack.SECONDS", 0.5)
    with paid_desk() as made:
        yield made


def assert_books(paid: Paid, books: str) -> None:
    """I7, and how much was booked."""
    paid.assert_books_hold()
    if books == NOTHING:
        assert (paid.booked, paid.fake.nanodollars) == (0, 0)
    elif books == EXACTLY:
        assert paid.booked == paid.fake.nanodollars > 0
    else:
        assert paid.booked > 0


@pytest.mark.parametrize(
    ("fault", "code", "waits", "seconds", "books"), LATER, ids=[f"{n}-{f[1]}" for n, f in enumerate(LATER)]
)
def test_what_passes_is_waited_for_by_name(
    paid: Paid, fault: Fault, code: str, waits: str, seconds: int, books: str
) -> None:
    """I7, I9: deferred with its reason and a time, booked by what may have been billed, and read once it is over."""
    paid.fake.faults.add(fault)
    [task] = paid.read(TEXT)
    assert (task.state, task.waiting_for) == (State.RECEIVED, waits)
    assert task.failure is not None
    assert task.failure.code == code
    assert task.next_check_at is not None
    wait = task.next_check_at - datetime.now(UTC)
    # a pack that failed comes back together, a quarter later at most: many that were refused at once do not all return
    assert timedelta(seconds=seconds - 10) < wait <= timedelta(seconds=seconds * 1.25)
    assert len(paid.calls) == 1
    if fault.kind == "slow":  # the model goes on without us, and bills
        _until_billed(paid)
    assert_books(paid, books)
    paid.desk.elapse(timedelta(seconds=seconds * 1.25))
    paid.desk.wake("analyze")
    assert paid.row(task.id).state is State.QUEUED
    paid.assert_books_hold()


def _until_billed(paid: Paid) -> None:
    for _ in range(100):
        if paid.fake.rows:
            return
        time.sleep(0.05)
    pytest.fail("the slow message was never billed")


@pytest.mark.parametrize(("fault", "code", "books"), PERSON, ids=[f"{n}-{f[1]}" for n, f in enumerate(PERSON)])
def test_what_does_not_pass_goes_to_a_person(paid: Paid, fault: Fault, code: str, books: str) -> None:
    """I7: after one repair at most, since what a model says twice it says a third time, too."""
    paid.fake.faults.add(fault)
    [task] = paid.read(TEXT)
    assert task.state is State.MANUAL
    assert task.failure is not None
    assert task.failure.code == code
    assert len(paid.calls) <= 2
    assert_books(paid, books)


POISON = "What is new at https://a.example/poison, and is it worth a visit?"


def test_a_text_that_the_provider_fails_on_goes_to_a_person_and_takes_nobody_with_it(paid: Paid) -> None:
    """I7: twice with its neighbours, three times alone; they are read, others never wait, and it costs five calls."""
    paid.fake.account.fails_on = "a.example/poison"
    neighbours = [f"What is new at https://a.example/{n}, and is it worth a visit?" for n in range(4)]
    [*good, poison] = paid.read(*neighbours, POISON)
    states = [State.RECEIVED]
    for n in range(4):
        assert (poison.state, poison.waiting_for) == (State.RECEIVED, "provider")
        [other] = paid.read(f"What is new at https://b.example/{n}, and is it worth a visit?")
        assert other.state is State.QUEUED
        paid.desk.elapse(timedelta(seconds=40))
        paid.desk.wake("analyze")
        states.append(paid.row(good[0].id).state)
        poison = paid.row(poison.id)
    assert states == [State.RECEIVED, State.RECEIVED, State.QUEUED, State.QUEUED, State.QUEUED]
    assert {paid.row(task.id).state for task in good} == {State.QUEUED}
    assert poison.state is State.MANUAL
    assert poison.failure is not None
    assert (poison.failure.code, poison.failure.status) == ("provider_fails_on_this", 500)
    failed = [call.tasks for call in paid.calls if call.state == "assumed_billed"]
    assert failed == [5, 5, 1, 1, 1]
    assert sum(call.cost for call in paid.calls if call.state == "assumed_billed") < 50_000_000  # five cents
    paid.assert_books_hold()


def test_an_outage_makes_nobody_a_suspect(paid: Paid, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a text met it: once the provider is there again it is read, with its neighbours."""
    monkeypatch.setattr("common.analysis.breaker.LONGEST_RETRY_AFTER", timedelta(0))  # each look tries
    paid.fake.account.fails_on = "worth a visit"
    tasks = paid.read(*(f"What is new at https://a.example/{n}, and is it worth a visit?" for n in range(4)))
    for _ in range(6):
        assert {paid.row(task.id).waiting_for for task in tasks} == {"provider"}
        paid.desk.elapse(timedelta(minutes=6))
        paid.desk.wake("analyze")
    paid.fake.account.fails_on = ""
    paid.desk.elapse(timedelta(minutes=6))
    paid.desk.wake("analyze")
    assert {paid.row(task.id).state for task in tasks} == {State.QUEUED}
    assert [(call.state, call.tasks) for call in paid.calls] == [*[("assumed_billed", 4)] * 7, ("settled", 4)]


UNBELIEVABLE = {"no_usage": "assumed_billed", "negative_usage": "assumed_billed", "absurd_usage": "settled"}


@pytest.mark.parametrize(("kind", "state"), UNBELIEVABLE.items())
def test_a_usage_that_cannot_be_is_booked_at_the_worst_case_and_its_answer_is_used(
    paid: Paid, kind: Kind, state: str
) -> None:
    """I7: a hostile server books no more than a request can cost, and a missing number is no reason for a person."""
    paid.fake.faults.add(Fault(kind=kind, times=9))
    [task] = paid.read(TEXT)
    assert task.state is State.QUEUED
    [call] = paid.calls
    assert (call.state, call.cost) == (state, call.reserved)
    assert call.request_id == paid.fake.rows[0].request_id
    month = paid.desk.container.budget.month(paid.desk.workspace)
    assert (month.spent, month.reserved) == (call.reserved, 0)
    assert paid.fake.nanodollars < call.reserved


def test_a_repaired_answer_is_as_good(paid: Paid) -> None:
    """The one repair round: told what was wrong, the model answers well; both calls are booked as billed."""
    paid.fake.faults.add(Fault(kind="says", text='{"answers": []}'))
    [task] = paid.read(TEXT)
    assert task.state is State.QUEUED
    assert [call.reason for call in paid.calls] == ["first", "repair"]
    assert_books(paid, EXACTLY)


def test_the_ledger_is_the_bill_to_the_nanodollar(paid: Paid) -> None:
    """I7: many tasks in packs, Korean and English: what was booked is what is billed, call by call."""
    texts = [f"What is new at https://a.example/{n}, and is it worth a visit?" for n in range(15)]
    texts += [f"https://b.example/{n} 에서 새로운 점이 뭔지, 가 볼 만한지 알려줄래?" for n in range(15)]
    tasks = paid.read(*texts)
    assert {task.state for task in tasks} == {State.QUEUED}
    assert_books(paid, EXACTLY)
    by_id = {row.request_id: row for row in paid.fake.rows}
    for call in paid.calls:
        assert call.bill is not None
        used, row = call.bill.usage, by_id[str(call.bill.request_id)].used
        assert (used.input, used.output, used.cache_read) == (row.input, row.output, row.read)


def test_nothing_is_asked_when_the_limit_leaves_no_room() -> None:
    """I7: the worst case has to fit; the provider never hears of it, and the task waits by name."""
    with paid_desk() as paid:
        paid.desk.store.settings[paid.desk.workspace, "budget_usd"] = SettingEntry(1, 0.000001)
        [task] = paid.read(TEXT)
        assert (task.state, task.waiting_for) == (State.RECEIVED, "budget")
        assert (paid.fake.asked, paid.calls) == ([], [])
