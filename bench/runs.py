"""One run: rounds of each figure in turn, ours and the peers' side by side, so that a noisy minute is everybody's."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bench import burn, product, seed
from bench.machine import Speedometer, machine
from bench.peers.running import PEERS, Peer, Running
from bench.report import MEGABYTE, Figure, Report
from bench.stack import Stack

BURNT: Final = 4000  # a claim takes a hundred: with fewer tasks the last ones are one process's alone
WARM_UP: Final = 1000  # tasks: statements are prepared, pools are open, caches are filled


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How long a run takes. `seconds`: of each measured round of load."""

    rounds: int
    seconds: float
    latencies: int
    idle_seconds: float
    finished: int  # tasks that are put into the table for the second half; 0: there is none
    peers: tuple[str, ...]


QUICK: Final = Length(rounds=1, seconds=2, latencies=100, idle_seconds=5, finished=0, peers=())
FULL: Final = Length(
    rounds=5, seconds=4, latencies=1000, idle_seconds=30, finished=0, peers=tuple(peer.name for peer in PEERS)
)


class Rounds:
    """What is gathered on the way."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.figures: dict[str, list[float]] = defaultdict(list)
        self.cpu: dict[str, dict[str, float]] = {}
        self.client: dict[str, float] = {}

    def throughput(self, name: str, measured: product.Throughput) -> None:
        """A round of load; of CPU times the last round's are kept."""
        self.figures[name].append(measured.rate)
        self.cpu[name] = dict(measured.cpu)
        self.client[name] = measured.client

    def add(self, name: str, value: float) -> None:
        """A figure of its own."""
        self.figures[name].append(value)

    def at_speed(self, speed: float) -> None:
        """How fast the machine was during the round that has just ended, and what its rates were at speed 1."""
        self.add("speed", speed)
        for name in ("by_100", "singly"):
            self.add(f"{name}_at_speed_1", self.figures[name][-1] / speed)

    def done(self) -> dict[str, Figure]:
        """All of it."""
        return {name: Figure(rounds) for name, rounds in self.figures.items()}


def run(length: Length) -> Report:
    """Measure everything that `length` asks for."""
    ours, million = Rounds(), Rounds()
    peers: dict[str, Rounds] = {}
    idle: Mapping[str, tuple[float, float]] = {}
    with Speedometer() as speedometer, Stack() as stack:
        say(f"the stack takes work after {stack.seconds_to_start:.1f} s")
        acknowledged = warm_up(stack)
        chosen = [peer for peer in PEERS if peer.name in length.peers]
        for number in range(length.rounds):
            say(f"round {number + 1} of {length.rounds}")
            acknowledged += one_round(stack, length, ours, speedometer)
            for peer in chosen:
                peer_round(stack, length, peer, peers.setdefault(peer.name, Rounds()))
        product.check(stack, acknowledged)
        idle = rest(stack, length, ours)
        if length.finished:
            say(f"{length.finished:,} finished tasks more: {seed.finished_tasks(stack, length.finished):.0f} s")
            warm_up(stack)
            for number in range(length.rounds):
                say(f"with {length.finished:,}: round {number + 1} of {length.rounds}")
                one_round(stack, length, million, speedometer)
            rest(stack, length, million)
    burning(length, ours)
    figures = ours.done()
    theirs = {name: rounds.done() for name, rounds in peers.items()}
    return Report(
        machine=machine(),
        ours=figures,
        million=million.done(),
        finished=length.finished,
        peers=theirs,
        ratios={name: ratios(figures, others) for name, others in theirs.items()},
        cpu=ours.cpu,
        client=ours.client,
        idle=idle,
    )


def rest(stack: Stack, length: Length, rounds: Rounds) -> dict[str, tuple[float, float]]:
    """What it takes with nothing to do, after it had much: % of a core and MB, by part."""
    say("until PostgreSQL has put away what the load left")
    rounds.add("clearing_up", product.clearing_up(stack))
    still = product.idle(stack, length.idle_seconds)
    rounds.add("idle_cpu", sum(still.cpu.values()))
    rounds.add("pss", sum(still.pss.values()) / MEGABYTE)
    names = sorted(still.cpu.keys() | still.pss.keys())
    return {name: (still.cpu.get(name, 0.0), still.pss.get(name, 0) / MEGABYTE) for name in names}


def warm_up(stack: Stack) -> int:
    """Some of everything; how many tasks it took."""
    done = product.by_arrays(stack, WARM_UP).tasks + product.singly(stack, WARM_UP // 2).tasks
    product.one_at_a_time(stack, 20)
    return done + 20


def one_round(stack: Stack, length: Length, rounds: Rounds, speedometer: Speedometer) -> int:
    """Each of our figures once; how many tasks it took. A short round finds out how many the measured one takes."""
    before = speedometer.look()
    pilot = product.by_arrays(stack, 1000)
    arrays = product.by_arrays(stack, max(1000, int(pilot.rate * length.seconds)))
    rounds.throughput("by_100", arrays)
    first = product.singly(stack, 300)
    singles = product.singly(stack, max(300, int(first.rate * length.seconds)))
    rounds.throughput("singly", singles)
    rounds.at_speed((before + speedometer.look()) / 2)
    latency = product.one_at_a_time(stack, length.latencies)
    rounds.add("p50", latency.percentile(0.5))
    rounds.add("p99", latency.percentile(0.99))
    return pilot.tasks + arrays.tasks + first.tasks + singles.tasks + length.latencies


def peer_round(stack: Stack, length: Length, peer: Peer, rounds: Rounds) -> None:
    """The same of a peer."""
    with Running(peer, stack) as running:
        pilot = running.throughput(100)
        measured = running.throughput(max(100, int(pilot.rate * length.seconds)))
        latency = running.one_at_a_time(max(20, length.latencies // 5))
        still = running.idle(min(5.0, length.idle_seconds))
    rounds.add("throughput", measured.rate)
    rounds.add("p50", latency.percentile(0.5))
    rounds.add("p99", latency.percentile(0.99))
    rounds.add("idle_cpu", sum(still.cpu.values()))
    rounds.add("pss", sum(still.pss.values()) / MEGABYTE)
    say(f"{peer.name}: {measured.rate:,.0f} chains/s, p50 {latency.percentile(0.5):.1f} ms")


def burning(length: Length, rounds: Rounds) -> None:
    """A step that burns 1 ms, in pairs with the same plan without; two `execute`s, since one process has one core."""
    numbers, filters, seconds = burn.calibrated()
    say(f"a step that burns {seconds * 1000:.2f} ms: {filters} filters over {len(numbers)} numbers")
    with Stack("--scale", "execute=2") as stack:
        warm_up(stack)
        for _ in range(length.rounds):
            pilot = product.by_arrays(stack, 400, burn.plan(numbers, 0))
            without = product.by_arrays(stack, max(BURNT, int(pilot.rate * length.seconds)), burn.plan(numbers, 0))
            pilot = product.by_arrays(stack, 200, burn.plan(numbers, filters))
            burnt = product.by_arrays(stack, max(BURNT, int(pilot.rate * length.seconds)), burn.plan(numbers, filters))
            # The time of a task without, and the time that all cores together need for burning.
            allowed = 1 / (1 / without.rate + 1 / burn.capacity(numbers, filters, length.seconds / 2))
            rounds.add("unburnt", without.rate)
            rounds.throughput("burn", burnt)
            rounds.add("burn_of_allowed", burnt.rate / allowed)


def ratios(ours: Mapping[str, Figure], theirs: Mapping[str, Figure]) -> dict[str, Figure]:
    """Ours by theirs, round by round; of what is measured once, by the median."""
    pairs = {"by_100": "throughput", "singly": "throughput", "p50": "p50", "p99": "p99"}
    found = {
        mine: Figure([a / b for a, b in zip(ours[mine].rounds, theirs[other].rounds, strict=True)])
        for mine, other in pairs.items()
    }
    return {**found, "pss": Figure([ours["pss"].median / theirs["pss"].median])}


def say(text: str) -> None:
    """Where it is, on stderr."""
    print(text, file=sys.stderr, flush=True)
