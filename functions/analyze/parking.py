"""Putting tasks in a provider's batch: on record, parked, sent, in this order.

Whoever dies after the first leaves a batch that was never made, after the second tasks that wait for it: both are found
out when it is looked for (functions/analyze/collecting.py). Nothing is sent that is not on record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from common.analysis.batches.batched import Batched
from common.analysis.batches.outgoing import Outgoing
from common.analysis.call import Fault
from common.core.after_analysis import after_batch, after_failure, batch_room, parked
from common.core.lifecycle import Transition
from common.core.task import Task
from common.ports import Batches, NotAnswered, Notifier, Queue
from common.transitions import write

from .analysis import ACTOR

WRITTEN: Final = 100  # transitions in one statement


@dataclass(frozen=True, slots=True)
class NotSent:
    """Certainly nothing was made. The tasks as they are now, to be moved on."""

    fault: Fault
    tasks: Sequence[Task]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parking:
    """Parks tasks, and writes what becomes of them."""

    queue: Queue
    batches: Batches
    batched: Batched
    notifier: Notifier

    def send(self, outgoing: Outgoing, tasks: Sequence[Task]) -> NotSent | None:
        """Send a batch for tasks that are under our lease, or parked on another. None: they wait for it now.

        `tasks` may hold more than it asks about: those wait for what others are answered. What there is no money left
        to check is read all the same.
        """
        door, requests = self.batched.door, outgoing.requests
        made = door.open(requests)
        if isinstance(made, Fault) and made.code == "over_budget" and outgoing.first != requests:
            requests = outgoing.first
            made = door.open(requests)
        if isinstance(made, Fault):
            return NotSent(made, tasks)
        if not self.write(parked(task, made, ACTOR) for task in tasks):
            door.give_up(made)
            return None
        fault = door.send(made, requests)
        return None if fault is None else NotSent(fault, self.batches.parked(made))

    def write(self, moves: Iterable[Transition]) -> int:
        """Apply transitions; how many held."""
        left, done = list(moves), 0
        while left:
            batch, left = left[:WRITTEN], left[WRITTEN:]
            done += len(write(self.queue, self.notifier, batch))
        return done


def later(task: Task, said: NotAnswered) -> Transition:
    """No batch could be had for it: tried again in a while, by name, if there is time; else it is read directly."""
    room = batch_room(task)
    if task.cancel_requested or said.again_in is None or room is None or said.again_in >= room:
        return after_batch(task, ACTOR, said.failure)
    return after_failure(task, said.failure, ACTOR, said.again_in, said.waiting_for)
