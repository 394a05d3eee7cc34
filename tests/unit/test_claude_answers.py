"""What is made of an answer: read with distrust, whatever it says."""

from __future__ import annotations

import json

import pytest

from common.analysis.money.prices import Prices
from common.core.task import Json, Risk, Step
from common.ports import Answer, NotAnswered, Usage
from tests.unit.provider import KEY, POLICY, Provider, answers, proposal, question, step


def test_an_answer_becomes_a_plan() -> None:
    """With kind, risk, priority, summary and cost; usage is booked before anything is validated."""
    provider = Provider(
        answers(proposal(risk="medium", priority=8), cache_read_input_tokens=2000, cache_creation_input_tokens=100)
    )
    answer = provider.read(question())
    assert isinstance(answer, Answer)
    assert answer.steps == (Step(id="page", action="http.request", args={"url": "https://a.example/x"}),)
    assert (answer.kind, answer.source, answer.risk, answer.priority) == ("fetch_page", "claude", Risk.MEDIUM, 8)
    expected = Prices().cost("claude-haiku-5-5", Usage(input=400, output=200, cache_read=2000, cache_write=100))
    assert (answer.cost, provider.spent) == (expected, (expected, 0))


@pytest.mark.parametrize(
    ("changes", "risk"),
    [
        ({"risk": "critical"}, Risk.CRITICAL),
        ({"risk": "none"}, Risk.HIGH),
        ({"risk": None}, Risk.HIGH),
        ({"risk": ["low"]}, Risk.HIGH),
        ({"risk": "LOW "}, Risk.HIGH),
    ],
)
def test_a_risk_that_cannot_be_read_is_high(changes: dict[str, Json], risk: Risk) -> None:
    """I5."""
    answer = Provider(answers(proposal(**changes))).read(question())
    assert isinstance(answer, Answer)
    assert answer.risk is risk


def test_a_missing_risk_is_high() -> None:
    """I5."""
    said = json.loads(proposal())
    del said["risk"]
    answer = Provider(answers(json.dumps(said))).read(question())
    assert isinstance(answer, Answer)
    assert answer.risk is Risk.HIGH


def test_what_decides_nothing_is_mended() -> None:
    """An odd kind, priority or summary costs nobody a plan."""
    said = proposal(kind="<b>Kind</b>", priority=99, summary="a\u202eb\x00" + "c" * 1000, confidence="very")
    answer = Provider(answers(said)).read(question())
    assert isinstance(answer, Answer)
    assert (answer.kind, answer.priority) == ("other", None)
    assert answer.summary.startswith("a b c")
    assert len(answer.summary) <= 500


def test_no_steps_means_a_person_and_says_why() -> None:
    """A model may leave a task to people."""
    said = Provider(answers(proposal(steps=[], summary="회식 장소는 사람이 정해야 합니다."))).read(question())
    assert isinstance(said, NotAnswered)
    assert (said.failure.code, said.failure.detail) == ("needs_person", "회식 장소는 사람이 정해야 합니다.")
    assert said.again_in is None
    assert said.cost > 0


HOSTILE = {
    "no JSON": "I would rather chat.",
    "nothing": "",
    "a list": "[]",
    "two megabytes": json.dumps({"kind": "x", "summary": "y" * 2_000_000, "steps": []}),
    "too deep": '{"steps": ' + "[" * 100_000,
    "a field that grants": proposal(approved=True),
    "hosts to trust": proposal(hosts=["evil.example"]),
    "a floor": proposal(steps=step(floor="low")),
    "an unknown action": proposal(steps=step(action="shell.run", args='{"argv": ["rm"]}')),
    "arguments that do not exist": proposal(steps=step(args='{"value": 1, "approve": true}')),
    "arguments that are no object": proposal(steps=step(args="[1]")),
    "arguments that are no JSON": proposal(steps=step(args="{value: 1}")),
    "NaN": proposal(steps=step(args='{"value": NaN}')),
    "a key twice": proposal(steps=step(args='{"value": 1, "value": 2}')),
    "51 steps": proposal(steps=[{"id": f"s{n}", "action": "value", "args": '{"value": 1}'} for n in range(51)]),
    "the same id twice": proposal(steps=[*step(), *step()]),
    "a bad id": proposal(steps=step(id="../etc")),
    "a reference to the future": proposal(steps=step(args='{"value": {"$ref": "steps.later.json"}}')),
    "a reference in a control field": proposal(
        steps=[*step(), {"id": "t", "action": "http.request", "args": '{"url": {"$ref": "steps.s"}}'}]
    ),
    "an input that is not there": proposal(steps=step(args='{"value": {"$ref": "inputs.card"}}')),
    "our own key": proposal(steps=step(args=json.dumps({"value": KEY}))),
    "NUL": proposal(steps=step(args='{"value": "a\\u0000b"}')),
}  # fmt: skip


@pytest.mark.parametrize("said", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_answer_goes_to_a_person(said: str) -> None:
    """The answer has no say in hosts, floors or approvals; it is paid for, and nothing of it runs."""
    provider = Provider(answers(said))
    answer = provider.read(question("do it"))
    assert isinstance(answer, NotAnswered)
    assert (answer.failure.code, answer.again_in) == ("unusable_answer", None)
    assert KEY not in str(answer)
    assert len(answer.failure.detail or "") <= 500
    assert provider.spent == (answer.cost, 0)
    assert answer.cost > 0


def test_always_low_does_not_lower_a_floor() -> None:
    """I5: a claim can only raise what policy computes from the steps."""
    post = '{"method": "POST", "url": "https://evil.example/pay", "json": {"amount": 39000}}'
    provider = Provider(answers(proposal(risk="low", steps=step(action="http.request", args=post))))
    asked = question("anything")
    answer = provider.read(asked)
    assert isinstance(answer, Answer)
    verdict = provider.catalogue.assess(answer.steps, asked.task.request, POLICY, claimed=answer.risk)
    assert (verdict.risk, verdict.needs_approval) == (Risk.HIGH, True)


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        ("refusal", "refused_by_model"),
        ("max_tokens", "answer_truncated"),
        ("model_context_window_exceeded", "answer_truncated"),
        ("tool_use", "unusable_answer"),
        ("brand_new", "unusable_answer"),
    ],
)
def test_an_answer_that_did_not_end_is_paid_and_goes_to_a_person(stop: str, code: str) -> None:
    """Half a plan is no plan, and of what was refused nothing counts, even if it happens to be JSON."""
    said = proposal()[:-20] if code == "answer_truncated" else proposal()
    provider = Provider(answers(said, stop=stop))
    answer = provider.read(question())
    assert isinstance(answer, NotAnswered)
    assert (answer.failure.code, answer.again_in) == (code, None)
    assert provider.spent == (answer.cost, 0)
