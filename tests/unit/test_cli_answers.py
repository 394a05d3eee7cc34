"""What the command line reads is what the API writes, and what it says is said in both languages."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import get_type_hints

import pytest
from pydantic import BaseModel

from cli import answers, cost_answers
from common import api
from common.i18n import catalogue

PAIRS: list[tuple[type, type[BaseModel]]] = [
    (answers.TaskView, api.Task),
    (answers.TaskPage, api.TaskList),
    (answers.PlanView, api.PlanView),
    (answers.StepView, api.PlanStep),
    (answers.WaitingView, api.WaitingFor),
    (answers.ReasonView, api.ReasonView),
    (answers.ErrorView, api.ErrorView),
    (answers.OutcomeView, api.OutcomeView),
    (answers.EventView, api.Event),
    (answers.EventPage, api.EventList),
    (answers.ApprovalView, api.Approval),
    (answers.DecisionView, api.DecisionView),
    (answers.SettingView, api.Setting),
    (answers.PersonView, api.Person),
    (answers.TokenView, api.Token),
    (answers.SecretView, api.TokenWithSecret),
    (answers.CodeView, api.SignInCode),
    (answers.PauseView, api.PauseView),
    (answers.CacheEntry, api.CacheEntry),
    (answers.CachePage, api.CacheEntryList),
    (answers.CacheEntryView, api.CacheEntryView),
    (answers.CacheDroppedView, api.CacheDropped),
    (answers.ProblemView, api.Problem),
    (answers.FaultView, api.ProblemError),
]
# Of a month the command line shows a part.
PARTS: list[tuple[type, type[BaseModel]]] = [
    (cost_answers.CostsView, api.Costs),
    (cost_answers.LeverView, api.LeverLine),
    (cost_answers.ModelCostView, api.ModelLine),
    (cost_answers.KindCostView, api.KindLine),
    (cost_answers.DayCostView, api.DayLine),
]
CLI = Path(__file__).resolve().parents[2] / "cli"


@pytest.mark.parametrize(("view", "model"), PAIRS, ids=lambda each: each.__name__)
def test_every_view_has_the_fields_of_its_model(view: type, model: type[BaseModel]) -> None:
    """The light shapes of the command line are held to the models of the API."""
    assert set(get_type_hints(view)) == set(model.model_fields)


@pytest.mark.parametrize(("view", "model"), PARTS, ids=lambda each: each.__name__)
def test_a_part_of_an_answer_names_no_field_that_is_not_there(view: type, model: type[BaseModel]) -> None:
    """What the command line reads of a month's costs is what the API writes."""
    assert set(view.__annotations__) <= set(model.model_fields)


def ours(lang: str) -> dict[str, str]:
    """The messages of this part."""
    return {key: text for key, text in catalogue(lang).items() if key.startswith(("cli.", "demo."))}


def places(text: str) -> set[str]:
    """The names that a message wants filled in."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_messages_with_the_same_places() -> None:
    """Nothing is said in one language only."""
    english, korean = ours("en"), ours("ko")
    assert set(english) == set(korean)
    assert {key for key in english if places(english[key]) != places(korean[key])} == set()


def test_every_message_that_the_code_names_exists() -> None:
    """A key that is written out in the code is in the catalogue."""
    named = {
        key
        for path in CLI.glob("*.py")
        for key in re.findall(r'"((?:cli|demo)(?:\.[a-z0-9_]+)+)"', path.read_text("utf-8"))
        if not key.endswith(("_", "."))
    }
    modules = {f"cli.{path.stem}" for path in CLI.glob("*.py")}
    assert named - set(catalogue("en")) - modules - {"cli.mend", "cli.error.problem"} == set()
