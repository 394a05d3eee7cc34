"""Texts that are known when they are handed in: decided by policy at once, in the statement that stores them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from common.core.task import Json, Risk, State, Step
from common.ports import Answer, NotAnswered, Question
from common.wiring import Container, Thinker
from tests.unit.desk import Desk, Reader, desk as make_desk

URL = "https://example.com/prices"


def fetches(**other: Any) -> Answer:  # noqa: ANN401 - any field of an answer
    """A remembered answer."""
    steps = (Step(id="page", action="http.request", args={"url": URL}),)
    return Answer(
        **{"kind": "fetch_page", "steps": steps, "source": "cached", "risk": Risk.LOW, "priority": 7, **other}
    )


@dataclass
class Remembers(Reader):
    """An analyzer that knows some texts without asking."""

    known: dict[str, Answer] = field(default_factory=dict)
    recalls: list[int] = field(default_factory=list)
    broken: bool = False

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """What it knows."""
        self.recalls.append(len(questions))
        if self.broken:
            raise RuntimeError("a plug-in")
        return [self.known.get(question.task.request.text or "") for question in questions]

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """Nobody is asked in these tests."""
        raise AssertionError(f"asked about {len(questions)}")


@pytest.fixture
def remembers() -> Remembers:
    """It knows one text."""
    return Remembers(known={f"look at {URL}": fetches()})


@pytest.fixture
def desk(remembers: Remembers) -> Iterator[Desk]:
    """The functions with it."""

    def thinks(_: Container) -> Thinker:
        return remembers

    with make_desk(thinks) as made:
        yield made


def submit(desk: Desk, *bodies: dict[str, Json], token: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """Hand in an array."""
    headers = token or desk.token("operator", str(len(desk.store.people)))
    answer = desk.clients["analyze"].post("/api/v1/tasks", json=list(bodies), headers=headers)
    assert answer.status_code == 201, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_known_text_is_queued_with_its_plan(desk: Desk, remembers: Remembers) -> None:
    """One look for the whole request; what is not known is received; typed plans are not looked up."""
    typed: dict[str, Json] = {"plan": {"steps": [{"id": "a", "action": "value", "args": {"value": 1}}]}}
    known: dict[str, Json] = {"text": f"look at {URL}"}
    tasks = submit(desk, known, {"text": "something else"}, typed, known)
    assert [task["state"] for task in tasks] == ["queued", "received", "queued", "queued"]
    assert [task["plan"] and task["plan"]["source"] for task in tasks] == ["cached", None, "typed", "cached"]
    assert (tasks[0]["kind"], tasks[0]["risk"]) == ("fetch_page", "low")
    assert remembers.recalls == [3]
    assert set(desk.told.kinds) == {"aiw.task.queued", "aiw.task.received"}
    stored = desk.store.tasks
    assert all(row.plan is not None and row.event_seq == 1 for row in stored.values() if row.state is State.QUEUED)


def test_the_answers_priority_counts_only_if_none_was_given(desk: Desk) -> None:
    """As the model's does in an analysis; an answer without one leaves the default."""
    known: dict[str, Json] = {"text": f"look at {URL}"}
    assert [task["priority"] for task in submit(desk, known, {**known, "priority": 2})] == [7, 2]


def test_policy_decides_over_every_known_text(desk: Desk, remembers: Remembers) -> None:
    """I5, I10: the floor is of these steps, in this requester's words; a claim can only raise it; a person is asked."""
    post = Step(id="send", action="http.request", args={"method": "POST", "url": URL, "json": {"a": 1}})
    remembers.known = {
        "send it": fetches(steps=(post,), risk=Risk.LOW),
        "look": fetches(),  # a host that the text does not name
        f"see {URL}": fetches(risk=Risk.CRITICAL),
    }
    sent, looked, seen = submit(desk, {"text": "send it"}, {"text": "look"}, {"text": f"see {URL}"})
    assert (sent["state"], sent["risk"]) == ("awaiting_approval", "high")
    assert (looked["state"], looked["risk"]) == ("awaiting_approval", "medium")
    assert (seen["state"], seen["risk"]) == ("awaiting_approval", "critical")
    digests = {approval.digest for rows in desk.store.approvals.values() for approval in rows}
    assert len(digests) == 3


def test_equal_texts_have_approvals_of_their_own(desk: Desk, remembers: Remembers) -> None:
    """I4: what is assessed once for a request is still approved task by task."""
    remembers.known = {"look": fetches()}
    tasks = submit(desk, {"text": "look"}, {"text": "look"})
    assert [task["state"] for task in tasks] == ["awaiting_approval"] * 2
    digests = [approval.digest for rows in desk.store.approvals.values() for approval in rows]
    assert len(set(digests)) == 2


def test_inputs_are_filled_in_for_each_task(desk: Desk, remembers: Remembers) -> None:
    """A plan's references are bound to each task's own inputs; one that lacks them is left to the analysis."""
    args: dict[str, Json] = {"value": {"$ref": "inputs.order"}}
    remembers.known = {"keep it": fetches(steps=(Step(id="a", action="value", args=args),))}
    bodies: list[dict[str, Json]] = [
        {"text": "keep it", "inputs": {"order": 1}},
        {"text": "keep it", "inputs": {"order": 2}},
        {"text": "keep it"},
    ]
    one, two, none = submit(desk, *bodies)
    assert [task["plan"]["steps"][0]["args"] for task in (one, two)] == [{"value": 1}, {"value": 2}]
    assert none["state"] == "received"


@pytest.mark.parametrize(
    "steps",
    [
        (Step(id="a", action="no.such", args={}),),
        (Step(id="a", action="function.invoke", args={"function": "unlisted"}),),
        (Step(id="a", action="http.request", args={"url": 1}),),
    ],
)
def test_a_plan_that_cannot_be_used_is_left_to_the_analysis(
    desk: Desk, remembers: Remembers, steps: tuple[Step, ...]
) -> None:
    """What is remembered is validated like any answer: unknown actions, refused targets, wrong arguments."""
    remembers.known = {"look": fetches(steps=steps)}
    [task] = submit(desk, {"text": "look"})
    assert (task["state"], task["plan"]) == ("received", None)


def test_tasks_are_taken_in_whatever_the_analyzer_does(desk: Desk, remembers: Remembers) -> None:
    """I1: an analyzer is a plug-in; intake does not depend on it."""
    remembers.broken = True
    assert [task["state"] for task in submit(desk, {"text": f"look at {URL}"})] == ["received"]


def test_a_fault_in_an_array_is_found_before_anything_is_looked_up(desk: Desk, remembers: Remembers) -> None:
    """All or nothing."""
    answer = desk.clients["analyze"].post(
        "/api/v1/tasks", json=[{"text": f"look at {URL}"}, {"text": 1}], headers=desk.token("operator")
    )
    assert answer.status_code == 422
    assert remembers.recalls == []
    assert desk.store.tasks == {}


def test_a_preview_shows_what_is_known_without_asking(desk: Desk) -> None:
    """The same plan, risk and next state as handing it in would have, for nothing."""
    answer = desk.clients["analyze"].post(
        "/api/v1/preview", json={"text": f"look at {URL}"}, headers=desk.token("operator")
    )
    body = answer.json()
    assert (body["kind"], body["risk"], body["next_state"]) == ("fetch_page", "low", "queued")
    assert body["plan"]["source"] == "cached"
    assert body["estimate_usd"] == "0.000000"
