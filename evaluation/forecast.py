"""What a run will cost, before it costs anything: expected, and at most. Pure but for the price table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from common.actions.catalogue import Catalogue
from common.analysis.pack import pack_call
from common.analysis.prices import Prices, schema_text, size_of
from common.config import Settings
from common.ports import Usage
from evaluation.label import LabelledSet
from evaluation.place import NOW, question_of
from evaluation.run import packs

BYTES_A_TOKEN: Final = 3  # English has four, Korean two to three: it says rather too much
ANSWER_TOKENS: Final = 200  # of a task
READ_AGAIN: Final = 0.15  # share of tasks that a stronger model reads, too; with many risky ones it is more


@dataclass(frozen=True, slots=True)
class Forecast:
    """Nanodollars, and how many calls a model's first readings are."""

    calls: int
    expected: int
    most: int


def forecast(labels: LabelledSet, settings: Settings, catalogue: Catalogue) -> Forecast:
    """Of first readings in packs, and of a stronger model's. UnknownPriceError.

    `most`: every task is read by both models, each call at its worst case, and each is asked once more alone.
    """
    prices = Prices.of(settings)
    models = [settings.model, *([settings.strong_model] if settings.strong_model else [])]
    calls, expected, most = 0, 0.0, 0
    for pack in packs(labels.labels, settings.pack_tasks):
        questions = [question_of(label, catalogue) for label in pack]
        calls += 1
        for model in models:
            call, _ = pack_call(questions, model=model, reason="first", catalogue=catalogue, now=NOW)
            share = 1.0 if model == settings.model else READ_AGAIN
            system = (size_of(call.system) + size_of(schema_text(call))) // BYTES_A_TOKEN
            content = size_of(call.content) // BYTES_A_TOKEN
            answer = ANSWER_TOKENS * len(pack)
            cached = Usage(input=content, cache_read=system, output=answer)
            fresh = Usage(input=content, cache_write=system, output=answer)
            is_cached = settings.provider == "anthropic" and calls > 1
            expected += share * prices.cost(model, cached if is_cached else fresh)
            most += prices.worst_case(call)
            for question in questions:
                alone, _ = pack_call([question], model=model, reason="repair", catalogue=catalogue, now=NOW)
                most += prices.worst_case(alone)
    return Forecast(calls, int(expected), most)
