"""Which situations histories reach, counted: a simulator that meets less than it did would still be green."""

from __future__ import annotations

from collections import Counter
from typing import Final

from common.core.lifecycle import edges
from common.core.task import Event, State
from common.ports import CallReason, Refusal
from tests.simulator.moves import CRASH, LATE, TWICE

Met = Counter[str]  # by name, how often

# Nothing in this release leads straight from `received`: what will is written down in the table for later.
LATER: Final = frozenset(edge for edge in edges() if edge[1] is State.RECEIVED) - {
    ("analysis_started", State.RECEIVED, State.ANALYZING),
    ("cancelled", State.RECEIVED, State.CANCELLED),
}
# Where a process dies, or is overtaken by another who does the same.
BREAKS: Final = frozenset(
    f"{what} in {name}" for what in (CRASH, LATE, TWICE) for name in ("execute", "analyze", "maintain", "economy")
)
TWINS: Final = frozenset(f"{name} in {name}" for name in ("execute", "analyze", "economy"))
MONEY: Final = frozenset(
    {
        "money: over_budget",
        "standing: saving",
        "budget: lowered under what is held",
        "cancelled: while parked",
        "policy in analyze",
        "provider: down for both workspaces",
        "call: settled",
        "call: voided",
        "call: assumed_billed",
        "pack: 2",
        "pack: 3",
        "batch: made",
        "batch: made twice",
        "batch: lost",
        "batch: unanswered",
        "remembered: at intake",
        "remembered: while reading",
        "flight: waits",
        "outcome: late",
    }
)


def edge(kind: str, source: State | None, target: State) -> str:
    """A transition's name."""
    return f"{kind}: {source or '-'} to {target}"


NAMES: Final = {one: edge(*one) for one in edges()}
# Nothing here writes texts at the cost of a plan.
GATE: Final = (
    Refusal.STALE,
    Refusal.CANCELLED,
    Refusal.PAUSED,
    Refusal.POLICY_CHANGED,
    Refusal.APPROVAL_NEEDED,
    Refusal.UNDECIDED,
)
# Every transition of the table, and whatever else has once found something.
EXPECTED: Final = (
    frozenset(edge(*one) for one in edges() - LATER)
    | BREAKS
    | TWINS
    | MONEY
    | {f"asked: {reason}" for reason in CallReason if reason is not CallReason.ORPHAN}
    | {f"gate: {why}" for why in GATE}
)


class Noted(list[Event]):
    """The stream of events, whose kinds are counted."""

    def __init__(self, met: Met) -> None:
        """`met`: where they are."""
        super().__init__()
        self._met = met

    def append(self, event: Event) -> None:
        """See list."""
        one = (event.kind, event.from_state, event.to_state)
        self._met[NAMES.get(one) or edge(*one)] += 1
        super().append(event)
