"""Finding what came of a request for a batch whose answer is lost: by the provider's list, and by custom ids.

A batch whose making was never answered is looked for by time and number of requests, and is ours once its custom ids
are. What may be another program's of the same account is waited for, never cancelled.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from common.analysis.batches.provider import BatchProvider, Listed, Result
from common.analysis.call import Fault
from common.ports import Batch, Batches, call_of
from common.telemetry import metrics, note

# By then a request that was sent has arrived or is lost, however slow the way: it would be on the provider's list.
LOST_AFTER: Final = timedelta(minutes=15)
SKEW: Final = timedelta(minutes=2)  # between our clock and the provider's
# Beyond what a provider may take to know everywhere what it has just made.
GONE_AFTER: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no such batch: nothing was made of the request, and nothing is billed."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The provider had it and has it no more, nor its results: what it cost is assumed, and its tasks are read anew."""


class Search:
    """Looks for batches that are on record and have no name, or only may have the one that they have."""

    def __init__(self, batches: Batches, asked: BatchProvider) -> None:
        """`asked`: the provider."""
        self._batches = batches
        self._asked = asked

    def found(self, batch: Batch) -> Lost | None:
        """Look for it on the provider's list; Lost if it is not there and would be by now."""
        candidates = self._candidates(batch)
        if candidates is None:
            return None
        for listed in candidates:
            seen = batch.provider_id
            if self._batches.name(batch.id, listed.provider_id, certain=False, instead_of=seen):
                return None
        # Another key may be another account's: its list says nothing of what this one made.
        if candidates or batch.age < LOST_AFTER or batch.key != self._asked.key:
            return None
        # Seen before the list was asked for: who stood still since then gives nothing back that was found meanwhile.
        if not self._batches.give_up(batch.id, batch.provider_id, billed=False, after=LOST_AFTER):
            return None
        self._closed("lost", batch)
        return Lost()

    def gone(self, batch: Batch) -> Gone | None:
        """Nobody knows it by its id. Certainly gone once the list does not have it, either: somebody deleted it.

        Whatever was answered by then is billed. One that only may be ours is as gone as one that is.
        """
        # Another key may be another account's, to which it never was there.
        if batch.age < GONE_AFTER or batch.key != self._asked.key:
            return None
        recent = self._asked.recent(batch.opened_at - SKEW)
        if isinstance(recent, Fault) or any(listed.provider_id == batch.provider_id for listed in recent):
            return None
        if not self.more_is_on_record(batch):
            return None
        if not self._batches.give_up(batch.id, batch.provider_id, billed=True, after=GONE_AFTER):
            return None
        self._closed("gone", batch)
        return Gone()

    def not_ours(self, batch: Batch, results: Sequence[Result]) -> Lost | None:
        """It had the right time and size, and is another program's, or of another call, which gets it (I7)."""
        found, gives = str(batch.provider_id), (self._batches.name, self._batches.orphan)
        named = dict.fromkeys(call for result in results if (call := call_of(result.custom_id)))
        whose = next((call for call in named if self._batches.is_on_record(call)), None)
        if whose is not None and not any(give(whose, found, certain=True) for give in gives):
            return None  # it stays on this record until the other can have it: while one more has no answer it cannot
        if batch.of == batch.id:
            seen = found if whose is None else None
            return self.found(replace(batch, provider_id=seen, not_ours=(*batch.not_ours, found)))
        if whose is None:
            self._batches.give_up(batch.id, found, billed=False)
        return None

    def more_is_on_record(self, batch: Batch) -> bool:
        """Its making had no answer in time, so it may have been made twice: whatever looks like it is looked at (I7).

        What it was taken for until it was certain is, too. False: more may be there that is not on the list yet, or the
        list cannot be had; until then it is not closed.
        """
        if batch.of != batch.id:
            return True
        candidates = [] if batch.answered else self._candidates(batch)
        found = [*(batch.not_ours if batch.certain else ()), *(listed.provider_id for listed in candidates or ())]
        for provider_id in found:
            self._batches.orphan(batch.id, provider_id, certain=False)
        return batch.answered or (candidates is not None and batch.age >= LOST_AFTER)

    def _candidates(self, batch: Batch) -> list[Listed] | None:
        """What may have come of its request, oldest first; None: the provider's list cannot be had."""
        recent = self._asked.recent(batch.opened_at - SKEW)
        if isinstance(recent, Fault):
            return None
        until = batch.opened_at + LOST_AFTER
        alike = [b for b in recent if b.requests == len(batch.asked) and b.created_at <= until]
        taken = self._batches.known([b.provider_id for b in alike]) | set(batch.not_ours)
        return [b for b in reversed(alike) if b.provider_id not in taken]

    def _closed(self, how: str, batch: Batch) -> None:
        metrics().money.batch(how)
        note(f"batch_{how}", logging.WARNING, call=str(batch.id), batch=batch.provider_id)
