"""What a process has of its own: wakes, and a clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from common.core.task import State


class Notifier(Protocol):
    """Wakes: they carry no authority and no work, and may be lost."""

    def publish(self, kinds: Sequence[str]) -> None:
        """Tell that such things happened (`aiw.task.queued`, …). Never raises: a lost wake costs a minute."""


class Clock(Protocol):
    """This process's monotonic time and randomness; stored times are PostgreSQL's."""

    def monotonic(self) -> float:
        """Seconds."""

    def unix_ms(self) -> int:
        """Milliseconds since 1970, for ids only."""

    def draw(self) -> float:
        """Uniform in [0, 1)."""

    def entropy(self, size: int) -> bytes:
        """Random bytes."""


WAKE_KINDS = {
    State.RECEIVED: "aiw.task.received",
    State.QUEUED: "aiw.task.queued",
    State.AWAITING_APPROVAL: "aiw.approval.requested",
    State.MANUAL: "aiw.task.manual",
    State.SUCCEEDED: "aiw.task.finished",
    State.CANCELLED: "aiw.task.finished",
}


def wakes_of(states: Sequence[State]) -> list[str]:
    """The kinds of wake that tasks arriving in these states are worth, each once."""
    return sorted({WAKE_KINDS[s] for s in states if s in WAKE_KINDS})
