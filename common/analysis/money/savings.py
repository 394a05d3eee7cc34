"""What a call cost, and what each lever saved of it against the naive one. Pure.

The naive call is the strong model, each task in a call of its own, nothing cached, at once. From there the levers are
taken one after another (model, prompt cache, pack, batch), each at its own price, so that what lies between the first
price and the last is exactly the sum of what they saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final, Literal

from common.analysis.call import Call
from common.analysis.money.prices import Prices, UnknownPriceError, schema_text, size_of
from common.core.spending import shares_of
from common.ports import Bill, CallReason, Saved, Usage

Lever = Literal["model", "prompt", "pack", "batch"]
# What the naive way would not have asked is what its lever costs: a stronger model asked because of a weaker one, a
# pack asked again as a check, a batch that was sent twice.
LEVER_OF: Final[Mapping[CallReason, Lever]] = {
    CallReason.CHECK: "pack",
    CallReason.CACHE_CHECK: "pack",
    CallReason.ORPHAN: "batch",
}


def bill_of(
    prices: Prices,
    strong: str,
    call: Call,
    usage: Usage,
    *,
    batch: bool = False,
    latency: timedelta | None = None,
    request_id: str | None = None,
) -> Bill:
    """The bill of an answered call.

    Args:
        prices: what tokens cost.
        strong: the model of the naive call; empty, or without a price: the call's own.
        call: what was asked, of how many tasks and why.
        usage: what was used, as the provider says.
        batch: it was asked in the provider's batches, at half the price.
        latency: from the request to its answer.
        request_id: the provider's.

    Errors: UnknownPriceError of the call's own model.
    """
    cost = prices.cost(call.model, usage, batch=batch)
    if call.purpose == "generate":
        baseline, saved = cost, Saved()
    else:
        baseline, saved = _against_naive(prices, strong, call, usage, cost)
    return Bill(usage=usage, cost=cost, baseline=baseline, saved=saved, latency=latency, request_id=request_id)


def flat_bill(call: Call, cost: int, latency: timedelta | None = None, request_id: str | None = None) -> Bill:
    """The bill of a call of which nobody knows what it used: it cost so much, and no lever saved anything."""
    mine = cost if call.purpose == "generate" else sum(shares_of(cost, call.tasks)[: _fresh(call)])
    saved = Saved(**{_lever(call): mine - cost})
    return Bill(usage=Usage(), cost=cost, baseline=mine, saved=saved, latency=latency, request_id=request_id)


def _fresh(call: Call) -> int:
    """How many of its tasks nobody read before: only of those there is a naive call."""
    if call.reason is CallReason.FAILED_BEFORE and call.fresh is not None:
        return call.fresh
    return max(call.tasks, 1) if call.reason in {CallReason.FIRST, CallReason.FAILED_BEFORE} else 0


def _lever(call: Call) -> Lever:
    """Which lever a call costs that the naive way would not have made."""
    return LEVER_OF.get(call.reason, "model")


def sum_of(bills: Sequence[Bill], request_id: str | None = None) -> Bill:
    """One bill over the requests of a batch: tokens, cost, and what was saved."""
    used = [bill.usage for bill in bills]
    saved = [bill.saved for bill in bills]
    return Bill(
        usage=Usage(
            input=sum(u.input for u in used),
            output=sum(u.output for u in used),
            cache_read=sum(u.cache_read for u in used),
            cache_write=sum(u.cache_write for u in used),
        ),
        cost=sum(bill.cost for bill in bills),
        baseline=sum(bill.baseline for bill in bills),
        saved=Saved(
            model=sum(s.model for s in saved),
            prompt=sum(s.prompt for s in saved),
            pack=sum(s.pack for s in saved),
            batch=sum(s.batch for s in saved),
        ),
        request_id=request_id,
    )


def _against_naive(prices: Prices, strong: str, call: Call, usage: Usage, cost: int) -> tuple[int, Saved]:
    """The naive price of its fresh tasks, and what each lever took off it, in order; the others' share is a cost."""
    fresh = _fresh(call)
    alone, cached = list(_alone(call, usage))[:fresh], list(_alone_cached(call, usage))[:fresh]
    try:
        naive = sum(prices.cost(strong or call.model, one) for one in alone)
    except UnknownPriceError:
        naive = sum(prices.cost(call.model, one) for one in alone)
    own_model = sum(prices.cost(call.model, one) for one in alone)
    own_cache = sum(prices.cost(call.model, one) for one in cached)
    together = sum(shares_of(prices.cost(call.model, usage), call.tasks)[:fresh])
    mine = sum(shares_of(cost, call.tasks)[:fresh])
    levers: dict[Lever, int] = {
        "model": naive - own_model,
        "prompt": own_model - own_cache,
        "pack": own_cache - together,
        "batch": together - mine,
    }
    levers[_lever(call)] -= cost - mine
    return naive, Saved(**levers)


def _alone(call: Call, usage: Usage) -> Iterator[Usage]:
    """What each task would have used in a call of its own, with nothing cached."""
    shared = _shared(call, usage)
    own = usage.input + usage.cache_read + usage.cache_write - shared
    for mine, output in zip(shares_of(own, call.tasks), shares_of(usage.output, call.tasks), strict=True):
        yield Usage(input=shared + mine, output=output)


def _alone_cached(call: Call, usage: Usage) -> Iterator[Usage]:
    """The same with the prompt cache as it was: what the first call wrote, the others of its pack would have read."""
    cached = usage.cache_read + usage.cache_write
    for first, one in enumerate(_alone(call, usage)):
        read, written = (usage.cache_read, usage.cache_write) if first == 0 else (cached, 0)
        yield Usage(input=one.input - cached, output=one.output, cache_read=read, cache_write=written)


def _shared(call: Call, usage: Usage) -> int:
    """Tokens of what each call repeats. Only that is cached; where nothing was, the bytes say how the input divides."""
    cached = usage.cache_read + usage.cache_write
    if cached:
        return cached
    system, content = size_of(call.system) + size_of(schema_text(call)), size_of(call.content)
    return usage.input * system // max(system + content, 1)
