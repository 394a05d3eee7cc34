"""`value`, `wait`, `function.invoke`, `notify`, `claude.generate`: floors, effects, refusals, what is sent."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from common.actions.contract import Done, Generated, NotDone, Unknown
from common.core.errors import Invalid
from common.core.task import Effect, Json, Risk, Step
from common.ports import HttpFailure
from tests.unit.actions_stand_in import CATALOGUE, NOW, POLICY, StandIn, answered, asked, faults, read, step

RESULT: Json = {"$ref": "steps.page.json"}
INVOKE = step("function.invoke", {"function": "ocr", "json": {"page": 1}})
NOTIFY = step("notify", {"channel": "ops", "message": "done"})


def assessed(target: Step) -> tuple[Risk, list[str]]:
    """Risk and rules of a plan of this step alone."""
    verdict = CATALOGUE.assess([target], asked(), POLICY)
    return verdict.risk, [reason.rule for reason in verdict.reasons]


@pytest.mark.parametrize("args", [{"value": 1}, {"value": None}, {"value": RESULT}, {"value": {"a": [RESULT]}}])
def test_a_value_is_low_and_leaves_nothing(args: dict[str, Json]) -> None:
    """I5: any value, of a result or not, stays in the installation."""
    assert assessed(step("value", args)) == (Risk.LOW, [])
    assert CATALOGUE.effect(step("value", args), POLICY) is Effect.NONE


@pytest.mark.parametrize("value", [None, False, 0, "", [], {"a": 1.5}])
def test_a_value_is_its_result(value: Json) -> None:
    """Also null and what counts as false."""
    assert CATALOGUE.run(step("value", {"value": value}), StandIn()) == Done(value)


def test_a_wait_is_measured_from_the_clock_that_it_is_given() -> None:
    """Seconds are a duration, a time is measured from the database's clock, and a past one is no wait."""
    waits: list[tuple[dict[str, Json], timedelta]] = [
        ({"seconds": 90}, timedelta(seconds=90)),
        ({"seconds": 0.5}, timedelta(seconds=0.5)),
        ({"until": "2026-11-24T17:00:00+09:00"}, timedelta(hours=1)),
        ({"until": "2020-01-01T00:00:00Z"}, timedelta(0)),
    ]
    assert [CATALOGUE.wait_of(step("wait", args), NOW) for args, _ in waits] == [wait for _, wait in waits]
    assert CATALOGUE.wait_of(NOTIFY, NOW) is None
    assert CATALOGUE.effect(step("wait", {"seconds": 1}), POLICY) is Effect.NONE
    assert CATALOGUE.run(step("wait", {"seconds": 1}), StandIn()) == Done()


@pytest.mark.parametrize(
    ("args", "pointer"),
    [
        ({}, ""), ({"seconds": 1, "until": "2026-11-24T17:00:00Z"}, ""), ({"seconds": -1}, "/seconds"),
        ({"seconds": "1"}, "/seconds"),
        ({"seconds": 1e9}, "/seconds"), ({"seconds": {"$ref": "steps.b"}}, "/seconds"),
        ({"until": "2026-11-24T17:00:00"}, "/until"),
        ({"until": "tomorrow"}, "/until"),
    ],
)  # fmt: skip
def test_a_wait_that_makes_no_sense_is_pointed_at(args: dict[str, Json], pointer: str) -> None:
    """Negative, endless, doubled, without a zone, or decided by a result: all refused at intake."""
    errors = faults(step("value", {"value": 1}, "b"), step("wait", args))
    assert [error.pointer for error in errors] == [f"#/plan/steps/1/args{pointer}"]


def test_a_listed_function_is_medium_and_an_unlisted_one_refused() -> None:
    """I5: somebody listed it, nobody knows here what it does; what nobody listed no approval allows."""
    assert assessed(INVOKE) == (Risk.MEDIUM, ["function_invoke"])
    with pytest.raises(Invalid) as caught:
        CATALOGUE.refuse([step("value", {"value": 1}), step("function.invoke", {"function": "shell"})], POLICY)
    assert [error.pointer for error in caught.value.errors] == ["#/plan/steps/1/args/function"]
    assert assessed(step("function.invoke", {"function": "shell"}))[0] is Risk.HIGH


def test_a_functions_effect_is_its_settings_business() -> None:
    """I6: only a function that is listed as idempotent is called again, and under the key."""
    assert CATALOGUE.effect(INVOKE, POLICY) is Effect.NON_IDEMPOTENT
    index = step("function.invoke", {"function": "index"})
    assert CATALOGUE.effect(index, POLICY) is Effect.IDEMPOTENT
    for target, key in ((INVOKE, None), (index, "key-1")):
        ctx = StandIn(HttpFailure("timeout", sent=True))
        assert isinstance(CATALOGUE.run(target, ctx), Unknown)
        assert ctx.sent[0].headers.get("Idempotency-Key") == key


def test_a_function_is_called_where_the_settings_say() -> None:
    """The plan names it; its address, which may be private, is the admin's."""
    ctx = StandIn(answered(200, b'{"text": "hi"}'))
    outcome = CATALOGUE.run(INVOKE, ctx)
    [sent] = ctx.sent
    assert (sent.method, sent.url, sent.body, sent.from_settings) == (
        "POST",
        "http://127.0.0.1:9200/ocr",
        b'{"page":1}',
        True,
    )
    assert isinstance(outcome, Done)
    assert outcome.output == {"status": 200, "headers": {"content-type": "application/json"}, "json": {"text": "hi"}}


def test_a_notice_is_low_and_high_with_result_data() -> None:
    """I5: what came from results may be anything, and a channel is outside."""
    assert assessed(NOTIFY) == (Risk.LOW, [])
    for args in ({"message": RESULT}, {"message": ["price ", RESULT]}, {"message": "m", "title": RESULT}):
        assert assessed(step("notify", {"channel": "ops", **args})) == (Risk.HIGH, ["notify_result"])
    with pytest.raises(Invalid):
        CATALOGUE.refuse([step("notify", {"channel": "all", "message": "m"})], POLICY)


def test_a_notice_is_sent_once_and_never_blindly_again() -> None:
    """I6: a second message is a second message: of an unknown one a person says whether it arrived."""
    assert CATALOGUE.effect(NOTIFY, POLICY) is Effect.NON_IDEMPOTENT
    assert isinstance(CATALOGUE.run(NOTIFY, StandIn(HttpFailure("reset", sent=True))), Unknown)
    ctx = StandIn(answered(200, b"ok", "text/plain"))
    outcome = CATALOGUE.run(
        step("notify", {"channel": "ops", "title": "가격", "message": ["now ", 39_000, {"a": True}]}), ctx
    )
    assert outcome == Done({"channel": "ops", "delivered": True})
    assert json.loads(ctx.sent[0].body or b"") == {"text": '가격\nnow 39000{"a": true}', "title": "가격"}
    assert ctx.sent[0].url == POLICY.channels["ops"]
    assert ctx.sent[0].from_settings


@pytest.mark.parametrize("message", [None, "", []])
def test_an_empty_notice_is_refused(message: Json) -> None:
    """Nobody wants to be told nothing."""
    assert [error.pointer for error in faults(step("notify", {"channel": "ops", "message": message}))] == [
        "#/plan/steps/0/args/message"
    ]


def test_what_the_model_writes_is_low_and_may_be_asked_again() -> None:
    """I5, I7: nothing but a question leaves; its price is the budget's business."""
    prompt = step("claude.generate", {"prompt": ["Sum up: ", RESULT]})
    assert assessed(prompt) == (Risk.LOW, [])
    assert CATALOGUE.effect(prompt, POLICY) is Effect.IDEMPOTENT
    assert CATALOGUE.timeout(prompt) == timedelta(seconds=120)


def test_what_the_model_wrote_is_the_result_in_the_shape_asked_for() -> None:
    """Text unless a schema is given, then JSON; a door that did not open is passed on as it is."""
    ask = step("claude.generate", {"prompt": ["a", 1]})
    shaped = step("claude.generate", {"prompt": "a", "schema": {"type": "object"}, "max_tokens": 10})
    ctx = StandIn(written=Generated("hello", {"x": 1}))
    assert CATALOGUE.run(ask, ctx) == Done({"text": "hello"})
    assert CATALOGUE.run(shaped, ctx) == Done({"json": {"x": 1}})
    assert ctx.prompts == ["a1", "a"]
    shut = NotDone("over_budget", transient=True)
    assert CATALOGUE.run(ask, StandIn(written=shut)) == shut


@pytest.mark.parametrize(
    ("args", "pointer"),
    [
        ({"prompt": ""}, "prompt"), ({"prompt": "a", "max_tokens": 8001}, "max_tokens"),
        ({"prompt": "a", "max_tokens": 1.5}, "max_tokens"),
        ({"prompt": "a", "schema": {"$ref": "#/$defs/a"}}, "schema"), ({"prompt": "a", "model": "opus"}, "model"),
    ],
)  # fmt: skip
def test_a_question_out_of_bounds_is_pointed_at(args: dict[str, Json], pointer: str) -> None:
    """No endless answer, no model of one's own choice, no reference in the shape."""
    assert [error.pointer for error in faults(step("claude.generate", args))] == [f"#/plan/steps/0/args/{pointer}"]


def test_the_time_an_attempt_may_take_is_the_plans_or_the_default() -> None:
    """30 s, unless the plan says otherwise."""
    assert CATALOGUE.timeout(NOTIFY) == timedelta(seconds=30)
    assert CATALOGUE.timeout(INVOKE) == timedelta(seconds=30)
    assert CATALOGUE.timeout(step("http.request", {"url": "https://e.org", "timeout": 2.5})) == timedelta(seconds=2.5)


def test_inputs_reach_every_argument_also_those_that_decide() -> None:
    """`inputs` and `now` are known before anybody approves, so they may name a function or a channel."""
    [stored] = read(
        step("notify", {"channel": {"$ref": "inputs.to"}, "message": {"$ref": "now"}}), inputs={"to": "ops"}
    )
    assert stored.args == {"channel": "ops", "message": "2026-11-24T07:00:00Z"}
