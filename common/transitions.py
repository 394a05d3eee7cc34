"""What was decided is written: a batch in one statement, counted, and whoever is next is woken."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from common.core.lifecycle import NextStep, Transition
from common.ports import Notifier, Queue, wakes_of
from common.telemetry import count_transitions

Settled = Transition | NextStep


def write(queue: Queue, notifier: Notifier, batch: Sequence[Settled]) -> frozenset[UUID]:
    """Apply a batch; the ids of the tasks for which it held. StoreUnavailable.

    Wakes go out after the commit: whoever hears one finds the task.
    """
    if not batch:
        return frozenset()
    applied = queue.apply(batch)
    tell(notifier, [item for item in batch if isinstance(item, Transition) and item.task_id in applied])
    return applied


def tell(notifier: Notifier, moved: Sequence[Transition]) -> None:
    """Count what was written, and wake whoever is next. For what a statement of its own has written: a decision."""
    count_transitions(item.kind for item in moved)
    wakes = wakes_of([item.target for item in moved])
    if wakes:
        notifier.publish(wakes)
