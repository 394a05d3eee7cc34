"""Texts that may wait hours: claimed in packs, put in a provider's batch at half the price, collected when it ended.

A thread of its own does it: nobody who waits for an answer waits behind a batch that is being sent. Where the provider
has no batches nobody comes here, and such texts are read at once like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from common.analysis.cache.cacheable import may_share
from common.analysis.cache.key import normalised, shape
from common.analysis.cache.time_words import speaks_of_time
from common.claim_loop import Turn
from common.core.after_analysis import after_batch, after_failure, batch_room
from common.core.errors import Unavailable
from common.core.lifecycle import Transition, move
from common.core.policy import Policy
from common.core.task import Failure, State, Task
from common.ports import Analyzer, Clock, Forming, NotAnswered, Question, Workspace
from common.telemetry import log_stranger
from common.wiring import Container

from .analysis import ACTOR
from .collecting import Collector
from .parking import Parking, later

PACKS: Final = 50  # in one batch: five hundred tasks, and a request of about a megabyte
PATIENCE: Final = 150  # times as long as others such a text waits for company: five minutes, unless set otherwise
GAP: Final = 1.0  # seconds between two looks at most
# So long is a batch that nobody answered waited for; then the texts wait by name, and those without time go directly.
BLOCKED: Final = 300.0
STUCK: Final = NotAnswered(
    failure=Failure(code="batch_unanswered"), again_in=timedelta(minutes=10), waiting_for="provider"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EconomyMeans:
    """What is worked with."""

    parking: Parking
    collector: Collector
    analyzer: Analyzer
    workspace: Workspace
    clock: Clock
    worker: str
    lease: timedelta = timedelta(minutes=5)  # nobody is in haste, and the batch before may take its time to be sent
    linger: timedelta = timedelta(seconds=2)  # of texts that are read at once


class Economy:
    """Sends and collects batches."""

    def __init__(self, means: EconomyMeans, draining: Callable[[], bool] = lambda: False) -> None:
        """`draining`: whether to begin nothing more."""
        self._means = means
        self._draining = draining
        self._thread = ThreadPoolExecutor(1, "economy")
        self._work: Future[None] | None = None
        self._began = float("-inf")
        self._blocked_since: float | None = None

    # --- the thread -------------------------------------------------------------------------------------------------

    def turn(self) -> Turn:
        """Have it looked after, unless it is; returns at once. Called by one thread at a time."""
        if self._draining():
            return Turn()
        now = self._means.clock.monotonic()
        if (self._work is not None and not self._work.done()) or now < self._began + GAP:
            return Turn(wake_in_ms=round(GAP * 1000))
        self._began = now
        self._work = self._thread.submit(self._worked)
        return Turn()

    def stop(self) -> None:
        """Wait for what was begun."""
        self._thread.shutdown(wait=True)

    def _worked(self) -> None:
        try:
            while not self._draining() and self.run():
                pass
        except Unavailable:
            return  # the next wake tries again
        except Exception as exc:  # noqa: BLE001 - a thread that nobody waits for says what it died of
            log_stranger("economy", exc)

    # --- the work ---------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Collect what is due, send what is ready: how many tasks moved."""
        return self._means.collector.turn() + self._send()

    def _send(self) -> int:
        means, door = self._means, self._means.parking.batched.door
        if self._draining() or not door.is_ready:
            return 0
        stuck = self._is_stuck(free=door.is_free)
        if stuck is None:
            return 0
        forming = Forming(
            tasks=means.parking.batched.outbox.most, packs=PACKS, linger=PATIENCE * means.linger, economy=True
        )
        packs = means.parking.queue.claim_packs(means.worker, forming, means.lease)
        if stuck:
            return means.parking.write(later(task, STUCK) for pack in packs for task in pack)
        by_workspace: dict[UUID, list[Task]] = {}
        for pack in packs:
            by_workspace.setdefault(pack[0].workspace, []).extend(pack)
        return sum(self._begin(tasks, means.workspace.policy(w)) for w, tasks in by_workspace.items())

    def _is_stuck(self, *, free: bool) -> bool | None:
        """Whether an unanswered batch has been in the way for long; None: it is, and is waited for."""
        now = self._means.clock.monotonic()
        if free:
            self._blocked_since = None
            return False
        if self._blocked_since is None:
            self._blocked_since = now
        return True if now - self._blocked_since >= BLOCKED else None

    def _begin(self, tasks: Sequence[Task], policy: Policy) -> int:
        """What is known is decided at once, what has no time is read directly, the rest is sent."""
        means, collector = self._means, self._means.collector
        early = [change for task in tasks if (change := self._early(task)) is not None]
        moved = {change.task_id for change in early}
        questions = [Question(task=task, policy=policy) for task in tasks if task.id not in moved]
        fast = means.analyzer.recall(questions)
        left = [question for question, answer in zip(questions, fast, strict=True) if answer is None]
        slow = dict(zip([q.task.id for q in left], collector.known(left), strict=True))
        for question, answer in zip(questions, fast, strict=True):
            known = answer or slow[question.task.id]
            if known is not None:
                early.append(collector.follows(question.task, known, policy))
                moved.add(question.task.id)
        done = means.parking.write(early)
        return done + self._sent([question for question in questions if question.task.id not in moved])

    def _early(self, task: Task) -> Transition | None:
        if self._draining():
            return move(task, "released", State.RECEIVED, timedelta(0), ACTOR)
        if task.deadline_in is not None and task.deadline_in <= timedelta(0) and not task.cancel_requested:
            return after_failure(task, Failure(code="deadline_passed"), ACTOR)
        return after_batch(task, ACTOR) if task.cancel_requested or batch_room(task) is None else None

    def _sent(self, questions: Sequence[Question]) -> int:
        """Of those that ask for the same one is asked, and the others wait for its answer."""
        means = self._means
        remembers = means.parking.batched.memory is not None  # by which the others would get the answer
        like: dict[object, list[Question]] = {}
        for question in questions:
            like.setdefault(_alike(question) if remembers else question.task.id, []).append(question)
        firsts = {group[0].task.id: group for group in like.values()}
        left = means.parking.batched.outbox.first([group[0] for group in like.values()])
        while left:
            outgoing = left.pop(0)
            asked = outgoing.tasks
            tasks = [q.task for first, group in firsts.items() if first in asked for q in group]
            refused = means.parking.send(outgoing, tasks)
            if refused is None:
                continue
            if refused.fault.code == "over_budget" and len(outgoing.first) > 1:
                left[:0] = outgoing.halves()  # what is left of the month may hold some of it
            else:
                means.parking.write(later(task, refused.fault.as_not_answered()) for task in refused.tasks)
        return len(questions)


def _alike(question: Question) -> object:
    """Equal of questions that may share an answer, whenever it comes; of any other nothing is equal to it."""
    task, request = question.task, question.task.request
    text = request.text or ""
    if not may_share(question) or speaks_of_time(text):
        return task.id
    return request.origin, request.lang, str(shape(request.inputs)), normalised(text)


def economy(container: Container, draining: Callable[[], bool]) -> Economy | None:
    """A process's; None: the provider has no batches."""
    if container.batched is None:
        return None
    parking = Parking(
        queue=container.queue, batches=container.batches, batched=container.batched, notifier=container.notifier
    )
    means = EconomyMeans(
        parking=parking,
        collector=Collector(parking=parking, workspace=container.workspace, clock=container.clock),
        analyzer=container.analyzer,
        workspace=container.workspace,
        clock=container.clock,
        worker=container.worker,
        linger=timedelta(seconds=container.settings.pack_linger),
    )
    return Economy(means, draining)
