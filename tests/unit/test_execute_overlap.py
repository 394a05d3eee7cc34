"""A worker claims the next batch while it writes the last: no turn ends the loop before all is written."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

from common.core.after_step import Limits
from common.core.lifecycle import NextStep, Transition
from common.core.task import State, Task
from common.ports import Claim
from functions.execute.context import Means
from functions.execute.recorder import Recorder
from functions.execute.run import Runner
from tests.unit.desk import Desk, desk

BATCH = 4
PLAN = {"steps": [{"id": "a", "action": "value", "args": {"value": 1}}]}


class Watched:
    """A queue whose writes of full batches end only after another claim began."""

    def __init__(self, queue: Any) -> None:  # noqa: ANN401 - stands in front of any Queue
        """`queue`: what it stands in front of."""
        self._queue = queue
        self.claimed_beside = threading.Event()
        self.order: list[str] = []

    def claim(
        self, state: State, worker: str, limit: int, lease: timedelta, without: Collection[UUID] = ()
    ) -> list[Task]:
        """See Queue."""
        self.order.append("claim")
        if self.order.count("claim") > 1:
            self.claimed_beside.set()
        found: list[Task] = self._queue.claim(state, worker, limit, lease, without)
        return found

    def apply(self, batch: Sequence[Transition | NextStep]) -> frozenset[UUID]:
        """See Queue."""
        assert self.claimed_beside.wait(5), "it was written before the next claim began"
        applied: frozenset[UUID] = self._queue.apply(batch)
        self.order.append("written")
        return applied

    def apply_then_claim(
        self, batch: Sequence[Transition | NextStep], claim: Claim
    ) -> tuple[frozenset[UUID], list[Task]]:
        """See Queue."""
        self.order.append("claim")
        both: tuple[frozenset[UUID], list[Task]] = self._queue.apply_then_claim(batch, claim)
        return both

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as above
        """All else is the queue's."""
        return getattr(self._queue, name)


def runner(d: Desk, queue: Watched, claim_tasks: int = BATCH) -> tuple[Runner, Recorder]:
    """Over the desk's adapters."""
    box = d.container
    means = Means(
        queue=queue, workspace=box.workspace, catalogue=box.catalogue, http=box.http, clock=box.clock,
        model=box.analyzer, limits=Limits, worker="test", claim_tasks=claim_tasks,
    )  # fmt: skip
    recorder = Recorder(queue, box.notifier, 20.0, lambda: None)
    return Runner(means, ThreadPoolExecutor(1), recorder, lambda: None), recorder


def test_the_next_claim_begins_while_a_full_batch_is_written() -> None:
    """I3: what is written beside a claim is not claimed again, and the turn that finds nothing waits for it."""
    with desk() as d:
        body = [{"plan": PLAN}] * (2 * BATCH)
        ids = d.clients["analyze"].post("/api/v1/tasks", json=body, headers=d.token("operator")).json()["items"]
        queue = Watched(d.container.queue)
        worker, recorder = runner(d, queue)
        turns = [worker.turn() for _ in range(3)]
        recorder.stop(5)
        assert [turn.claimed for turn in turns] == [BATCH, BATCH, 0]
        assert [turn.done for turn in turns] == [0, BATCH, BATCH]
        assert queue.order.count("written") == 2
        states = {task.state for task in d.container.queue.get(d.workspace, [UUID(item["id"]) for item in ids])}
        assert states == {State.SUCCEEDED}


def test_what_comes_several_at_a_time_ends_in_the_commit_of_the_next_claim() -> None:
    """I3: a turn is a claim, and one more with each batch that was several; the last one finds nothing."""
    with desk() as d:
        body = [{"plan": PLAN}] * 5
        ids = d.clients["analyze"].post("/api/v1/tasks", json=body, headers=d.token("operator")).json()["items"]
        queue = Watched(d.container.queue)
        worker, recorder = runner(d, queue, claim_tasks=20)
        turn = worker.turn()
        recorder.stop(5)
        assert (turn.claimed, turn.done, turn.full) == (5, 5, False)
        assert queue.order == ["claim", "claim"]
        states = {task.state for task in d.container.queue.get(d.workspace, [UUID(item["id"]) for item in ids])}
        assert states == {State.SUCCEEDED}
