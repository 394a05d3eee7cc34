"""Processes that read tasks: each its own chain and its own memory of what it was doing, over what all share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from common.analysis.batches.batched import Batched
from common.analysis.batches.door import BatchDoor
from common.analysis.cache.cached import Cached
from common.analysis.cache.shelf import Memory
from common.analysis.cascade import Cascade, Tiers
from common.analysis.chain import Chain, chain_over
from common.analysis.money.prices import Prices
from common.analysis.packs.asking import Source
from common.core.spending import Standing, standing
from functions.analyze.analysis import Analyst, Means
from functions.analyze.collecting import Collector
from functions.analyze.economy import Economy, EconomyMeans
from functions.analyze.parking import Parking
from tests.simulator.one_thread import Inline
from tests.simulator.setup import settings_of

if TYPE_CHECKING:
    from tests.simulator.world import World

LEASE: Final = timedelta(seconds=60)


@dataclass(slots=True)
class Reading:
    """A process."""

    chain: Chain
    analyst: Analyst
    economy: Economy | None


def chain_of(world: World, worker: str) -> Chain:
    """A process's analyzer: as it is wired for an installation, over the provider of the history."""
    memory = Memory(answers=world.answers, front=world.redis, worker=worker)
    made = chain_over(
        world.provider, settings_of(world.setup), world.budget, world.catalogue, world.time.now, memory
    )  # fmt: skip
    model: object = made.model._inner if isinstance(made.model, Cached) else made.model
    if isinstance(model, Cascade):  # several calls at once, one after another
        vars(model._packs._packers)["_pool"] = vars(model._packs._repairers)["_pool"] = Inline()
    return made


def reading(world: World, number: int) -> Reading:
    """A process that begins. Its name in flights is nobody else's."""
    world.started += 1
    worker, setup = f"a{number}.{world.started}", world.setup
    chain = chain_of(world, worker)
    means = Means(
        queue=world.queue,
        workspace=world.workspace,
        analyzer=chain,
        budget=world.budget,
        catalogue=world.catalogue,
        clock=world.time,
        notifier=world.notifier,
        worker=worker,
        lease=LEASE,
        claim_tasks=3,
        at_once=2,
        pack_tasks=setup.pack_tasks,
        linger=timedelta(seconds=setup.linger),
        batches=setup.batches,
    )

    def draining() -> bool:
        return world.draining

    analyst = Analyst(means, Inline(), draining)
    return Reading(chain, analyst, _economy(world, chain, worker, draining) if setup.batches else None)


def _economy(world: World, chain: Chain, worker: str, draining: Callable[[], bool]) -> Economy:
    settings = settings_of(world.setup)

    def saving(workspace: UUID) -> bool:
        return standing(world.budget.month(workspace)) is not Standing.NORMAL

    batched = Batched.over(
        door=BatchDoor(world.batches, world.budget, world.far_batches, Prices.of(settings), settings.strong_model),
        tiers=Tiers(small=settings.model, strong=settings.strong_model, escalate_below=settings.escalate_below),
        catalogue=world.catalogue,
        now=world.time.now,
        source=Source(world.provider.source, world.provider.key.value),
        saving=saving,
        close=world.provider.close,
        memory=chain.model if isinstance(chain.model, Cached) else None,
        most=settings.pack_tasks,
        checks=settings.pack_checks,
    )
    parking = Parking(queue=world.queue, batches=world.batches, batched=batched, notifier=world.notifier)
    means = EconomyMeans(
        parking=parking,
        collector=Collector(parking=parking, workspace=world.workspace, clock=world.time),
        analyzer=chain,
        workspace=world.workspace,
        clock=world.time,
        worker=f"e{worker}",
        lease=LEASE,
        linger=timedelta(seconds=world.setup.linger),
    )
    return Economy(means, draining)
