"""Reading tasks by a provider's batches: the same packs, prompts and cascade as at once, with hours between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.analysis.batches.door import BatchDoor
from common.analysis.batches.outgoing import Outbox
from common.analysis.batches.provider import batches_of
from common.analysis.batches.verdicts import Verdicts
from common.analysis.cascade import Tiers
from common.analysis.money.door import nears_limit
from common.analysis.money.prices import Prices
from common.analysis.money.quote import Quote
from common.analysis.packs.asking import Source
from common.analysis.prompts import ANALYSIS
from common.analysis.providers.registry import provider
from common.config import Settings
from common.ports import Answer, Batch, Batches, Budget, NotAnswered, Question


class Remembers(Protocol):
    """What was answered before, for whoever asks in other ways than through the Analyzer."""

    def known(self, questions: Sequence[Question]) -> list[Answer | None]:
        """What is remembered, in order; all of one workspace."""

    def learn(self, questions: Sequence[Question], said: Sequence[Answer | NotAnswered]) -> None:
        """Remember answers; all of one workspace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batched:
    """What batches are formed, sent and read with."""

    door: BatchDoor
    outbox: Outbox
    verdicts: Verdicts
    close: Callable[[], None]  # drops the provider's connections
    memory: Remembers | None = None  # None: nothing is remembered

    @classmethod
    def over(  # noqa: PLR0913 - what its two halves share is said once
        cls,
        *,
        door: BatchDoor,
        tiers: Tiers,
        catalogue: Catalogue,
        now: Callable[[], datetime],
        source: Source,
        saving: Callable[[UUID], bool],
        close: Callable[[], None],
        memory: Remembers | None = None,
        most: int = 10,
        checks: float = 0.0,
    ) -> Batched:
        """Put together; the arguments are those of its parts."""
        return cls(
            door=door,
            outbox=Outbox(tiers=tiers, catalogue=catalogue, now=now, most=most, checks=checks),
            verdicts=Verdicts(door=door, tiers=tiers, catalogue=catalogue, now=now, source=source, saving=saving),
            close=close,
            memory=memory,
        )

    @property
    def tiers(self) -> Tiers:
        """The models that are asked."""
        return self.verdicts.tiers

    @property
    def catalogue(self) -> Catalogue:
        """The actions that plans are read against."""
        return self.verdicts.catalogue

    def may_learn(self, batch: Batch) -> bool:
        """Whether its answers are what would be answered now: of the present prompt and models."""
        return batch.prompt_version == ANALYSIS and batch.model in {self.tiers.small, self.tiers.strong}


def batched(
    settings: Settings,
    budget: Budget,
    batches: Batches,
    catalogue: Catalogue,
    memory: Remembers | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Batched | None:
    """An installation's; None: its provider has no batches. Opens nothing.

    Args:
        settings: key, base URL, models, and which share is checked.
        budget: where money is booked.
        batches: where batches are on record.
        catalogue: the actions that plans are read against.
        memory: what was answered before; None: nothing is remembered.
        now: the present time, aware.
    """
    asked = provider(settings)
    over = batches_of(settings.provider, asked)
    if over is None:
        return None

    return Batched.over(
        door=BatchDoor(batches, budget, over, Prices.of(settings), settings.strong_model),
        tiers=Tiers.of(settings),
        catalogue=catalogue,
        now=now,
        source=Source(asked.source, asked.key.value),
        saving=partial(nears_limit, budget, Quote.of(settings).one_call),
        close=asked.close,
        memory=memory,
        most=settings.pack_tasks,
        checks=settings.pack_checks,
    )
