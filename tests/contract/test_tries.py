"""Budget: what became of the calls about a task, by which a text that the provider fails on is told from an outage."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from common.core.unanswered import Tried
from common.ports import Bill, CallRequest, Usage
from tests.contract.ground import Ground


def begun(ground: Ground, *tasks: UUID, model: str = "small", purpose: str = "analysis") -> UUID:
    """A call about tasks, under way."""
    request = CallRequest(
        workspace=ground.home, purpose=purpose, model=model, prompt_version="1", reserve=1000, task_ids=tasks,
        tasks=len(tasks),
    )  # fmt: skip
    made = ground.budget.reserve(request)
    assert isinstance(made, UUID)
    return made


def failed(ground: Ground, *tasks: UUID, model: str = "small", purpose: str = "analysis") -> None:
    """A call that brought no answer."""
    ground.budget.assume_billed(begun(ground, *tasks, model=model, purpose=purpose))


def answered(ground: Ground, *tasks: UUID, model: str = "small", purpose: str = "analysis") -> None:
    """A call that did."""
    ground.budget.settle(begun(ground, *tasks, model=model, purpose=purpose), Bill(usage=Usage(), cost=1))


def test_a_tasks_calls_are_told_oldest_first(ground: Ground) -> None:
    """With others or alone, answered or not, and whether others of the same model were answered since the last."""
    one, other, third = (ground.submit().id for _ in range(3))
    failed(ground, one, other)
    answered(ground, third, model="strong")
    failed(ground, one)
    answered(ground, third)
    failed(ground, one)
    answered(ground, one, other)
    failed(ground, one)
    tries = ground.budget.tries([one, other, third])
    assert tries[one] == [
        Tried(answered=False, alone=False, others=False),
        Tried(answered=False, alone=True, others=False),  # only another model was answered
        Tried(answered=False, alone=True, others=True),
        Tried(answered=True, alone=False, others=False),
        Tried(answered=False, alone=True, others=True),  # by its own answer
    ]
    assert tries[other] == [
        Tried(answered=False, alone=False, others=False),
        Tried(answered=True, alone=False, others=True),
    ]
    assert [tried.answered for tried in tries[third]] == [True, True]


def test_what_is_under_way_or_given_back_or_written_tells_nothing(ground: Ground) -> None:
    """Nor does a task of which nobody was ever asked."""
    one, other = ground.submit().id, ground.submit().id
    begun(ground, one)
    ground.budget.void(begun(ground, one))
    failed(ground, one, purpose="generate")
    assert ground.budget.tries([one, other]) == {}
    assert ground.budget.tries([]) == {}


def test_what_nobody_believes_is_found_by_its_booking(ground: Ground) -> None:
    """In full, and without tokens; of the last so long, by workspace."""
    for bill in (Bill(usage=Usage(), cost=1000), Bill(usage=Usage(input=1), cost=1000), Bill(usage=Usage(), cost=1)):
        ground.budget.settle(begun(ground), bill)
    ground.budget.assume_billed(begun(ground))
    [one] = ground.budget.unbelieved(timedelta(hours=1))
    assert (one.workspace, one.calls, one.lang) == (ground.home, 1, "en")
    assert ground.budget.unbelieved(timedelta(0)) == []
