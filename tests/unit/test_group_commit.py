"""Many requests, one INSERT, one wake; acknowledged means committed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import cast
from uuid import UUID, uuid4

import pytest

from common.core.errors import StoreUnavailable
from common.core.task import Request, State
from common.ports import Added, AddRefused, NewTask, Queue, Submission
from functions.analyze.group_commit import GroupCommit


def submission() -> Submission:
    """Of one task."""
    task = NewTask(
        id=uuid4(),
        workspace=UUID(int=1),
        request=Request(text="x", requested_by=UUID(int=2)),
        priority=5,
        target=State.RECEIVED,
        actor="person:2",
    )
    return Submission(token_sha256="t", tasks=(task,))


class Store:
    """Only `add`; waits until it is let go, so that requests gather."""

    def __init__(self, poison: Submission | None = None, *, down: bool = False) -> None:
        """`poison`: what it cannot write. `down`: it cannot write at all."""
        self.batches: list[int] = []
        self.go = threading.Event()
        self.poison, self.down = poison, down

    def add(self, batch: Sequence[Submission]) -> list[Added | AddRefused]:
        """See Queue."""
        self.go.wait(5)
        if self.down:
            raise StoreUnavailable
        if self.poison in batch:
            raise ValueError("a row that cannot be written")
        self.batches.append(len(batch))
        return [Added(tuple(t.id for t in s.tasks)) for s in batch]


class Wakes:
    """Counts what is published."""

    def __init__(self) -> None:
        """None yet."""
        self.published: list[str] = []

    def publish(self, kinds: Sequence[str]) -> None:
        """See Notifier."""
        self.published += kinds


async def gather(
    store: Store, wakes: Wakes, submissions: Sequence[Submission]
) -> list[Added | AddRefused | BaseException]:
    """Hand all in at once; the answers."""
    commit = GroupCommit(cast(Queue, store), wakes)
    adding = [asyncio.create_task(commit.add(s)) for s in submissions]
    await asyncio.sleep(0.05)
    store.go.set()
    answers = await asyncio.gather(*adding, return_exceptions=True)
    await asyncio.to_thread(commit.stop)
    return answers


def test_requests_that_arrive_together_share_a_commit_and_a_wake() -> None:
    """Twenty requests are at most two statements and as many wakes: the first alone, the rest while it was written."""
    store, wakes = Store(), Wakes()
    submissions = [submission() for _ in range(20)]
    answers = asyncio.run(gather(store, wakes, submissions))
    assert [a.ids for a in answers if isinstance(a, Added)] == [tuple(t.id for t in s.tasks) for s in submissions]
    assert len(store.batches) <= 2
    assert len(wakes.published) == len(store.batches)


def test_one_bad_row_fails_alone() -> None:
    """A submission that the database cannot hold does not fail its neighbours."""
    submissions = [submission() for _ in range(5)]
    answers = asyncio.run(gather(Store(submissions[3]), Wakes(), submissions))
    assert [isinstance(a, Added) for a in answers] == [True, True, True, False, True]


def test_nothing_is_acknowledged_while_the_store_is_away() -> None:
    """I1: without a commit there is no acknowledgement, and no wake either."""
    wakes = Wakes()
    answers = asyncio.run(gather(Store(down=True), wakes, [submission()]))
    assert isinstance(answers[0], StoreUnavailable)
    assert wakes.published == []


def test_a_client_that_left_does_not_stop_the_committer() -> None:
    """A cancelled request's answer is dropped; the next one is served."""

    async def scene() -> Added | AddRefused:
        store = Store()
        commit = GroupCommit(cast(Queue, store), Wakes())
        gone = asyncio.create_task(commit.add(submission()))
        await asyncio.sleep(0.02)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        store.go.set()
        answer = await commit.add(submission())
        await asyncio.to_thread(commit.stop)
        return answer

    assert isinstance(asyncio.run(scene()), Added)
