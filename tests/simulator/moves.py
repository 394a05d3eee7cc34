"""Histories: what happens, in which order, and what breaks in the middle. Made from a seed; small enough to print."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random
from typing import Final

from tests.simulator.setup import Setup

CRASH: Final = "crash"  # the process dies at this point
LATE: Final = "late"  # it dies after sending a batch, which arrives later, if ever
TWICE: Final = "twice"  # the batch arrives now and may arrive again

# What a worker, a person or the world may do, and how often beside the others.
WEIGHTS: Final = {
    "submit": 8,
    "execute": 40,
    "analyze": 14,
    "maintain": 12,
    "advance": 14,
    "approve": 14,
    "reject": 2,
    "cancel": 4,
    "outcome": 6,
    "retry": 5,
    "reanalyze": 2,
    "resolve": 1,
    "pause": 3,
    "resume": 4,
    "policy": 3,
    "deliver": 13,
    "resubmit": 2,
    "tamper": 1,
    "expire": 1,
    "drain": 1,
    "economy": 9,
    "batches_end": 7,
    "raise_budget": 2,
    "lower_budget": 3,
    "outage": 3,
    "redis": 4,
    "others_batch": 1,
    "key": 1,
}
ALWAYS: Final = frozenset({"submit", "execute", "analyze", "maintain", "advance", "approve", "economy", "batches_end"})
BATCH_MOVES: Final = ("economy", "batches_end", "others_batch")
# What is rudest in the middle of something else.
RUDE: Final = {
    "execute": 8,
    "maintain": 2,
    "analyze": 4,
    "approve": 2,
    "cancel": 4,
    "pause": 3,
    "policy": 6,
    "tamper": 1,
    "outcome": 2,
    "retry": 2,
    "deliver": 4,
    "advance": 3,
    "drain": 2,
    "economy": 3,
    "batches_end": 3,
    "redis": 1,
    "key": 1,
    "lower_budget": 1,
}
# What is rudest of all: another does the same at the same time.
AT_ONCE: Final = {
    "economy": {"economy": 20, "batches_end": 10},
    "analyze": {"analyze": 20, "submit": 10, "lower_budget": 6},
    "execute": {"policy": 14, "deliver": 8, "cancel": 8},
}
BUSY: Final = frozenset({"execute", "analyze", "maintain", "approve", "retry", "outcome", "cancel", "economy"})
# Seconds: within a lease (60), past it, past an attempt's end (75), past any backoff.
SPANS: Final = (1, 3, 20, 61, 61, 80, 400)
# How the far side answers, and the model: `reset_before` and `reset_after` are no answers, the second is billed;
# `large` is nothing foreseen; the others are ways of answering (tests/simulator/reading.py).
READ_WELL: Final = ("ok",) * 10 + ("high", "high", "grave", "unsure", "unsure", "person", "other")
READ_BADLY: Final = ("foreign", "doubled", "reversed", "missing", "permitting", "garbage", "refuse", "cut")
MOODS: Final = {
    "execute": ("ok", "ok", "ok", "busy", "refuse", "refuse", "reset_before", "reset_after", "reset_after", "large"),
    "analyze": (*READ_WELL, *READ_BADLY, "busy", "reset_before", "reset_after", "large"),
    "economy": ("ok", "ok", "ok", "busy", "reset_before", "reset_after", "reset_after", "refuse"),
    "batches_end": (*READ_WELL, *READ_BADLY, "errored", "expired", "canceled", "lost", "lost"),
}
Odds = tuple[tuple[str, ...], tuple[int, ...]]  # names, and their weights summed up
POINTS: Final = 12  # most turns have about as many places where something may happen


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that happens. `inside`: what happens at the n-th point of it."""

    name: str
    pick: int = 0  # which task, worker or message, modulo how many there are
    seconds: int = 0
    moods: tuple[str, ...] = ()  # of the far side and of the model, in turn
    inside: tuple[tuple[int, Move | str], ...] = ()

    def __repr__(self) -> str:
        """As short as it can be read again."""
        parts = [repr(self.name)]
        parts += [f"pick={self.pick}"] if self.pick else []
        parts += [f"seconds={self.seconds}"] if self.seconds else []
        parts += [f"moods={self.moods}"] if self.moods else []
        parts += [f"inside={self.inside}"] if self.inside else []
        return f"Move({', '.join(parts)})"


def history(seed: int) -> tuple[Move, ...]:
    """The history of a seed: a task at least, then whatever happens; of what may happen some, so that it meets."""
    random, setup = Random(seed), Setup.of(seed)
    idle = {*(() if setup.batches else BATCH_MOVES), *(() if setup.cache else ("redis",))}
    idle |= {name for name in WEIGHTS if name not in ALWAYS and random.random() < 0.4}
    weights, rude = ({n: weight for n, weight in of.items() if n not in idle} for of in (WEIGHTS, RUDE))
    odds, busy = _odds(weights), dict.fromkeys(BUSY, _odds(rude))
    busy |= {name: _odds(rude | more) for name, more in AT_ONCE.items()}
    made = [_move(random, "policy")] if random.random() < 0.4 else []
    made.append(_move(random, "submit"))
    for _ in range(random.randint(5, 13)):
        move = _any(random, odds)
        made.append(_busy(random, move, busy) if move.name in BUSY else move)
        if move.name == "batches_end" and random.random() < 0.8:  # and somebody finds out
            made.append(Move("advance", seconds=random.choice(SPANS[3:])))
            found_out = _move(random, "economy")
            twice = random.random() < 0.4
            made.append(_with(found_out, _twin(random, "economy")) if twice else _busy(random, found_out, busy))
        if move.name == "execute" and random.random() < 0.5 and {LATE, TWICE} & {what for _, what in made[-1].inside}:
            made += _caught_up(random)
        if move.name == "economy" and random.random() < 0.2:  # and somebody does not want it any more
            made.append(_move(random, "cancel"))
        if move.name == "redis" and random.random() < 0.6:  # and the same is asked for again
            made.append(Move("submit", pick=3 * random.randrange(20)))
    return tuple(made)


def _caught_up(random: Random) -> list[Move]:
    """Somebody else has the task by the time that the batch arrives."""
    arrives = tuple((at, _move(random, "deliver")) for at in sorted(random.sample(range(1, POINTS), 2)))
    after = [Move("advance", seconds=80), Move("maintain"), Move("advance", seconds=61)]
    return [*after, _with(_move(random, "execute"), arrives)]


def _twin(random: Random, name: str) -> tuple[tuple[int, Move | str], ...]:
    """Another replica does all of it meanwhile."""
    at = random.randrange(1, POINTS)
    return (at, Move("advance", seconds=61)), (at, _move(random, name))


def _busy(random: Random, move: Move, busy: dict[str, Odds]) -> Move:
    """With whatever happens in the middle of it."""
    return _with(move, _inside(random, move.name, busy[move.name])) if random.random() < 0.75 else move


def _with(move: Move, inside: tuple[tuple[int, Move | str], ...]) -> Move:
    return Move(move.name, move.pick, move.seconds, move.moods, inside)


def _odds(weights: dict[str, int]) -> Odds:
    return tuple(weights), tuple(accumulate(weights.values()))


def _any(random: Random, odds: Odds) -> Move:
    names, summed = odds
    [name] = random.choices(names, cum_weights=summed)
    return _move(random, name)


def _move(random: Random, name: str) -> Move:
    moods = tuple(random.choices(MOODS[name], k=random.randint(1, 3))) if name in MOODS else ()
    seconds = 0
    if name == "advance":
        far = random.random()
        seconds = 90_000 if far < 0.06 else 6_000 if far < 0.12 else random.choice(SPANS)
    return Move(name, pick=random.randrange(64), seconds=seconds, moods=moods)


def _inside(random: Random, name: str, odds: Odds) -> tuple[tuple[int, Move | str], ...]:
    happens: list[tuple[int, Move | str]] = []
    for _ in range(random.choice((1, 1, 2))):
        at = random.randrange(1, POINTS)
        kind = random.random()
        if kind < 0.35:
            happens.append((at, random.choice((CRASH, LATE, TWICE))))
        elif kind < 0.5 and name == "analyze":
            # the same is asked for, and asked by another
            happens += [(at, Move("submit", pick=3 * random.randrange(20))), (at, _move(random, name))]
        elif kind < 0.65 and name == "economy":
            happens += _twin(random, name)
        elif kind < 0.65:
            # it hangs for longer than its lease: others take over, and it comes back
            happens += [(at, Move("advance", seconds=random.choice(SPANS[2:]))), (at, _move(random, "maintain"))]
            happens += [(at, _any(random, odds)) for _ in range(random.randint(1, 2))]
        else:
            happens.append((at, _any(random, odds)))
    return tuple(sorted(happens, key=lambda pair: pair[0]))


def smaller(moves: tuple[Move, ...]) -> list[tuple[Move, ...]]:
    """Every history with one thing less: a move, or something inside of one."""
    fewer = [moves[:n] + moves[n + 1 :] for n in range(len(moves))]
    for n, move in enumerate(moves):
        for k in range(len(move.inside)):
            thinner = replace(move, inside=move.inside[:k] + move.inside[k + 1 :])
            fewer.append((*moves[:n], thinner, *moves[n + 1 :]))
    return fewer
