"""Short ways to a batch on record, and to a task that is parked on it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from common.core.after_analysis import parked
from common.core.task import Risk, State, Task
from common.ports import (
    Asked,
    Batch,
    CallRequest,
    Member,
)  # fmt: skip
from tests.contract.ground import Ground

CENT = 10_000_000
KEY = "0123456789abcdef"
MINUTE = timedelta(minutes=1)


def request(ground: Ground, amount: int = CENT, tasks: tuple[UUID, ...] = ()) -> CallRequest:
    """A batch about to be sent."""
    return CallRequest(
        workspace=ground.home, purpose="analysis", model="small", prompt_version="1", reserve=amount,
        task_ids=tasks, tasks=len(tasks), deadline=timedelta(days=7),
    )  # fmt: skip


def opened(ground: Ground, *asked: Asked, key: str = KEY, amount: int = CENT) -> UUID:
    """A batch on record."""
    made = ground.batches.open(
        request(ground, amount, tuple(m.task for a in asked if not a.check for m in a.members)), key, asked
    )
    assert isinstance(made, UUID), made
    return made


def asking(*tasks: UUID, most: int = CENT) -> Asked:
    """One request."""
    members = (Member(task, f"n{number}", Risk.MEDIUM if number else None, number) for number, task in enumerate(tasks))
    return Asked(tuple(members), most)


def only(found: list[Batch]) -> Batch:
    """The one that is due."""
    [batch] = found
    return batch


def waiting(ground: Ground, batch: UUID) -> Task:
    """A task that is parked on it."""
    held = ground.claimed(ground.submit(State.RECEIVED, economy=True))
    assert ground.apply(parked(held, batch, "analyze"))
    return ground.get(held.id)


def seen(ground: Ground) -> tuple[int, int]:
    """Spent and reserved this month."""
    month = ground.budget.month(ground.home)
    return month.spent, month.reserved
