"""Batches that were sent: looked at when they are due, their answers decided on by policy, their cost booked.

Everything may be done again by anybody: tasks first, each guarded by being parked still (I3), and the money last and
once (I7). Whoever dies in between leaves a batch that is not booked, and the next one finds nothing left to move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from common.analysis.batches.door import NOT_MADE, PENDING
from common.analysis.batches.search import Gone, Lost
from common.analysis.batches.verdicts import Again, Collected, Redo, Verdict
from common.analysis.cache.time_words import speaks_of_time
from common.core.after_analysis import after_batch, after_failure, batch_room
from common.core.errors import Unavailable
from common.core.lifecycle import Transition
from common.core.policy import Policy
from common.core.task import Failure, Task
from common.ports import Answer, Batch, Clock, NotAnswered, Question, Workspace
from common.telemetry import log_stranger

from .analysis import ACTOR, decided
from .parking import Parking, later

LOOKED_AT: Final = 20  # batches in one go: what a minute holds, at a few seconds each
GONE: Final = Failure(code="batch_gone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Collects batches."""

    parking: Parking
    workspace: Workspace
    clock: Clock

    def turn(self) -> int:
        """Look at the batches that are due; how many tasks moved. One that cannot be read holds up no other."""
        moved = 0
        for batch in self.parking.batches.due(LOOKED_AT):
            try:
                moved += self.collect(batch)
            except Unavailable:
                raise
            except Exception as exc:  # noqa: BLE001 - it is logged, and looked at again in a minute
                log_stranger("batch", exc)
        return moved

    def collect(self, batch: Batch) -> int:
        """Look at one; how many tasks moved."""
        parking, batched = self.parking, self.parking.batched
        waiting = {task.id: task for task in parking.batches.parked(batch.of)}
        found = batched.door.look(batch, wanted=bool(waiting))
        if found is None:
            return 0
        if isinstance(found, Lost):
            return parking.write(later(task, NOT_MADE.as_not_answered()) for task in waiting.values())
        if isinstance(found, Gone):
            return parking.write(after_batch(task, ACTOR, GONE) for task in waiting.values())
        policy = self.workspace.policy(batch.workspace)
        members = {member.task: None for asked in batch.asked for member in asked.members}
        tasks = {task.id: task for task in parking.queue.get(batch.workspace, [*members])} | waiting
        got = batched.verdicts.of(batch, found, tasks, policy)
        if batched.may_learn(batch):
            self._learn(got.said, waiting, policy)
        moved = self._apply(got, waiting, policy)
        if moved is None:
            return 0
        batched.door.book(batch, got.bill, got.checked)
        return moved

    def _apply(self, got: Collected, waiting: Mapping[UUID, Task], policy: Policy) -> int | None:
        """How many tasks moved; None: some wait for a second batch, and this one is looked at again.

        What was cancelled, rescued or read otherwise meanwhile does not wait any more, and is left alone.
        """
        said = {task: got.said[task] for task in waiting if task in got.said}
        like = [task for task in waiting.values() if task.id not in said]
        known = self.known([Question(task=task, policy=policy) for task in like])
        left = [task for task, answer in zip(like, known, strict=True) if answer is None]
        verdicts: dict[UUID, Verdict] = dict(said)
        verdicts |= {task.id: answer for task, answer in zip(like, known, strict=True) if answer is not None}
        unsure = {task: one for task, one in said.items() if isinstance(one, Again) and batch_room(waiting[task])}
        pending = False
        if unsure:
            pending, left = not self._pass_on(unsure, left, waiting, policy), []
        verdicts |= {task.id: Redo(Failure(code="batch_missing")) for task in left}
        moves = [self.follows(waiting[t], one, policy) for t, one in verdicts.items() if t not in unsure]
        moved = self.parking.write(moves)
        return None if pending else moved + len(unsure)

    def known(self, questions: Sequence[Question]) -> list[Answer | None]:
        """What is remembered of tasks of one workspace, in order."""
        memory = self.parking.batched.memory
        return memory.known(questions) if memory is not None and questions else [None] * len(questions)

    def _learn(self, said: Mapping[UUID, Verdict], waiting: Mapping[UUID, Task], policy: Policy) -> None:
        """Remember what will mean the same at any time: it was asked hours ago."""
        answers = [
            (Question(task=waiting[task], policy=policy), one)
            for task, one in said.items()
            if task in waiting and isinstance(one, Answer) and not speaks_of_time(waiting[task].request.text or "")
        ]
        memory = self.parking.batched.memory
        if answers and memory is not None:
            memory.learn([question for question, _ in answers], [answer for _, answer in answers])

    def follows(self, task: Task, verdict: Verdict, policy: Policy) -> Transition:
        """What becomes of a task: policy decides, whatever was said of it (I5)."""
        if task.cancel_requested:
            return after_batch(task, ACTOR)
        if task.deadline_in is not None and task.deadline_in <= timedelta(0):
            return after_failure(task, Failure(code="deadline_passed"), ACTOR)
        match verdict:
            case Answer():
                now = datetime.fromtimestamp(self.clock.unix_ms() / 1000, UTC)
                return decided(task, verdict, policy, self.parking.batched.catalogue, now)
            case NotAnswered():
                return after_failure(task, verdict.failure, ACTOR)
            case Redo():
                return after_batch(task, ACTOR, verdict.failure)
            case Again():  # there is no time for a second batch
                return after_batch(task, ACTOR)

    def _pass_on(
        self, unsure: Mapping[UUID, Again], like: Sequence[Task], waiting: Mapping[UUID, Task], policy: Policy
    ) -> bool:
        """What the strong model is to read goes into a batch of its own, with those that wait for an equal one.

        False: it cannot be opened yet. If it cannot be had at all, what the small model said is used: it is paid for,
        and a person looks at it.
        """
        batched = self.parking.batched
        asked = [(Question(task=waiting[task], policy=policy), again) for task, again in unsure.items()]
        refused = self.parking.send(batched.outbox.again(asked), [*(waiting[task] for task in unsure), *like])
        if refused is None:
            return True
        if refused.fault == PENDING:
            return False
        without = refused.fault.as_not_answered()
        moves = []
        for task in refused.tasks:
            again = unsure.get(task.id)
            verdict = Redo(without.failure) if again is None else batched.verdicts.without_strong(again, without)
            moves.append(self.follows(task, verdict, policy))
        self.parking.write(moves)
        return True
