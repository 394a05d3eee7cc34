"""Running histories: one by one, by the thousand, and a failing one made as small as it still fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from common.core.task import TERMINAL, State
from tests.simulator.known import Violation
from tests.simulator.moves import Move, history, smaller
from tests.simulator.world import World

FAST: Final = bool(os.environ.get("AIW_TEST_FAST"))  # as `./aiw test --fast` says it
MakeWorld = Callable[[int], World]
ROUNDS: Final = 60  # turns within which everything must have come to an end, or to a person
RESTS: Final = TERMINAL | {State.AWAITING_APPROVAL, State.MANUAL}
# Seconds: by then what was sent is on the provider's list or was not made; in the end it is assumed billed.
CLOSING: Final = (16 * 60.0,) * 7 + (8 * 86_400.0,)
TRIALS: Final = 400  # of making a failing history smaller


@dataclass(frozen=True, slots=True)
class Failure:
    """A history that broke something."""

    seed: int
    moves: tuple[Move, ...]
    why: str

    def __str__(self) -> str:
        """What to read, and how to see it again."""
        shown = "\n".join(f"    {move!r}," for move in self.moves)
        return f"seed {self.seed}: {self.why}\n{shown}\n  again: pytest tests/simulator --seed {self.seed}"


def run(seed: int, moves: Sequence[Move], make: MakeWorld = World) -> str | None:
    """Play a history to its end; what did not hold, or None."""
    world = make(seed)
    try:
        for move in moves:
            world.play(move)
        if seed % 2 and not world.setup.cache:  # elsewhere everything is done, and equal texts meet
            world.play(Move("withdraw"))
        _settle_open_questions(world)
        _come_to_rest(world)
        _books_close(world)
        world.oracle.all_there()
        world.met.update(f"call: {call.state}" for call in world.store.calls.values())
        world.met["outcome: late"] += any(a.reported_late for row in world.store.tasks.values() for a in row.trail)
    except Violation as exc:
        return str(exc)
    except Exception as exc:  # noqa: BLE001 - whatever the product raises at nobody in particular is a finding
        return f"{type(exc).__name__}: {exc}"
    return None


def _settle_open_questions(world: World) -> None:
    """People say what unknown attempts did, and whatever was still on its way arrives, after all."""
    for pick in range(len(world.ids)):
        world.play(Move("outcome", pick=pick))
    for _ in range(len(world.in_flight)):
        world.play(Move("deliver", pick=1))


def _come_to_rest(world: World) -> None:
    """I9: left alone, with nothing broken any more, every task ends or waits for a person."""
    world.play(Move("resume"))
    world.allow("1000")
    world.provider.is_ready, world.redis.is_down = True, False
    world.provider.outage(begins=False)
    patience, written = 1.0, 0  # seconds: where nothing moves, something waits for company, or for its time
    for _ in range(ROUNDS):
        for name in _to_do(world):
            world.play(Move(name))
        live = [row for row in world.store.tasks.values() if row.state not in RESTS]
        if not live:
            break
        soonest = min(row.next_check_at for row in live if row.next_check_at is not None) - world.store.now
        if any(row.batch is not None for row in live):
            soonest = min(soonest, world.batches.next_due() or soonest)
        events = sum(map(len, world.store.events.values()))
        patience, written = 1.0 if events != written else 2 * patience, events
        world.time.seconds += max(patience, soonest.total_seconds() + 0.001)
    for row in world.store.tasks.values():
        if row.state not in RESTS:
            raise Violation(f"I9: {row.id.hex[-6:]} is {row.state} for ever")
        unknown = any(a.outcome is not None and a.claims_the_step and a.outcome != "done" for a in row.trail)
        if row.cancel_requested_at is not None and row.state not in TERMINAL and not unknown:
            raise Violation(f"cancel: {row.id.hex[-6:]} is {row.state}, its cancel was asked for and is forgotten")


def _to_do(world: World) -> Iterator[str]:
    """Who has anything to do, looked at one after another: the others' turns would be empty."""
    rows = world.store.tasks.values()
    yield "maintain"
    if any(row.state is State.RECEIVED for row in rows):
        yield "analyze"
    if any(row.batch is not None or (row.economy and row.state is State.RECEIVED) for row in rows):
        yield from ("economy", "batches_end")
    if any(row.state is State.QUEUED for row in rows):
        yield "execute"


def _books_close(world: World) -> None:
    """I7: with nobody left who waits for a call, each is booked in the end."""
    for seconds in CLOSING:
        if not any(call.state == "reserved" for call in world.store.calls.values()):
            break
        world.time.seconds += seconds
        for name in ("batches_end", "economy", "maintain"):
            world.play(Move(name))
    world.ledger.all_booked()


def first_failure(seeds: range, make: MakeWorld = World) -> Failure | None:
    """The first of the seeds whose history breaks something."""
    for seed in seeds:
        moves = history(seed)
        why = run(seed, moves, make)
        if why is not None:
            return Failure(seed, moves, why)
    return None


def shrunk(failure: Failure, make: MakeWorld = World) -> Failure:
    """The same failure with as few moves as it still needs."""
    trials, name = 0, failure.why.split(":")[0]
    shrinking = True
    while shrinking and trials < TRIALS:
        shrinking = False
        for fewer in smaller(failure.moves):
            trials += 1
            why = run(failure.seed, fewer, make)
            if why is not None and why.split(":")[0] == name:
                failure = Failure(failure.seed, fewer, why)
                shrinking = True
                break
    return failure
