"""The one paid door (I7): reserved before, settled after, given back only if it certainly was not billed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.rows import BudgetEntry, SettingEntry
from common.adapters.memory.store import MemoryStore
from common.analysis.call import Billed, Call, Fault, Reply
from common.analysis.money.door import BudgetDoor
from common.analysis.money.prices import TABLE, UnknownPriceError
from common.ports import CallReason, Usage
from common.telemetry import metrics

WORKSPACE = UUID(int=3)
NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
CALL = Call(
    workspace=WORKSPACE, purpose="analysis", model="claude-haiku-5-5", prompt_version="analysis.1",
    system="s" * 4000, content="c" * 1000, max_tokens=1000, task_ids=(UUID(int=2),),
)  # fmt: skip
REPLY = Reply(text="{}", stop="end_turn", usage=Usage(input=400, output=200, cache_read=3000))


class Stub:
    """An Asker that says what it is told, and counts."""

    def __init__(self, said: Reply | Fault | Callable[[Call], Reply | Fault]) -> None:
        """`said`: the answer, or what makes one."""
        self.said = said
        self.calls: list[Call] = []

    def ask(self, call: Call) -> Reply | Fault:
        """See Asker."""
        self.calls.append(call)
        return self.said if isinstance(self.said, Reply | Fault) else self.said(call)


def memory(cap: int = 25_000_000_000) -> MemoryBudget:
    """A budget of a workspace with this limit, in nanodollars."""

    class Limited(MemoryBudget):
        def has_room(self, month: BudgetEntry, amount: int) -> bool:
            return month.reserved + month.spent + amount <= cap

    store = MemoryStore(lambda: NOW)
    store.settings[WORKSPACE, "policy"] = SettingEntry(0, None)
    return Limited(store)


def test_an_answer_is_booked_at_what_it_cost() -> None:
    """I7: the reservation is gone, the cost is spent, and the caller is told."""
    budget = memory()
    said = BudgetDoor(budget, Stub(REPLY)).ask(CALL)
    # 400 at 0.10, 3,000 read from the cache at 0.01, 200 at 0.50 dollars a million tokens
    expected = 400 * 100 + 3000 * 10 + 200 * 500
    [row] = budget.store.calls
    assert said == replace(REPLY, cost=expected, call=row)
    month = budget.month(WORKSPACE)
    assert (month.spent, month.reserved) == (expected, 0)


@pytest.mark.parametrize(
    ("usage", "state"),
    [
        (None, "assumed_billed"), (Usage(input=10**12), "settled"), (Usage(output=10**12), "settled"),
        (Usage(cache_write=10**30), "settled"), (Usage(input=400, output=10**4000), "settled"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("reason", [CallReason.FIRST, CallReason.CHECK])
def test_a_usage_that_cannot_be_is_booked_at_the_worst_case(
    usage: Usage | None, state: str, reason: CallReason
) -> None:
    """I7: no server's word books more than the request can cost; the answer is used, and it is told."""

    def told() -> float:
        why = "missing" if usage is None else "dearer_than_possible"
        labels = {"model": CALL.model, "why": why}
        return metrics().registry.get_sample_value("aiw_usage_unbelievable_total", labels) or 0.0

    budget, worst, before = memory(), TABLE.worst_case(CALL), told()
    said = BudgetDoor(budget, Stub(replace(REPLY, usage=usage))).ask(replace(CALL, reason=reason))
    assert isinstance(said, Reply)
    assert (said.text, said.cost) == ("{}", worst)
    [row] = budget.store.calls.values()
    assert (row.state, row.cost, told()) == (state, worst, before + 1)
    if row.bill is not None:
        assert row.bill.usage == Usage()
        assert row.bill.baseline - row.bill.cost == row.bill.saved.total
    month = budget.month(WORKSPACE)
    assert (month.spent, month.reserved) == (worst, 0)


def test_the_reservation_stands_while_the_call_is_out() -> None:
    """I7: money is reserved before anything is sent, worst case and dearest tier."""
    budget = memory()
    seen: list[int] = []

    def look(call: Call) -> Reply:
        seen.append(budget.month(call.workspace).reserved)
        return REPLY

    BudgetDoor(budget, Stub(look)).ask(CALL)
    # 5,000 bytes and the frame, all written to the one-hour cache at 0.20, and a full answer
    assert seen == [(5000 + 2000) * 200 + 1000 * 500]


@pytest.mark.parametrize("billed", list(Billed))
def test_a_fault_is_given_back_only_if_it_certainly_was_not_billed(billed: Billed) -> None:
    """I7: without an answer it is assumed billed, in full."""
    budget = memory()
    said = BudgetDoor(budget, Stub(Fault(code="x", billed=billed))).ask(CALL)
    month = budget.month(WORKSPACE)
    expected = 0 if billed is Billed.NO else TABLE.worst_case(CALL)
    assert (month.spent, month.reserved) == (expected, 0)
    assert said.cost == expected


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (replace(REPLY, request_id="req_7"), "settled"),
        (Fault(code="x", billed=Billed.NO, request_id="req_7"), "voided"),
        (Fault(code="x", billed=Billed.MAYBE, request_id="req_7"), "assumed_billed"),
    ],
)
def test_however_a_call_ends_the_providers_id_of_it_is_kept(said: Reply | Fault, state: str) -> None:
    """What its support asks for, of an answer and of a refusal; and how long an answer took."""
    budget = memory()
    BudgetDoor(budget, Stub(said)).ask(CALL)
    [row] = budget.store.calls.values()
    assert (row.state, row.request_id) == (state, "req_7")
    assert (row.bill is None) is (state != "settled")
    if row.bill is not None:
        assert row.bill.latency is not None


def test_a_call_says_what_it_read_and_why() -> None:
    """The ledger's row: tasks, reason, model, version of the prompt."""
    budget = memory()
    call = replace(CALL, tasks=9, reason=CallReason.STAKES)
    BudgetDoor(budget, Stub(REPLY)).ask(call)
    [row] = budget.store.calls.values()
    assert (row.tasks, row.reason, row.model, row.prompt_version) == (9, "stakes", call.model, "analysis.1")
    assert (row.purpose, row.task_ids) == ("analysis", call.task_ids)


def test_calls_are_counted_by_how_they_ended() -> None:
    """What a dashboard of metrics shows: answered, assumed, voided, refused; dollars and tokens."""

    def value(name: str, **labels: str) -> float:
        return metrics().registry.get_sample_value(name, labels) or 0.0

    def closed(state: str) -> float:
        return value("aiw_calls_total", purpose="preview", model=CALL.model, reason="first", state=state)

    call = replace(CALL, purpose="preview")
    door = BudgetDoor(memory(), Stub(REPLY), strong="claude-sonnet-5-5")
    before = [closed(state) for state in ("settled", "voided", "assumed_billed")]
    door.ask(call)
    BudgetDoor(memory(), Stub(Fault(code="x", billed=Billed.NO))).ask(call)
    BudgetDoor(memory(), Stub(Fault(code="x", billed=Billed.MAYBE))).ask(call)
    BudgetDoor(memory(cap=1), Stub(REPLY)).ask(call)
    assert [closed(state) for state in ("settled", "voided", "assumed_billed")] == [n + 1 for n in before]
    assert value("aiw_calls_refused_total", purpose="preview", why="over_budget") >= 1
    assert value("aiw_cost_dollars_total", purpose="preview", model=CALL.model) > 0
    assert value("aiw_naive_cost_dollars_total", purpose="preview") > 0
    assert value("aiw_tokens_total", model=CALL.model, kind="cache_read") >= 3000


def test_whatever_is_raised_is_assumed_billed() -> None:
    """I7: nobody knows whether it went out."""

    def burst(call: Call) -> Reply:
        raise KeyboardInterrupt(call.model)

    budget = memory()
    with pytest.raises(KeyboardInterrupt):
        BudgetDoor(budget, Stub(burst)).ask(CALL)
    assert budget.month(WORKSPACE).spent == TABLE.worst_case(CALL)


def test_without_money_nothing_is_sent() -> None:
    """I7: a reservation that would pass the limit is refused, and the task waits for the budget by name."""
    stub = Stub(REPLY)
    said = BudgetDoor(memory(cap=TABLE.worst_case(CALL) - 1), stub).ask(CALL)
    assert isinstance(said, Fault)
    assert (said.code, said.waiting_for, stub.calls) == ("over_budget", "budget", [])
    assert said.again_in is not None
    assert said.again_in > timedelta(0)


def test_an_unknown_price_is_refused() -> None:
    """A model that nobody can price is not asked, and nothing is reserved; a person has to look."""
    budget, stub = memory(), Stub(REPLY)
    said = BudgetDoor(budget, stub).ask(replace(CALL, model="claude-imaginary-9"))
    assert isinstance(said, Fault)
    assert (said.code, said.again_in, stub.calls) == ("unknown_price", None, [])
    assert budget.month(WORKSPACE).reserved == 0


def test_concurrent_calls_never_pass_the_limit() -> None:
    """I7: of eight threads with money for three at a time, spent and reserved never pass the limit."""
    cap = 3 * TABLE.worst_case(CALL)
    budget = memory(cap)
    highest: list[int] = []

    def look(call: Call) -> Reply:
        month = budget.month(call.workspace)
        highest.append(month.spent + month.reserved)
        return REPLY

    door = BudgetDoor(budget, Stub(look))
    threads = [threading.Thread(target=lambda: [door.ask(CALL) for _ in range(40)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    month = budget.month(WORKSPACE)
    assert max(highest) <= cap
    assert month.spent <= cap
    assert month.reserved == 0


def test_the_deadline_of_the_row_outlives_the_call() -> None:
    """A slow answer is settled, not assumed billed behind its back."""
    budget = memory()
    seen: list[timedelta] = []

    def look(call: Call) -> Reply:
        [row] = budget.store.calls.values()
        seen.append(row.deadline - NOW - timedelta(seconds=call.timeout))
        return REPLY

    BudgetDoor(budget, Stub(look)).ask(CALL)
    assert seen[0] >= timedelta(minutes=1)


@pytest.mark.parametrize(
    ("model", "plain", "out", "write", "read"),
    [
        ("claude-haiku-5-5", 100, 500, 200, 10), ("claude-sonnet-5-5", 2000, 10000, 4000, 100),
        ("claude-opus-5-5", 4000, 20000, 8000, 200),
    ],
)  # fmt: skip
def test_prices_are_the_published_ones(model: str, plain: int, out: int, write: int, read: int) -> None:
    """Nanodollars a token; cache tokens are priced beside the input, not within it."""
    assert TABLE.cost(model, Usage(input=7)) == 7 * plain
    assert TABLE.cost(model, Usage(output=7)) == 7 * out
    assert TABLE.cost(model, Usage(cache_write=7)) == 7 * write
    assert TABLE.cost(model, Usage(cache_read=7)) == 7 * read
    assert TABLE.cost(model, Usage(input=1, output=1, cache_write=1, cache_read=1)) == plain + out + write + read


def test_the_worst_case_bounds_every_split_of_the_tokens() -> None:
    """I7: however the provider counts the same bytes, it never bills more; long prompts pass a dearer tier."""
    for size in (10, 5_000, 400_000):
        call = replace(CALL, system="가" * size)
        worst = TABLE.worst_case(call)
        most = len(call.system.encode()) + len(call.content)
        mixed = Usage(input=most // 2, cache_write=most // 2)
        splits = (Usage(input=most), Usage(cache_write=most), Usage(cache_read=most), mixed)
        for usage in splits:
            assert TABLE.cost(call.model, replace(usage, output=call.max_tokens)) <= worst


def test_an_unknown_model_has_no_price() -> None:
    """It is told apart from a price of nothing."""
    with pytest.raises(UnknownPriceError):
        TABLE.cost("claude-imaginary-9", Usage(input=1))
