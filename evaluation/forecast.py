"""What a run will cost, before it costs anything: expected, and at most. Pure but for the price table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from common.actions.catalogue import Catalogue
from common.analysis.money.prices import Prices, schema_text, size_of
from common.analysis.packs.pack import pack_call
from common.config import Settings
from common.core.spending import NANO
from common.core.task import Risk
from common.ports import CallReason, Usage
from evaluation.label import Label, LabelledSet
from evaluation.place import NOW, question_of
from evaluation.run import packs

BYTES_A_TOKEN: Final = 3  # English has four, Korean two to three: it says rather too much
ANSWER_TOKENS: Final = 200  # of a task


@dataclass(frozen=True, slots=True)
class Forecast:
    """Nanodollars, and how many calls the first readings are."""

    calls: int
    expected: int
    most: int
    largest: int  # what one call may cost

    def at_once(self, max_usd: float, wanted: int) -> int:
        """How many calls may be under way, so that what they reserve fits the cap."""
        return max(1, min(wanted, int(max_usd * NANO / self.largest)))


def forecast(labels: LabelledSet, settings: Settings, catalogue: Catalogue) -> Forecast:
    """Of first readings in packs, and of a stronger model's. UnknownPriceError.

    `most`: every task is read by both models, each call at its worst case, and each is asked once more alone.
    """
    prices = Prices.of(settings)
    models = [settings.model, *([settings.strong_model] if settings.strong_model else [])]
    calls, expected, most, largest = 0, 0.0, 0, 1
    for pack in packs(labels.labels, settings.pack_tasks):
        questions = [question_of(label, catalogue) for label in pack]
        calls += 1
        for model in models:
            call, _ = pack_call(questions, model=model, reason=CallReason.FIRST, catalogue=catalogue, now=NOW)
            share = 1.0 if model == settings.model else _read_again(pack)
            system = (size_of(call.system) + size_of(schema_text(call))) // BYTES_A_TOKEN
            content = size_of(call.content) // BYTES_A_TOKEN
            answer = ANSWER_TOKENS * len(pack)
            cached = Usage(input=content, cache_read=system, output=answer)
            fresh = Usage(input=content, cache_write=system, output=answer)
            is_cached = settings.provider == "anthropic" and calls > 1
            expected += share * prices.cost(model, cached if is_cached else fresh)
            worst = prices.worst_case(call)
            most, largest = most + worst, max(largest, worst)
            for question in questions:
                alone, _ = pack_call([question], model=model, reason=CallReason.REPAIR, catalogue=catalogue, now=NOW)
                most += prices.worst_case(alone)
    return Forecast(calls, int(expected), most, largest)


def _read_again(pack: Sequence[Label]) -> float:
    """Of a pack, which share a stronger model will read, too: where much is at stake, or a plan has failed."""
    return sum(label.most.rank >= Risk.HIGH.rank or label.before is not None for label in pack) / len(pack)
