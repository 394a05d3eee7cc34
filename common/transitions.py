"""What was decided is written: a batch in one statement, counted, and whoever is next is woken."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from common.core.lifecycle import NextStep, Transition
from common.core.task import Task
from common.ports import Changes, Claim, Notifier, wakes_of
from common.telemetry import count_transitions

Settled = Transition | NextStep


def write(queue: Changes, notifier: Notifier, batch: Sequence[Settled]) -> frozenset[UUID]:
    """Apply a batch; the ids of the tasks for which it held. StoreUnavailable.

    Wakes go out after the commit: whoever hears one finds the task.
    """
    if not batch:
        return frozenset()
    applied = queue.apply(batch)
    tell(notifier, _moved(batch, applied))
    return applied


def write_then_claim(
    queue: Changes, notifier: Notifier, batch: Sequence[Settled], claim: Claim
) -> tuple[frozenset[UUID], list[Task]]:
    """The same, with what is claimed in the same commit. StoreUnavailable."""
    applied, tasks = queue.apply_then_claim(batch, claim)
    tell(notifier, _moved(batch, applied))
    return applied, tasks


def tell(notifier: Notifier, moved: Sequence[Transition]) -> None:
    """Count what was written, and wake whoever is next. For what a statement of its own has written: a decision."""
    count_transitions(item.kind for item in moved)
    wakes = wakes_of([item.target for item in moved])
    if wakes:
        notifier.publish(wakes)


def _moved(batch: Sequence[Settled], applied: frozenset[UUID]) -> list[Transition]:
    return [item for item in batch if isinstance(item, Transition) and item.task_id in applied]
