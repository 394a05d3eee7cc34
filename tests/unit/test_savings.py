"""What each lever saved of a call: together exactly what lies between the naive price and the real one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from common.analysis.call import Call, Purpose
from common.analysis.money.prices import TABLE
from common.analysis.money.savings import bill_of, flat_bill, sum_of
from common.ports import Bill, CallReason, Saved, Usage

HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
CALL = Call(
    workspace=UUID(int=3), purpose="analysis", model=HAIKU, prompt_version="1", system="s" * 3000, content="c" * 1000,
    max_tokens=1000,
)  # fmt: skip
TOKENS = st.integers(0, 200_000)
USAGES = st.builds(Usage, input=TOKENS, output=st.integers(0, 8000), cache_read=TOKENS, cache_write=TOKENS)


@given(
    usage=USAGES,
    tasks=st.integers(0, 20),
    model=st.sampled_from((HAIKU, SONNET, OPUS)),
    strong=st.sampled_from((HAIKU, SONNET, OPUS, "", "nobody-knows")),
    reason=st.sampled_from(CallReason),
    fresh=st.none() | st.integers(0, 20),
    purpose=st.sampled_from(get_args(Purpose)),
    batch=st.booleans(),
    system=st.text(max_size=50),
    content=st.text(max_size=50),
)
def test_the_levers_are_exactly_the_difference(
    *, usage: Usage, tasks: int, model: str, strong: str, reason: CallReason, fresh: int | None,
    purpose: Purpose, batch: bool, system: str, content: str,
) -> None:  # fmt: skip
    """Whatever was asked and used, naive price less cost is the sum of the four; the cost is the price table's."""
    asked = replace(CALL, model=model, reason=reason, purpose=purpose, system=system, content=content)
    call = replace(asked, tasks=tasks, fresh=None if fresh is None else min(fresh, tasks))
    bill = bill_of(TABLE, strong, call, usage, batch=batch)
    assert bill.baseline - bill.cost == bill.saved.total
    assert bill.cost == TABLE.cost(model, usage, batch=batch)
    assert bill.baseline >= 0
    assert (bill.usage, bill.latency, bill.request_id) == (usage, None, None)
    flat = flat_bill(call, bill.cost)
    assert (flat.cost, flat.baseline - flat.cost) == (bill.cost, flat.saved.total)
    assert 0 <= flat.baseline <= flat.cost


def test_a_pack_in_a_batch_is_split_by_lever() -> None:
    """Ten tasks, one call, the system text from the cache, at half the price: reckoned by hand, in nanodollars."""
    usage = Usage(input=4000, output=2000, cache_read=3000)
    bill = bill_of(TABLE, SONNET, replace(CALL, tasks=10), usage, batch=True)
    # each alone: 3,000 system + 400 of its own, 200 out
    assert bill.baseline == 10 * (3400 * 2000 + 200 * 10_000)
    alone = 10 * (3400 * 100 + 200 * 500)
    assert bill.saved.model == bill.baseline - alone
    cached = 10 * (400 * 100 + 3000 * 10 + 200 * 500)
    assert bill.saved.prompt == alone - cached
    together = 4000 * 100 + 3000 * 10 + 2000 * 500
    assert bill.saved.pack == cached - together
    assert bill.saved.batch == together // 2
    assert bill.cost == together // 2


def test_what_the_first_wrote_to_the_cache_the_others_would_have_read() -> None:
    """A pack that writes the cache is compared with calls of which only the first would have."""
    usage = Usage(input=800, output=200, cache_write=3000)
    bill = bill_of(TABLE, HAIKU, replace(CALL, tasks=2), usage)
    alone = 2 * (3400 * 100 + 100 * 500)
    cached = (400 * 100 + 3000 * 200 + 100 * 500) + (400 * 100 + 3000 * 10 + 100 * 500)
    assert bill.saved == Saved(model=0, prompt=alone - cached, pack=cached - bill.cost, batch=0)
    assert bill.saved.prompt < 0  # two tasks do not yet pay for writing it


def test_without_a_cache_the_bytes_divide_the_input() -> None:
    """What every call would repeat is the system text's share of the bytes."""
    bill = bill_of(TABLE, HAIKU, replace(CALL, tasks=2), Usage(input=4000, output=0))
    assert bill.baseline == 2 * (3000 + 500) * 100
    assert bill.saved == Saved(pack=bill.baseline - bill.cost)


@pytest.mark.parametrize(
    ("reason", "lever"),
    [
        (CallReason.REPAIR, "model"), (CallReason.CONFIDENCE, "model"), (CallReason.STAKES, "model"),
        (CallReason.CHECK, "pack"), (CallReason.CACHE_CHECK, "pack"), (CallReason.ORPHAN, "batch"),
    ],
)  # fmt: skip
def test_a_call_that_the_naive_way_needs_not_is_what_its_lever_costs(reason: CallReason, lever: str) -> None:
    """Asked again: nothing of it was saved, all of it is on the lever that made it necessary."""
    bill = bill_of(TABLE, OPUS, replace(CALL, reason=reason, model=SONNET), Usage(input=100))
    assert (bill.baseline, bill.cost) == (0, 200_000)
    assert bill.saved == Saved(**{lever: -200_000})


def test_whose_plan_failed_is_read_for_the_first_time_by_the_strong_model() -> None:
    """The naive way would have asked the same: what the prompt's cache saved is a saving, and nothing is a loss."""
    usage = Usage(input=400, output=200, cache_read=3000)
    bill = bill_of(TABLE, SONNET, replace(CALL, reason=CallReason.FAILED_BEFORE, model=SONNET), usage)
    assert bill.baseline == 3400 * 2000 + 200 * 10_000
    assert bill.saved == Saved(prompt=3000 * (2000 - 100))


def test_of_a_shared_call_only_those_that_nobody_read_are_compared() -> None:
    """One whose plan failed, and one that the small model was unsure of: the second half is what the doubt cost."""
    usage = Usage(input=800, output=400, cache_read=3000)
    call = replace(CALL, reason=CallReason.FAILED_BEFORE, model=SONNET, tasks=2, fresh=1)
    bill = bill_of(TABLE, SONNET, call, usage)
    alone, cached = 3400 * 2000 + 200 * 10_000, 400 * 2000 + 3000 * 100 + 200 * 10_000
    assert (bill.cost, bill.baseline) == (800 * 2000 + 3000 * 100 + 400 * 10_000, alone)
    half = bill.cost // 2
    assert bill.saved == Saved(model=-half, prompt=alone - cached, pack=cached - half)


def test_what_a_step_writes_saves_nothing() -> None:
    """`generate`: the naive call is the call."""
    bill = bill_of(TABLE, OPUS, replace(CALL, purpose="generate"), Usage(input=100, output=5))
    assert (bill.baseline, bill.saved) == (bill.cost, Saved())


def test_a_batchs_bill_is_the_sum_of_its_requests() -> None:
    """Tokens, cost and savings add up, and the difference stays exact."""
    usages = (Usage(input=1000, output=100), Usage(input=10, output=7, cache_read=3000))
    bills = [bill_of(TABLE, SONNET, CALL, usage, batch=True, latency=timedelta(seconds=1)) for usage in usages]
    whole = sum_of(bills, "msgbatch_1")
    assert whole.usage == Usage(input=1010, output=107, cache_read=3000)
    assert whole.cost == sum(bill.cost for bill in bills)
    assert whole.baseline - whole.cost == whole.saved.total
    assert (whole.request_id, sum_of([])) == ("msgbatch_1", Bill(usage=Usage(), cost=0))
