"""What is told of a value that does not fit is in our words, in both languages, with a mend where one is known."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from common import api
from common.actions.claude_generate import ClaudeGenerateArgs
from common.actions.function_invoke import FunctionInvokeArgs
from common.actions.http_request import HttpRequestArgs
from common.actions.notify import NotifyArgs
from common.actions.value import ValueArgs
from common.actions.wait import WaitArgs
from common.core.model_faults import worded
from common.core.task import Json
from common.i18n.details import said

ODD: tuple[Json, ...] = (
    None,
    True,
    -1,
    1.5,
    1e300,
    "",
    "A\n\x1b",
    "x" * 50_000,
    [],
    [[]] * 1000,
    {},
    {"x": 1},
    "2030-01-01T00:00:00",
)
MODELS = (
    api.TaskRequest, api.PlanStep, api.PlanRequest, api.WaitQuery, api.TaskQuery, api.Decision, api.Resolution,
    api.GivenOutcome, api.PauseRequest, api.NewPerson, api.NewToken, api.NewSignInCode, ClaudeGenerateArgs,
    FunctionInvokeArgs, HttpRequestArgs, NotifyArgs, ValueArgs, WaitArgs,
)  # fmt: skip
FOREIGN = (
    "Input",
    "dictionary",
    "instance",
    "validation",
    "String",
    "List",
    "datetime",
    "pattern",
    "Request",
    "Value ",
)


def faults() -> list[ErrorDetails]:
    """Of every model: no object at all, and every field with every odd value."""
    found: list[ErrorDetails] = []
    for model in MODELS:
        bodies: list[object] = [*ODD, *({name: odd} for name in model.model_fields for odd in ODD)]
        for body in bodies:
            try:
                model.model_validate(body, from_attributes=True)  # as FastAPI does
            except ValidationError as exc:
                found += exc.errors(include_url=False, include_input=False)
    return found


def test_no_fault_is_told_in_the_words_of_a_library() -> None:
    """Whatever does not fit: no class, no step of pydantic's, no capital for a beginning."""
    told = {worded(error) for error in faults()}
    assert len(told) > 20
    assert [words for words in told if any(word in f"{words}" for word in FOREIGN)] == []
    assert [detail for detail, _ in told if not detail or "{" in detail or detail[0].isupper()] == []


def test_what_a_model_says_by_itself_has_its_korean() -> None:
    """Of pydantic's own faults every detail and every hint is found in the other language."""
    told = {words for error in faults() if error["type"] != "value_error" for words in worded(error)} - {""}
    assert {words for words in told if said(words, "ko") == words} == set()


@pytest.mark.parametrize(
    ("kind", "value", "detail"),
    [
        (api.TaskRequest, 1, "must be an object"),
        (api.PlanRequest, {"steps": []}, "must not be empty"),
        (api.PlanRequest, {"steps": [{"id": "a", "action": "b"}] * 51}, "must have at most 50 items, not 51"),
        (api.WaitQuery, {"wait": 99}, "must be at most 60"),
        (api.NewPerson, {"name": "Ada\nadmin", "role": "viewer"}, "must be one line without control characters"),
        (api.NewPerson, {"name": "Ada\x1b[2J", "role": "viewer"}, "must be one line without control characters"),
        (api.NewPerson, {"name": "Ada\u2028", "role": "viewer"}, None),  # at an end it is blank, and stripped
        (api.NewPerson, {"name": "회식 담당 Ada-1 (Ops)", "role": "viewer"}, None),
    ],
)
def test_a_fault_is_told_in_our_words(kind: type[api.Public], value: Json, detail: str | None) -> None:
    """Limits are as they are written in the API; a person's name is one line that every screen can show."""
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError as exc:
        [error] = exc.errors()
        assert worded(error)[0] == detail
    else:
        assert detail is None
