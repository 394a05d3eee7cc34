"""`docs/api.md`, the OpenAPI document, the routes, the models, the actions and the command line say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import click
import pytest
from pydantic import BaseModel

from cli import client
from cli.__main__ import SECTIONS, aiw
from common import api
from common.actions.catalogue import Catalogue
from common.config import Settings
from common.routes import API, ROUTE, ROUTES, Route
from common.wake_kinds import TARGETS
from functions.dashboard.openapi import document

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (ROOT / "docs" / "api.md").read_text()

# The one list of what the page promises for later. None of it may be there yet: a route 404, a field 422, unknown.
ABSENT: Final[dict[str, frozenset[str]]] = {
    "routes": frozenset({"POST /tasks/{id}/edit", "/schedules …"}),
    "fields of a task request": frozenset({"callback"}),
    "actions": frozenset(
        {"sql.query", "sql.execute", "storage.put", "storage.get", "shell.run", "task.submit"},
    ),
    "commands": frozenset({"schedule"}),
}
# Environment that no function reads by `Settings`: of `./aiw up`, and of the SDK.
ELSEWHERE: Final = frozenset({"AIW_URL", "AIW_TOKEN"})


@dataclass(frozen=True)
class Row:
    """A row of a table: its cells, as written."""

    cells: tuple[str, ...]

    @property
    def later(self) -> bool:
        """Whether it is promised only."""
        return "later" in self.cells[0]


def table(head: str) -> list[Row]:
    """The rows of the table whose first column is called `head`; a bar within a cell has a backslash before it."""
    lines = PAGE.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {head} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(Row(tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])))
    return rows


def spans(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


def paragraph(name: str) -> str:
    """The line that begins with this name."""
    return next(line for line in PAGE.splitlines() if line.startswith((f"**{name}**", f"`{name}`:")))


def without_brackets(text: str) -> str:
    """A text without what it says in round brackets."""
    return re.sub(r"\([^()]*\)", "", text)


def shape(text: str) -> dict[str, frozenset[str]]:
    """An object as the page writes it: name -> the values that it may have, empty where it lists none."""
    found = re.findall(r'"(\w+)"(?:: ("\w+"(?: \\?\| "\w+")+))?(?=[,}:])', text)
    return {name: frozenset(re.findall(r'"(\w+)"', values)) for name, values in found}


def names(model: type[BaseModel]) -> frozenset[str]:
    """The fields of a model, as JSON calls them."""
    return frozenset(model.model_fields)


def documented_routes() -> Iterator[tuple[str, Row]]:
    """Every route of the page, `METHOD /path`, with its row."""
    for row in table("route"):
        for span in spans(row.cells[0]):
            yield span, row


def route_of(written: str) -> Route:
    """The route that the page means."""
    method, path = written.split(" ", 1)
    return next(route for route in ROUTES if (route.method, route.path) == (method, API + path))


# --- routes ---------------------------------------------------------------------------------------------------------


def test_every_documented_route_is_there_with_its_role_and_no_other() -> None:
    """The page's table and `common.routes` name the same routes with the same roles; what is later is absent."""
    now = {written: row.cells[1] for written, row in documented_routes() if not row.later}
    assert now == {f"{r.method} {r.path.removeprefix(API)}": r.role or "-" for r in ROUTES}
    assert {written for written, row in documented_routes() if row.later} == ABSENT["routes"]


def test_the_openapi_document_has_the_same_routes_and_roles() -> None:
    """The document is of the table: each route once, its role said, open only where the table says so."""
    paths: Any = document("http://127.0.0.1:8000")["paths"]
    described = {
        (method.upper(), path): operation for path, item in paths.items() for method, operation in item.items()
    }
    assert set(described) == {(route.method, route.path) for route in ROUTES}
    for route in ROUTES:
        operation = described[route.method, route.path]
        assert operation["operationId"] == route.name
        assert (f"Role: {route.role}." if route.role else "Open.") in operation["description"]
        assert (operation.get("security") == []) is (route.role is None)


def test_the_documented_problems_are_those_of_the_document() -> None:
    """The page's line of statuses is what the OpenAPI document says may be answered."""
    line = next(line for line in PAGE.splitlines() if line.startswith("400 not JSON"))
    written = {int(code) for code in re.findall(r"\b([45]\d\d)\b", line)}
    paths: Any = document("")["paths"]
    answered = {int(code) for item in paths.values() for operation in item.values() for code in operation["responses"]}
    assert {code for code in answered if code >= 400} == written


@pytest.mark.parametrize(
    "written",
    [written for written, row in documented_routes() if not row.later and written.startswith(("POST", "PUT"))],
)
def test_a_route_takes_the_body_that_is_documented(written: str) -> None:
    """Where the table shows a body, its fields and their values are the model's."""
    [row] = [row for name, row in documented_routes() if name == written]
    route = route_of(written)
    shown = [shape(span) for span in spans(row.cells[2]) if span.startswith("{")]
    assert route.body is not None
    if route.body is api.TaskRequest:
        assert "task request" in row.cells[2] or "same body" in row.cells[2]
        return
    assert set(shown[0]) == names(route.body)
    schema = route.body.model_json_schema()["properties"]
    for name, values in shown[0].items():
        assert not values or frozenset(schema[name]["enum"]) == values


def test_a_preview_and_a_wake_answer_what_is_documented() -> None:
    """Two answers that the page writes out are the models'."""
    [preview] = [row for written, row in documented_routes() if written == "POST /preview"]
    assert set(shape(next(s for s in spans(preview.cells[2]) if s.startswith("{")))) == names(api.Preview)
    wake = next(line for line in PAGE.splitlines() if line.startswith("`POST /` is a wake"))
    assert set(shape(next(s for s in spans(wake) if s.startswith("{")))) == names(api.WakeAnswer)


def test_the_filters_of_the_list_are_documented() -> None:
    """`GET /tasks` names every filter that it knows."""
    [row] = [row for written, row in documented_routes() if written == "GET /tasks"]
    assert set(spans(row.cells[2].partition(";")[0])) == names(api.TaskQuery) - names(api.PageQuery)


def test_the_event_types_are_those_that_the_connector_knows() -> None:
    """The page's list of wakes is the connector's."""
    wake = next(line for line in PAGE.splitlines() if line.startswith("`POST /` is a wake"))
    assert set(re.findall(r"`(aiw\.[a-z.]+)`", wake)) == set(TARGETS)


# --- models ---------------------------------------------------------------------------------------------------------


def test_a_task_request_has_the_documented_fields() -> None:
    """What is promised for later is refused as unknown, everything else is there, nothing is undocumented."""
    now, _, later = without_brackets(paragraph("Task request")).partition("later ")
    assert set(spans(now)) == names(api.TaskRequest)
    assert set(spans(later)) == ABSENT["fields of a task request"]
    for name in ABSENT["fields of a task request"]:
        with pytest.raises(ValueError, match="Extra inputs are not permitted"):
            api.TaskRequest.model_validate({"text": "x", name: True})


def test_a_task_has_the_documented_fields() -> None:
    """The fields of a task and of what lies within it are the models', in the page's order."""
    written = spans(paragraph("Task").partition(" For a viewer")[0])
    fields = {span.partition(":")[0]: span.partition(": ")[2] for span in written}
    assert list(fields) == list(api.Task.model_fields)
    within: dict[str, type[BaseModel]] = {"plan": api.PlanView, "error": api.ErrorView, "outcome": api.OutcomeView}
    for name, model in within.items():
        assert set(shape(fields[name])) == names(model)


def test_what_a_task_waits_for_has_the_documented_fields_and_values() -> None:
    """`waiting_for` and `reasons` are written out on the page as they are."""
    waiting, reasons = (shape(span) for span in spans(paragraph("waiting_for")) if "{" in span)
    assert set(waiting) == names(api.WaitingFor)
    assert waiting["what"] == frozenset(api.WaitingFor.model_json_schema()["properties"]["what"]["enum"])
    assert set(reasons) == names(api.ReasonView)


def test_costs_have_the_documented_fields_and_values() -> None:
    """What a month cost is written out on the page as it is, with everything that lies within."""
    written = spans(paragraph("Costs"))
    fields = shape(written[0])
    assert list(fields) == list(api.Costs.model_fields)
    properties = api.Costs.model_json_schema()["properties"]
    assert {name: frozenset(properties[name]["enum"]) for name, values in fields.items() if values} == {
        name: values for name, values in fields.items() if values
    }
    within: dict[str, type[BaseModel]] = {
        "levers": api.LeverLine, "by_model": api.ModelLine, "by_kind": api.KindLine, "by_purpose": api.PurposeLine,
        "by_day": api.DayLine, "cache": api.CacheLine, "packs": api.PacksLine, "escalations": api.EscalationLine,
    }  # fmt: skip
    shown = {name: shape(after) for name, after in pairwise(written) if after.startswith("{")}
    assert {name: list(shown[name]) for name in within} == {n: list(m.model_fields) for n, m in within.items()}
    levers = api.LeverLine.model_json_schema()["properties"]["lever"]["enum"]
    assert shown["levers"]["lever"] == frozenset(levers)


def test_a_plan_has_the_documented_fields_and_limits() -> None:
    """Fields, number of steps and the form of an id, as the page writes them."""
    written = paragraph("Plan")
    keys = set(re.findall(r'"(\w+)":', spans(written)[0]))
    assert keys == names(api.PlanRequest) | names(api.PlanStep)
    steps = api.PlanRequest.model_json_schema()["properties"]["steps"]
    assert f"{steps['minItems']}-{steps['maxItems']} steps" in written
    assert api.PlanStep.model_json_schema()["properties"]["id"]["pattern"].strip("^$") in spans(written)


@pytest.mark.parametrize(
    "model", [api.Task, api.TaskRequest, api.WaitingFor, api.PlanRequest, api.PlanStep, api.Problem, api.Approval]
)
def test_the_openapi_document_has_the_same_fields(model: type[BaseModel]) -> None:
    """A component of the document is the model, field by field, and closed where the model is."""
    components: Any = document("")["components"]
    schema = components["schemas"][model.__name__]
    assert frozenset(schema["properties"]) == names(model)
    assert (schema.get("additionalProperties") is False) is (model.model_config.get("extra") == "forbid")


# --- actions --------------------------------------------------------------------------------------------------------


def test_the_action_table_is_the_catalogue() -> None:
    """Names, arguments, and which of them are control (italic) or data, and their defaults in brackets."""
    schemas: Any = Catalogue.shipped().schemas()
    rows = [row for row in table("action") if not row.later]
    assert [spans(row.cells[0])[0] for row in rows] == list(schemas)
    for row in rows:
        properties = schemas[spans(row.cells[0])[0]]["properties"]
        said = without_brackets(row.cells[1])
        marks = dict.fromkeys(re.findall(r"\*(\w+)\*", said), "control") | dict.fromkeys(spans(said), "data")
        assert marks == {name: field["x-aiw"] for name, field in properties.items()}
        for name, default in re.findall(r"\*(\w+)\* \((\d+)\)", row.cells[1]):
            assert properties[name]["default"] == int(default)


def test_later_actions_are_absent() -> None:
    """What the table promises for later is no action yet, so a plan that names it is refused."""
    later = {name for row in table("action") if row.later for name in spans(row.cells[0])}
    assert later == ABSENT["actions"]
    assert not later & set(Catalogue.shipped().schemas())


# --- command line and environment ------------------------------------------------------------------------------------


def documented_commands() -> Iterator[tuple[str, bool]]:
    """Each command as it is written, and whether it is later."""
    for row in table("command"):
        now, _, later = row.cells[0].replace("\\|", "|").partition("; later ")
        for text, promised in ((now, False), (later, True)):
            for span in spans(text):
                yield span, promised


def command_of(name: str) -> click.Command:
    """A command by its name."""
    found = aiw.get_command(click.Context(aiw), name)
    assert found is not None
    return found


def test_the_documented_commands_are_there_and_no_other() -> None:
    """The page's table and the command line name the same commands."""
    now = {written.split()[0] for written, later in documented_commands() if not later}
    assert now == {name for commands in SECTIONS.values() for name in commands}
    assert {written.split()[0] for written, later in documented_commands() if later} == ABSENT["commands"]


@pytest.mark.parametrize("written", [written for written, later in documented_commands() if not later])
def test_a_documented_command_has_the_documented_options(written: str) -> None:
    """Options and subcommands that the table names exist."""
    name, *rest = written.split()
    command = command_of(name)
    options = {spelling for param in command.params for spelling in param.opts}
    assert set(re.findall(r"(?<!\S)\[?(--?\w+)", " ".join(rest))) <= options
    if isinstance(command, click.Group):
        assert set(rest[0].split("|")) == set(command.commands)


def test_the_exit_codes_are_documented() -> None:
    """Six ways to end, the same in code and on the page."""
    said = PAGE.partition("Exit: ")[2].partition("\n")[0]
    written = [int(part.strip().split()[0]) for part in said.split("·")]
    codes = [client.REFUSED, client.USAGE, client.NOT_SUCCEEDED, client.UNREACHABLE, client.INTERRUPTED]
    assert written == [0, *codes]


def test_the_documented_environment_is_read() -> None:
    """Every variable that the page names is one that somebody reads."""
    fields = Settings.model_fields
    read = {str(field.validation_alias or f"AIW_{name.upper()}") for name, field in fields.items()}
    named = {name for name in re.findall(r"\b((?:AIW|ANTHROPIC)_[A-Z_]+)", PAGE) if not name.endswith("_")}
    assert named <= read | ELSEWHERE


def test_every_route_is_described_once() -> None:
    """Names of routes are unique, since handlers and the document go by them."""
    assert len(ROUTE) == len(ROUTES)
