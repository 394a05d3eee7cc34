"""Who is asked, with which key; and the words of `claude.generate`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from common.actions.contract import Generated, NotDone, Unknown
from common.analysis.money.prices import Prices
from common.core.task import Failure, Json
from common.ports import Answer, NotAnswered, Usage
from tests.unit.provider import KEY, Provider, answers, failed, fault, message, proposal, question, step, task_of


def test_a_key_takes_effect_without_a_restart(tmp_path: Path) -> None:
    """Rules alone at first; then Claude; and when the key is taken away, a person again."""
    provider = Provider(answers(proposal()), key=None, folder=tmp_path)
    chain, asked = provider.chain, question("weigh the two offers")
    there = [chain.has_model]
    first = provider.read(asked)
    assert isinstance(first, NotAnswered)
    assert first.failure.code == "no_recipe"
    (tmp_path / "anthropic.key").write_text(f"{KEY}\n")
    there.append(chain.has_model)
    assert isinstance(provider.read(asked), Answer)
    (tmp_path / "anthropic.key").write_text("sk-ant-another-key\n")
    provider.read(asked)
    sent = [request.headers["authorization"] for request in provider.requests]
    assert sent == [f"Bearer {KEY}", "Bearer sk-ant-another-key"]
    (tmp_path / "anthropic.key").unlink()
    there.append(chain.has_model)
    assert isinstance(provider.read(asked), NotAnswered)
    assert there == [False, True, False]


@pytest.mark.parametrize(("before", "now"), [("rate_limited", "no_model"), ("no_recipe", "no_recipe")])
def test_a_text_that_waited_for_the_provider_waits_for_its_key_too(before: str, now: str) -> None:
    """A start without the key must not empty a backlog into people's inbox; what a person sent back is a person's."""
    provider = Provider(answers(proposal()), key=None)
    asked = question("weigh the two offers")
    waited = replace(asked, task=asked.task.model_copy(update={"failure": Failure(code=before)}))
    said = provider.read(waited)
    assert isinstance(said, NotAnswered)
    assert (said.failure.code, said.again_in is not None) == (now, now == "no_model")


@pytest.mark.parametrize("content", [b"", b"  \n", b"two words", "열쇠".encode(), b"\xff\xfe", b"k" * 600])
def test_what_cannot_be_a_key_is_none(tmp_path: Path, content: bytes) -> None:
    """It would only fail as a header."""
    (tmp_path / "anthropic.key").write_bytes(content)
    assert not Provider(answers(proposal()), key=None, folder=tmp_path).chain.has_model


def test_the_key_is_never_shown() -> None:
    """I11."""
    provider = Provider(answers(proposal()))
    assert KEY not in repr(provider.key)


def test_the_rules_come_first_and_cost_nothing() -> None:
    """A sentence that a recipe takes never reaches the model."""
    provider = Provider(answers(proposal()))
    answer = provider.read(question("fetch https://a.example/x"))
    assert isinstance(answer, Answer)
    assert (answer.source, provider.requests) == ("rules", [])


def test_a_plan_that_failed_is_thought_over_by_the_model() -> None:
    """The rules would only say the same again."""
    provider = Provider(answers(proposal(steps=step(id="again"))))
    answer = provider.read(failed("fetch https://a.example/x"))
    assert isinstance(answer, Answer)
    assert (answer.source, len(provider.requests)) == ("claude", 1)


def test_text_is_generated_through_the_same_door() -> None:
    """Booked like any other call."""
    provider = Provider(message("안녕하세요"))
    said = provider.chain.generate(task_of(), "greet", 100, None)
    assert said == Generated("안녕하세요")
    assert provider.spent == (Prices().cost("claude-haiku-5-5", Usage(input=400, output=200)), 0)
    assert provider.bodies[0]["max_tokens"] == 100
    assert "output_config" not in provider.bodies[0]


SCHEMA: dict[str, Json] = {
    "type": "object", "properties": {"n": {"type": "integer", "maximum": 5}}, "required": ["n"],
    "additionalProperties": False,
}  # fmt: skip


def test_generated_json_keeps_to_the_whole_schema() -> None:
    """The provider keeps to the form, not to bounds; what passes them is not done, and may be tried again."""
    assert Provider(message('{"n": 5}')).chain.generate(task_of(), "p", 100, SCHEMA) == Generated('{"n": 5}', {"n": 5})
    for wrong in ('{"n": 6}', '{"n": "5"}', "{}", "five"):
        said = Provider(message(wrong)).chain.generate(task_of(), "p", 100, SCHEMA)
        assert isinstance(said, NotDone)
        assert (said.code, said.transient) == ("unusable_answer", True)


@pytest.mark.parametrize(
    "schema", [{"properties": {}}, {"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": 7}]
)
def test_a_schema_that_cannot_be_used_is_never_sent(schema: dict[str, Json]) -> None:
    """It costs nothing and would never work."""
    provider = Provider(message("{}"))
    said = provider.chain.generate(task_of(), "p", 100, schema)
    assert isinstance(said, NotDone)
    assert (said.code, said.transient, provider.requests, provider.spent) == ("schema_unusable", False, [], (0, 0))


def test_a_hostile_pattern_is_not_run() -> None:
    """A schema's regular expression could stop the process; the provider keeps to it, or nobody does."""
    schema: dict[str, Json] = {"type": "string", "pattern": "^(a+)+$"}
    said = Provider(message(json.dumps("a" * 60 + "!"))).chain.generate(task_of(), "p", 100, schema)
    assert isinstance(said, Generated)


def test_a_generation_that_failed_says_whether_it_may_have_been_billed() -> None:
    """I6, I7: unknown if it may, else not done."""
    assert Provider(fault(500, "api_error")).chain.generate(task_of(), "p", 9, None) == Unknown(
        "provider_error", 500, "api_error, req_1"
    )
    limited = Provider(fault(429, "rate_limit_error")).chain.generate(task_of(), "p", 9, None)
    assert isinstance(limited, NotDone)
    assert (limited.code, limited.transient, limited.status) == ("rate_limited", True, 429)
    assert (limited.waiting_for, limited.again_in) == ("provider", timedelta(seconds=30))
    assert Provider(message("no", "refusal")).chain.generate(task_of(), "p", 9, None) == NotDone(
        "refused_by_model", transient=False
    )
    assert Provider(message("no"), key=None).chain.generate(task_of(), "p", 9, None) == NotDone(
        "no_model", transient=False
    )
