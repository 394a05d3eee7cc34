"""What each move does to whatever costs money: batches, limits, what is remembered, the provider and its key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from common.core.installation import nanodollars
from tests.simulator.moves import Move
from tests.simulator.setup import CAPS

if TYPE_CHECKING:
    from tests.simulator.world import World

RAISED: Final = ("0.6", "1", "3")


def economy(world: World, move: Move) -> None:
    """A process sends what may wait hours, and collects what has ended."""
    if not world.setup.batches:
        return
    with world.worker(move.pick) as number:
        if number is not None:
            world.provider.moods = list(move.moods)
            economy_of = world.reader(number).economy
            if economy_of is not None:
                economy_of.run()


def batches_end(world: World, move: Move) -> None:
    """The provider has done with what it has."""
    world.far_batches.end(move.moods)


def others_batch(world: World, move: Move) -> None:
    """Another program of the same account makes one that looks like ours."""
    if world.setup.batches:
        world.far_batches.foreign(1 + move.pick % 2)


def raise_budget(world: World, move: Move) -> None:
    """A person allows more; the installation's limit may stay the tighter one."""
    caps = (*CAPS, *RAISED)
    now = max(float(cap) for cap in (world.setup.cap, world.allowed))
    higher = [cap for cap in caps if float(cap) > now]
    if higher:
        world.allow(higher[move.pick % len(higher)], world.allowed if move.pick % 3 == 0 else None)
        for who, _ in world.people:
            world.queue.hasten(who.workspace, "budget")


def lower_budget(world: World, _: Move) -> None:
    """A person allows less, perhaps less than what is spent and reserved already: nothing more may be reserved."""
    now = float(world.allowed)
    lower = [cap for cap in CAPS if float(cap) < now]
    if not lower:
        return
    world.allow(min(lower, key=float))
    month = f"{world.time.now():%Y-%m}"
    held = sum(call.held for call in world.store.calls.values() if call.month == month)
    world.met["budget: lowered under what is held"] += held > nanodollars(world.allowed)


def outage(world: World, _: Move) -> None:
    """The provider answers nobody, of whichever workspace, until it does again."""
    world.provider.outage(begins=not world.provider.is_down)


def redis(world: World, move: Move) -> None:
    """It forgets, is not there, is there again, or somebody writes into it."""
    match move.pick % 6:
        case 0:
            world.redis.wipe()
        case 1:
            world.redis.is_down = True
        case 2:
            world.redis.is_down = False
        case _:
            world.redis.forge()


def key(world: World, _: Move) -> None:
    """The key is taken away, or there again."""
    world.provider.is_ready = not world.provider.is_ready


PAID_MOVES: Final[dict[str, Callable[[World, Move], None]]] = {
    made.__name__: made for made in (economy, batches_end, others_batch, raise_budget, lower_budget, outage, redis, key)
}
