"""The catalogue: plans read with every fault pointed at, run as they were read, and worded."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from hypothesis import given, strategies as st

from common import api
from common.actions.catalogue import Catalogue, Unresolvable
from common.actions.contract import Args, Lang, control
from common.core.errors import Invalid
from common.core.task import Json, Step
from tests.unit.actions_stand_in import CATALOGUE, NOW, POLICY, StandIn, asked, faults, get, post, read, step
from tests.unit.assessed import PAGE, Fragile


def pointers(*steps: Step, inputs: dict[str, Json] | None = None) -> list[str]:
    """What reading complains of."""
    return [error.pointer for error in faults(*steps, inputs=inputs)]


def test_every_fault_of_a_plan_is_listed_at_once() -> None:
    """Whoever writes a plan mends it in one go: ids, actions, arguments and references, each with its pointer."""
    assert pointers(
        step("http.reqest", {}, "a"),
        step("value", {}, "a"),
        get("ftp://x"),
        step("value", {"value": {"$ref": "steps.later"}}, "b"),
        step("value", {"value": {"$ref": "inputs.missing"}}, "c"),
        step("value", {"value": 2**53}, "later"),
    ) == [
        "#/plan/steps/0/action",
        "#/plan/steps/1/id",
        "#/plan/steps/1/args/value",
        "#/plan/steps/2/id",
        "#/plan/steps/2/args/url",
        "#/plan/steps/3/args/value",
        "#/plan/steps/4/args/value",
        "#/plan/steps/5/args/value",
    ]


def test_a_hint_names_the_nearest_that_exists() -> None:
    """A typing error in an action, an argument or a step's id is answered with what was probably meant."""
    [action] = faults(step("http.reqest", {"url": "x"}))
    [argument] = [error for error in faults(step("value", {"valu": 1})) if error.pointer.endswith("valu")]
    [reference] = faults(PAGE, step("value", {"value": {"$ref": "steps.pages.json"}}))
    assert "http.request" in action.hint
    assert "`value`" in argument.hint
    assert "`page`" in reference.hint


@pytest.mark.parametrize("target", ["steps.a.x", "steps.z.x"])
def test_a_step_refers_to_earlier_ones_only(target: str) -> None:
    """Neither itself nor a later one has a result yet."""
    assert pointers(step("value", {"value": {"$ref": target}}), step("value", {"value": 1}, "z")) == [
        "#/plan/steps/0/args/value"
    ]


def test_an_input_cannot_smuggle_a_result_into_a_control_field() -> None:
    """A reference inside an input is refused before it could be bound into a URL."""
    assert pointers(
        PAGE,
        step("http.request", {"url": {"$ref": "inputs.url"}}),
        inputs={"url": {"$ref": "steps.page.json.url"}},
    ) == ["#/plan/steps/1/args/url"]


def test_the_number_of_steps_is_bounded() -> None:
    """1 to 50 steps, also of a plan that a model wrote."""
    many = [step("value", {"value": 1}, f"s{n}") for n in range(51)]
    assert pointers(*many) == ["#/plan/steps"]
    assert pointers() == ["#/plan/steps"]


def test_a_plan_of_faults_is_answered_with_a_bounded_list() -> None:
    """An answer is never larger than what it complains of."""
    wide: Json = [float("nan")] * 5000
    assert len(faults(step("value", {"value": wide}))) == 100


def test_a_public_step_is_read_as_a_core_one() -> None:
    """Intake hands in what the API's model holds, analysis what the core's does."""
    given_step = api.PlanStep(id="a", action="value", args={"value": {"$ref": "now"}})
    assert CATALOGUE.read([given_step], {}, NOW, pointer="#/3/plan")[0].args == {"value": "2026-11-24T07:00:00Z"}
    with pytest.raises(Invalid) as caught:
        CATALOGUE.read([given_step.model_copy(update={"action": "x"})], {}, NOW, pointer="#/3/plan")
    assert caught.value.errors[0].pointer == "#/3/plan/steps/0/action"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("$ref"), inner),
    max_leaves=8,
)


@given(
    st.sampled_from([*CATALOGUE.schemas(), "shell.run"]),
    st.dictionaries(
        st.sampled_from(["value", "url", "method", "json", "query", "message", "channel", "prompt", "seconds"]), JSON
    ),
)
def test_any_arguments_are_read_or_refused_with_a_pointer(action: str, args: dict[str, Json]) -> None:
    """No input makes reading fail in another way; what is read can be assessed, worded, resolved and hashed."""
    if complaints := faults(step(action, args)):
        assert all(error.pointer.startswith("#/plan/steps/0") for error in complaints)
        return
    steps = read(step(action, args))
    assert CATALOGUE.sentence(steps[0], "ko")
    assert CATALOGUE.resolve(steps[0], {}) == steps[0]
    CATALOGUE.assess(steps, asked(), POLICY)


@pytest.mark.parametrize(
    ("args", "output"),
    [
        ({"body": {"$ref": "steps.page.json"}}, 39_000),
        ({"query": {"a": {"$ref": "steps.page.json"}}}, {"b": 1}),
        ({"query": {"$ref": "steps.page.json"}}, "text"),
    ],
)  # fmt: skip
def test_a_result_that_does_not_fit_its_argument_is_a_permanent_failure(args: dict[str, Json], output: Json) -> None:
    """At the step arguments are validated again, with their values."""
    with pytest.raises(Unresolvable) as caught:
        CATALOGUE.resolve(post("https://e.org/", **args), {"page": {"json": output}})
    assert caught.value.code == "ref_unusable"


def test_a_step_with_an_open_reference_or_strange_arguments_is_never_run() -> None:
    """What was not filled in is not sent, and a strange action says that it is not installed."""
    ctx = StandIn()
    codes = [
        getattr(CATALOGUE.run(odd, ctx), "code", None)
        for odd in (
            post("https://api.example.com/", json={"$ref": "steps.page"}),
            get("nonsense"),
            step("shell.run", {}),
        )
    ]
    assert codes == ["invalid_arguments", "invalid_arguments", "not_installed"]
    assert ctx.sent == []
    assert not CATALOGUE.installed(step("shell.run", {}))


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_catalogue_describes_itself(lang: Lang) -> None:
    """Every action has a sentence, an effect, a floor and a schema whose fields are marked control or data."""
    views = CATALOGUE.describe(lang)
    assert {view.name for view in views} == {
        "value",
        "wait",
        "http.request",
        "function.invoke",
        "notify",
        "claude.generate",
    }
    for view in views:
        assert not {view.sentence, view.effect, view.floor} & {"", f"action.{view.name}"}
        properties: Any = view.schema_["properties"]
        assert {field["x-aiw"] for field in properties.values()} <= {"control", "data"}
        json.dumps(view.model_dump(mode="json", by_alias=True))


def test_a_field_without_a_mark_decides_something() -> None:
    """A plug-in's author who forgets the mark gets the strict reading: no result may fill the field in."""

    class Forgetful(Args):
        note: Json = None
        key: Json = control(None)

    class Plug(Fragile):
        args_model: ClassVar[type[Args]] = Forgetful

    with pytest.raises(Invalid) as caught:
        Catalogue([Plug()]).read([step("fragile", {"note": {"$ref": "steps.page"}})], {}, NOW)
    assert [error.pointer for error in caught.value.errors] == ["#/plan/steps/0/args/note"]


def test_the_order_of_keys_and_a_second_reading_change_nothing() -> None:
    """Reading what was stored yields what was stored: a kept step stays itself in a new plan (I6)."""
    stored = read(PAGE, post("https://e.org/", json={"b": 1, "a": [{"$ref": "steps.page.json"}]}))
    assert CATALOGUE.read(stored, {"anything": 1}, NOW) == stored
