"""The paid door for batches (I7): on record and reserved before they are sent, booked when their results are known.

What a process knows of a batch may die with it; everything here is found again from the record and the provider's list
(common/analysis/batches/search.py).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from common.analysis.batches.provider import BatchProvider, BatchRequest, Result
from common.analysis.batches.search import Gone, Lost, Search
from common.analysis.call import NO_MODEL, Billed, Call, Fault, Reply
from common.analysis.money.door import bill_within, refused
from common.analysis.money.prices import Prices, UnknownPriceError
from common.analysis.money.savings import flat_bill, sum_of
from common.ports import (
    Asked,
    Batch,
    Batches,
    Bill,
    Budget,
    CallReason,
    CallRequest,
    Checked,
    NotOpened,
    NotReserved,
    Usage,
    custom_id,
)
from common.telemetry import count_checks, metrics, note

# Results are kept for 29 days: an installation that slept over a weekend still books what it really cost.
BOOKED_WITHIN: Final = timedelta(days=7)
SOON: Final = timedelta(minutes=1)
GONE: Final = 404
PENDING: Final = Fault(code="batch_unanswered", billed=Billed.NO, again_in=SOON, waiting_for="provider")
NOT_MADE: Final = Fault(code="batch_lost", billed=Billed.NO, again_in=timedelta(seconds=1), waiting_for="provider")


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of the requests, by number; one that is not there is missing."""

    said: Mapping[int, Reply | Fault]


class BatchDoor:
    """What lets batches through, and finds them again. Any replica may go on where another died."""

    def __init__(self, batches: Batches, budget: Budget, asked: BatchProvider, prices: Prices, strong: str) -> None:
        """`asked`: the provider. `strong`: the model of the naive call, against which savings are counted."""
        self._batches = batches
        self._budget = budget
        self._asked = asked
        self._prices = prices
        self._strong = strong
        self._search = Search(batches, asked)

    @property
    def is_ready(self) -> bool:
        """Whether there is a key to ask with."""
        return self._asked.key is not None

    @property
    def is_free(self) -> bool:
        """Whether a batch could be opened now: there is a key, and none of its batches is without an answer."""
        key = self._asked.key
        return key is not None and self._batches.is_free(key)

    # --- asking -------------------------------------------------------------------------------------------------

    def open(self, requests: Sequence[BatchRequest]) -> UUID | Fault:
        """Put a batch on record and reserve its worst case, checks included; nothing is sent.

        Args:
            requests: one or more, of one workspace, model and prompt, and but for checks one reason.

        Faults: `no_model`, `unknown_price`, `over_budget`; `batch_unanswered`: another one has to be answered first.
        """
        key = self._asked.key
        if key is None:
            return NO_MODEL
        firsts = [request for request in requests if not request.check]
        first, tasks = firsts[0].call, [member.task for request in firsts for member in request.members]
        try:
            asked = [Asked(r.members, self._prices.worst_case(r.call, batch=True), r.check) for r in requests]
        except UnknownPriceError:
            return Fault(code="unknown_price", billed=Billed.NO, detail=first.model[:100])
        request = CallRequest(
            workspace=first.workspace,
            purpose=first.purpose,
            model=first.model,
            prompt_version=first.prompt_version,
            reserve=sum(one.most for one in asked),
            task_ids=tuple(tasks),
            tasks=len(tasks),
            reason=first.reason,
            deadline=BOOKED_WITHIN,
        )
        made = self._batches.open(request, key, asked)
        if isinstance(made, NotReserved):
            return refused(made)
        return PENDING if isinstance(made, NotOpened) else made

    def send(self, batch: UUID, requests: Sequence[BatchRequest]) -> Fault | None:
        """Send what is on record, once. A Fault: it certainly was not made, and what was reserved is given back.

        Without an answer it may have been made: `look` finds out.
        """
        if not self._batches.begin(batch):
            # We stood still since it was opened, for so long that nobody would look for what comes of it.
            self.give_up(batch)
            return NOT_MADE
        said = self._asked.create([(custom_id(batch, number), one.call) for number, one in enumerate(requests)])
        if isinstance(said, str):
            if not self._batches.name(batch, said, certain=True, answered=True):
                # It took so long that somebody gave the row up: nobody waits for it, but it costs.
                self._batches.orphan(batch, said, certain=True)
            return None
        if said.billed is Billed.NO:
            self._budget.void(batch)
            return said
        note("batch_unanswered", logging.WARNING, call=str(batch), code=said.code)
        return None

    def give_up(self, batch: UUID) -> None:
        """It was put on record and will not be sent."""
        self._batches.give_up(batch, None, billed=False)

    # --- looking ------------------------------------------------------------------------------------------------

    def look(self, batch: Batch, *, wanted: bool) -> Ended | Lost | Gone | None:
        """What became of it; None: that is not known yet.

        Args:
            batch: as it was due.
            wanted: whether any task still waits for it. One of ours that nobody waits for is cancelled.
        """
        if batch.provider_id is None:
            return self._search.found(batch)
        listed = self._asked.look(batch.provider_id)
        if isinstance(listed, Fault):
            return self._search.gone(batch) if listed.status == GONE else None
        if not listed.ended:
            if batch.certain and not wanted and not listed.stopping:
                self._asked.cancel(batch.provider_id)
            return None
        results = self._asked.results(batch.provider_id)
        if isinstance(results, Fault):
            return None
        said = _by_number(batch, results)
        if said or batch.certain:
            return Ended(said)
        if any(result.custom_id for result in results):
            return self._search.not_ours(batch, results)
        # Results that name nothing do not say whose they are: waited for, and assumed billed in the end.
        self._search.more_is_on_record(batch)
        return None

    # --- booking ------------------------------------------------------------------------------------------------

    def priced(self, batch: Batch, calls: Mapping[int, Call], ended: Ended) -> tuple[Bill, dict[int, Reply | Fault]]:
        """What requests of an ended batch cost, and their replies with their costs; nothing is booked.

        What was not answered is not billed. What nobody can read, or has no line, is taken for its worst case; beyond
        that nothing is (I7).
        """
        bills: list[Bill] = []
        said: dict[int, Reply | Fault] = {}
        for number, call in calls.items():
            found, most = ended.said.get(number), batch.asked[number].most
            if isinstance(found, Reply):
                bill = bill_within(self._prices, self._strong, call, found, most, batch=True)
                found = replace(found, cost=bill.cost, call=batch.id)
            elif found is None or found.billed is Billed.MAYBE:
                bill = flat_bill(call, most)
            else:
                bill = Bill(usage=Usage(), cost=0)
            bills.append(bill)
            said[number] = found or Fault(code="batch_missing", billed=Billed.MAYBE)
        return replace(sum_of(bills), latency=batch.age, request_id=batch.provider_id), said

    def book(self, batch: Batch, bill: Bill, checked: Checked | None = None) -> None:
        """Settle it, once; the rest of what was reserved is given back. What its checks cost is a row of its own.

        One that may have been made twice is settled at a later look, when all that came of it is on record (I7).
        """
        if not self._search.more_is_on_record(batch):
            return
        if checked is not None and self._batches.checked(batch.id, checked):
            self._tell(batch, checked)
        self._budget.settle(batch.id, bill)
        metrics().money.batch("booked")
        # Without its latency: hours are no answer's time.
        metrics().money.answered("analysis", batch.model, batch.reason, replace(bill, latency=None))

    def _tell(self, batch: Batch, checked: Checked) -> None:
        """Disagreement is alarmed, as among packs that are read at once (I12)."""
        bill, tasks = replace(checked.bill, latency=None), len(checked.tasks)
        metrics().money.answered("analysis", batch.model, CallReason.CHECK, bill)
        count_checks(tasks, checked.different)
        if checked.different:
            note("readings_differ", logging.WARNING, call=str(batch.id), tasks=tasks, different=checked.different)


def _by_number(batch: Batch, results: Sequence[Result]) -> dict[int, Reply | Fault]:
    """Results by number of request. One that stands twice says nothing of which is right: nobody knows its cost."""
    numbers = {batch.custom_id(number): number for number in range(len(batch.asked))}
    found: dict[int, Reply | Fault] = {}
    for result in results:
        number = numbers.get(result.custom_id)
        if number is None:
            continue
        twice = Fault(code="batch_missing", billed=Billed.MAYBE)
        found[number] = twice if number in found else result.said
    return found
