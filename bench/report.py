"""What was measured, as a table for people and as JSON for programs: medians, and how far the rounds lie apart."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to reach, and what it aims at. `at_most`: smaller is better."""

    limit: float
    aim: float | None = None
    at_most: bool = False

    def met(self, value: float) -> bool:
        """Whether it is reached."""
        return value <= self.limit if self.at_most else value >= self.limit


TARGETS: Final[Mapping[str, Target]] = {
    "by_100": Target(6000, 10_000),
    "singly": Target(2000, 3000),
    "p50": Target(6, at_most=True),
    "p99": Target(12, at_most=True),
    "idle_cpu": Target(1.5, at_most=True),
    "pss": Target(350, at_most=True),
    "burn_of_allowed": Target(0.85),
}
# What the peers did when the floors above were set, chains/s. A floor is as good as its ratio to them: they run on the
# machine that we run on, in the same minutes.
PEERS_AT_FLOORS: Final[Mapping[str, float]] = {"dramatiq": 927, "celery": 330, "procrastinate": 249}
UNITS: Final[Mapping[str, tuple[str, str]]] = {
    "by_100": ("tasks/s, arrays of 100", "{:,.0f}"),
    "singly": ("tasks/s, one a POST, 32 connections", "{:,.0f}"),
    "p50": ("submit to result, p50, ms", "{:.1f}"),
    "p99": ("submit to result, p99, ms", "{:.1f}"),
    "speed": ("speed of this machine meanwhile", "{:.2f}"),
    "by_100_at_speed_1": ("  arrays of 100, by the machine's speed", "{:,.0f}"),
    "singly_at_speed_1": ("  one a POST, by the machine's speed", "{:,.0f}"),
    "clearing_up": ("vacuum after the load, s of CPU", "{:.1f}"),
    "idle_cpu": ("idle, % of a core", "{:.2f}"),
    "pss": ("memory (PSS), MB", "{:.0f}"),
    "burn_of_allowed": ("1 ms of CPU a task: share of what two cores allow", "{:.2f}"),
    "burn": ("tasks/s, each with 1 ms of CPU", "{:,.0f}"),
    "unburnt": ("tasks/s, the same plan without", "{:,.0f}"),
    "throughput": ("chains/s", "{:,.0f}"),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure's rounds."""

    rounds: Sequence[float]

    @property
    def median(self) -> float:
        """The figure."""
        return statistics.median(self.rounds)

    @property
    def noise(self) -> float:
        """From the lowest round to the highest, as a share of the median."""
        return (max(self.rounds) - min(self.rounds)) / self.median if self.median else 0.0

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {"median": self.median, "noise": self.noise, "rounds": list(self.rounds)}


Figures = Mapping[str, Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole run. `ratios`: ours by the peer's, of the rounds that were measured side by side."""

    machine: Mapping[str, object]
    ours: Figures
    million: Figures
    finished: int  # how many tasks `million` was measured with
    peers: Mapping[str, Figures]
    ratios: Mapping[str, Figures]
    cpu: Mapping[str, Mapping[str, float]]  # workload -> part -> microseconds a task
    client: Mapping[str, float]  # workload -> microseconds of the load client a task
    idle: Mapping[str, tuple[float, float]]  # part -> % of a core, MB

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {
            "machine": dict(self.machine),
            "ours": _documents(self.ours),
            "with_finished": {"tasks": self.finished, "figures": _documents(self.million)},
            "peers": {name: _documents(figures) for name, figures in self.peers.items()},
            "ratios": {name: _documents(figures) for name, figures in self.ratios.items()},
            "floors_as_ratios": {name: floors_as_ratios(name) for name in self.peers},
            "cpu_us_a_task": {name: dict(parts) for name, parts in self.cpu.items()},
            "client_us_a_task": dict(self.client),
            "idle": {name: {"cpu_percent": cpu, "pss_mb": size} for name, (cpu, size) in self.idle.items()},
            "missed": self.missed(),
        }

    def missed(self) -> list[str]:
        """The figures that do not reach their target."""
        return [
            name for name, target in TARGETS.items() if name in self.ours and not target.met(self.ours[name].median)
        ]

    def text(self) -> str:
        """As tables."""
        machine = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        if "speed" in self.ours:
            machine += f"\nthis machine: {_speed(self.ours['speed'])}"
        head = [*_OURS, f"with {self.finished:,} finished" if self.million else ""]
        parts = [machine, _table(head, [_our_line(name, self) for name in self.ours])]
        if self.peers:
            parts.append(_table(_PEERS, list(_peer_lines(self))))
        parts += [_table(["CPU a task, us", *self.cpu], list(_cpu_lines(self)))]
        lines = [[name, f"{cpu:.2f}", f"{size:.0f}"] for name, (cpu, size) in sorted(self.idle.items())]
        parts.append(_table(["idle, by part", "% of a core", "PSS, MB"], lines))
        return "\n\n".join(parts)


_OURS: Final = ["ours", "median", "noise", "target", "aim", ""]
_PEERS: Final = [
    "peer", "figure", "median", "noise", "ours / theirs, by 100", "floor", "ours / theirs, singly", "floor",
]  # fmt: skip


def floors_as_ratios(peer: str) -> dict[str, float]:
    """How many times a peer's rate our floors were when they were set; {} if it was not measured then."""
    theirs = PEERS_AT_FLOORS.get(peer)
    return {} if theirs is None else {name: TARGETS[name].limit / theirs for name in ("by_100", "singly")}


def _speed(speed: Figure) -> str:
    """How fast it was, as a sentence."""
    said = f"speed {speed.median:.2f} ({min(speed.rounds):.2f} to {max(speed.rounds):.2f})"
    return f"{said}; 1 is the machine of docs/performance.md, undisturbed"


def _documents(figures: Figures) -> dict[str, object]:
    return {name: figure.document() for name, figure in figures.items()}


def _our_line(name: str, report: Report) -> list[str]:
    title, form = UNITS[name]
    figure, target, million = report.ours[name], TARGETS.get(name), report.million.get(name)
    wanted = ["", "", ""]
    if target is not None:
        sign = "<=" if target.at_most else ">="
        aim = "" if target.aim is None else form.format(target.aim)
        wanted = [f"{sign} {form.format(target.limit)}", aim, "met" if target.met(figure.median) else "MISSED"]
    after = "" if million is None else form.format(million.median)
    # An idle stack may take nothing at all, and the machine's speed is no figure of ours.
    if million is not None and figure.median and name != "speed":
        after += f" ({million.median / figure.median:.0%})"
    return [title, form.format(figure.median), f"{figure.noise:.0%}", *wanted, after]


def _peer_lines(report: Report) -> Iterable[list[str]]:
    for peer, figures in report.peers.items():
        for name, figure in figures.items():
            title, form = UNITS[name]
            ratios = report.ratios[peer]
            line = [peer, title, form.format(figure.median), f"{figure.noise:.0%}"]
            if name == "throughput":
                floors = floors_as_ratios(peer)
                for ours in ("by_100", "singly"):
                    line += [f"{ratios[ours].median:.1f}x", f">= {floors[ours]:.1f}x" if floors else ""]
                yield line
            else:
                yield [*line, f"{ratios[name].median:.2f}x" if name in ratios else "", "", "", ""]


def _cpu_lines(report: Report) -> Iterable[list[str]]:
    names = sorted({part for parts in report.cpu.values() for part in parts})
    for part in names:
        spent = [parts.get(part, 0.0) for parts in report.cpu.values()]
        if max(spent) >= 1:
            yield [part, *(f"{us:.0f}" for us in spent)]
    yield ["all of it", *(f"{sum(parts.values()):.0f}" for parts in report.cpu.values())]
    yield ["the load client, beside it", *(f"{report.client[name]:.0f}" for name in report.cpu)]


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [list(head), *map(list, lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]

    def shown(row: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join([first, *others]).rstrip()

    return "\n".join([shown(rows[0]), "  ".join("-" * width for width in widths), *map(shown, rows[1:])])
