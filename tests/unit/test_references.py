"""References: found, bound, resolved, bounded; and never smuggled in by foreign JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from common.core import bounds, references
from common.core.errors import FieldError, Invalid
from common.core.json_limits import DEPTH_MAX, INTEGER_MAX, NODES_MAX, escape, plain, same, walk
from common.core.references import Unresolvable
from common.core.task import Json

SAFE_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-INTEGER_MAX, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | SAFE_TEXT,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(SAFE_TEXT.filter(lambda key: key != "$ref"), inner, max_size=4)
    ),
    max_leaves=12,
)


def nested(levels: int) -> Json:
    """A list in a list in a list."""
    value: Json = 1
    for _ in range(levels):
        value = [value]
    return value


def faults_of(args: dict[str, Json]) -> list[str]:
    """The pointers that finding references complains of."""
    with pytest.raises(Invalid) as caught:
        references.find(args, "#/args")
    return [error.pointer for error in caught.value.errors]


def bound_with(args: dict[str, Json], inputs: dict[str, Json], now: str = "") -> dict[str, Json]:
    """The arguments with `inputs` and `now` filled in."""
    return references.bind(args, references.find(args), inputs, now, "#/args")


def resolved(args: dict[str, Json], outputs: dict[str, Json]) -> dict[str, Json]:
    """The arguments with results filled in."""
    return references.resolve(args, references.find(args), outputs)


def test_references_are_found_wherever_they_stand() -> None:
    """A reference in a list in an object is found, with its pointer and the top-level argument that holds it."""
    found = references.find({"json": {"a/b": [1, {"$ref": "steps.page.json.price"}]}, "url": {"$ref": "inputs.url"}})
    assert [(ref.pointer, ref.field, ref.root, ref.step, ref.expression) for ref in found] == [
        ("/json/a~1b/1", "json", "steps", "page", "json.price"),
        ("/url", "url", "inputs", "", "url"),
    ]


@pytest.mark.parametrize(
    "target",
    [
        "",
        "steps",
        "steps.",
        "steps.Page.x",
        "steps.page.",
        "now.year",
        "input.x",
        "env.HOME",
        "#/$defs/x",
        "http://evil/x",
        "steps.page.a ||",
    ],
)
def test_what_is_meant_as_a_reference_and_is_none_is_refused(target: str) -> None:
    """Only `now`, `inputs…` and `steps.ID…` with JMESPath behind are references; anything else is pointed at."""
    assert faults_of({"value": {"$ref": target}}) == ["#/args/value"]


@pytest.mark.parametrize(
    "ref", [{"$ref": 1}, {"$ref": "now", "extra": 1}, {"$ref": "now", "must": {"type": "string"}}, {"$ref": None}]
)
def test_a_reference_holds_nothing_else(ref: Json) -> None:
    """`must` belongs to results alone, and no other key stands beside `$ref`."""
    assert faults_of({"value": ref}) == ["#/args/value"]


def test_the_arguments_as_a_whole_cannot_be_a_reference() -> None:
    """A result cannot name the arguments themselves: it would decide which fields there are."""
    assert faults_of({"$ref": "steps.page.json"}) == ["#/args"]


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**53,
        -(2**53),
        "a\x00b",
        "\ud800",
        {"\x00": 1},
        nested(DEPTH_MAX + 1),
        [0] * (NODES_MAX + 1),
    ],
    ids=["nan", "infinity", "2**53", "-2**53", "nul", "surrogate", "nul in a key", "too deep", "too many"],
)
def test_what_canonical_json_or_postgresql_cannot_hold_is_refused(value: Json) -> None:
    """A value that would break a digest or a whole batch in the database never becomes an argument."""
    assert len(faults_of({"value": value})) == 1


def test_deep_foreign_json_does_not_overflow_the_stack() -> None:
    """100,000 levels of nesting are a fault with a pointer, not a crash."""
    assert faults_of({"value": nested(100_000)})


@pytest.mark.parametrize(
    "expression",
    ["[@,@]" + "|[@,@]" * 8, "a" * 301, "(" * 300, "join(glue, names)", "{a:@,b:@,c:@,d:@}|" * 4 + "a"],
    ids=["doubling", "long", "deep", "glue from data", "objects"],
)
def test_an_expression_cannot_grow_without_bound(expression: str) -> None:
    """JMESPath has no loops, but it can double its input; what could fill the memory is refused at intake."""
    assert faults_of({"value": {"$ref": f"steps.page | {expression}"}}) == ["#/args/value"]


def test_the_whole_of_jmespath_that_is_harmless_works() -> None:
    """Indexes, filters, functions and pipes after the root are JMESPath's."""
    outputs: dict[str, Json] = {"page": [{"n": 1, "s": "x"}, {"n": 3, "s": "y"}]}
    refs = {
        "a": "steps.page[0].n",
        "b": "steps.page[?n > `1`].s | [0]",
        "c": "steps.page | length(@)",
        "d": "steps.page",
    }
    args: dict[str, Json] = {name: {"$ref": target} for name, target in refs.items()}
    assert resolved(args, outputs) == {"a": 1, "b": "y", "c": 2, "d": outputs["page"]}


def test_inputs_and_now_are_filled_in_once_and_results_stay() -> None:
    """Binding leaves references to results as they are, and everything else untouched."""
    args: dict[str, Json] = {
        "a": {"$ref": "inputs.order.id"},
        "b": {"$ref": "now"},
        "c": [{"$ref": "steps.page"}],
        "d": 1.5,
    }
    bound = bound_with(args, {"order": {"id": 7}}, "2026-11-24T07:00:00Z")
    assert bound == {"a": 7, "b": "2026-11-24T07:00:00Z", "c": [{"$ref": "steps.page"}], "d": 1.5}


@pytest.mark.parametrize("inputs", [{}, {"order": None}, {"order": {"$ref": "steps.page"}}, {"order": "\x00"}])
def test_an_input_that_is_missing_null_or_a_reference_of_its_own_is_pointed_at(inputs: dict[str, Json]) -> None:
    """An input cannot bring a reference with it, and a missing one is a fault of the request, not of the run."""
    with pytest.raises(Invalid) as caught:
        bound_with({"x": [{"$ref": "inputs.order"}]}, inputs)
    assert caught.value.errors[0].pointer.startswith("#/args/x/0")


@pytest.mark.parametrize(
    "outputs", [{}, {"page": None}, {"page": {"json": {}}}, {"page": {"json": {"price": None}}}, {"page": "text"}]
)
def test_a_missing_or_null_result_is_a_permanent_failure(outputs: dict[str, Json]) -> None:
    """The API promises: one that is null when the step runs is a permanent failure."""
    with pytest.raises(Unresolvable) as caught:
        resolved({"value": {"$ref": "steps.page.json.price"}}, outputs)
    assert caught.value.code == "ref_missing"


@pytest.mark.parametrize("price", [50_001, "50", -1, True, 1e999])
def test_a_result_out_of_its_bounds_is_not_sent(price: Json) -> None:
    """I4: what the plan did not allow is not done under its approval."""
    must: Json = {"type": "number", "minimum": 0, "maximum": 50_000}
    with pytest.raises(Unresolvable) as caught:
        resolved({"json": {"amount": {"$ref": "steps.page.price", "must": must}}}, {"page": {"price": price}})
    assert caught.value.code in {"ref_out_of_bounds", "ref_unusable"}


def test_a_result_within_its_bounds_is_filled_in_exactly() -> None:
    """The amount that the far side gave is the amount that is sent."""
    must: Json = {"type": "number", "maximum": 50_000}
    args: dict[str, Json] = {"json": {"amount": {"$ref": "steps.page.price", "must": must}, "note": "n"}}
    assert resolved(args, {"page": {"price": 39_000}}) == {"json": {"amount": 39_000, "note": "n"}}
    assert not references.unbounded(args)


@pytest.mark.parametrize(
    "must",
    [
        {}, True, None, "number", {"title": "a price"}, {"$ref": "http://evil.example/schema"},
        {"allOf": [{"$ref": "#"}]},
        {"pattern": "(a+)+$"}, {"properties": {"a": {"pattern": "x"}}}, {"type": "money"}, {"format": "email"},
        {"maximum": float("nan")},
    ],
)  # fmt: skip
def test_a_bound_that_bounds_nothing_or_reaches_out_is_refused(must: Json) -> None:
    """No remote schema is fetched, no pattern can stall the process, and an empty bound is no bound."""
    assert faults_of({"value": {"$ref": "steps.page", "must": must}}) == ["#/args/value"]


def test_a_bound_that_cannot_be_judged_is_not_kept() -> None:
    """What overflows while it is checked counts as outside."""
    assert not bounds.within({"multipleOf": 1e-300}, 10**300)


def test_a_result_that_looks_like_a_reference_is_never_followed() -> None:
    """A foreign body with a `$ref` of its own would otherwise read another step's result."""
    outputs: dict[str, Json] = {"page": {"json": {"deep": [{"$ref": "steps.secret.json"}]}}, "secret": {"json": "s"}}
    with pytest.raises(Unresolvable) as caught:
        resolved({"value": {"$ref": "steps.page.json"}}, outputs)
    assert caught.value.code == "ref_unusable"


def test_what_is_not_filled_in_by_now_is_never_sent() -> None:
    """A plan that still holds `inputs` when it runs was not stored by intake, and fails."""
    with pytest.raises(Unresolvable):
        resolved({"value": {"$ref": "inputs.x"}}, {})


def test_which_arguments_hold_results_and_whether_they_are_bounded() -> None:
    """Floors and the gate ask which fields came from results, and whether an approver knew their bounds."""
    args: dict[str, Json] = {"json": {"a": {"$ref": "steps.p"}}, "url": "u", "query": {"b": {"$ref": "inputs.i"}}}
    assert references.step_fields(args) == {"json"}
    assert references.unbounded(args)
    assert not references.unbounded({"query": {"b": {"$ref": "inputs.i"}}})


@given(JSON)
def test_a_value_without_references_is_left_as_it_is(value: Json) -> None:
    """What is shown is what runs: binding and resolving change nothing but references."""
    args: dict[str, Json] = {"value": value}
    assert same(resolved(bound_with(args, {}), {}), args)


@given(JSON.filter(lambda value: value is not None))
def test_a_result_arrives_whole(value: Json) -> None:
    """A whole result that JSON can hold is filled in unchanged, wherever its reference stands."""
    filled = resolved({"json": {"k": [{"$ref": "steps.page"}]}}, {"page": value})
    assert same(filled, {"json": {"k": [value]}})


@given(SAFE_TEXT)
def test_a_pointer_is_ascii_and_leads_back_to_its_key(key: str) -> None:
    """RFC 6901: any key has a pointer, and different keys have different ones."""
    pointer = escape(key)
    assert pointer.isascii()
    assert "/" not in pointer
    assert escape(key + "/") == pointer + "~1"


@given(
    st.recursive(
        JSON | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("$ref"), inner),
    )
)
def test_the_short_cut_lets_nothing_through(value: Json) -> None:
    """What counts as plain has neither a fault nor a reference: the quick look may only ever be stricter."""
    if plain(value):
        problems: list[FieldError] = []
        assert list(walk(value, "", problems)) == []
        assert problems == []


def test_equal_json_is_equal_and_nothing_else() -> None:
    """1 is 1.0 and not true; key order does not matter; text is compared as it is."""
    assert same({"a": 1, "b": 2}, json.loads('{"b": 2.0, "a": 1}'))
    assert not same(1, True)
    assert not same("1", 1)


def test_a_bound_that_would_cost_minutes_to_check_is_refused() -> None:
    """Thousands of alternatives are refused at intake, and a value too large for its bound is out of bounds."""
    many: Json = {"anyOf": [{"const": n} for n in range(12_000)]}
    assert faults_of({"value": {"$ref": "steps.page", "must": many}}) == ["#/args/value"]
    few: Json = {"items": {"anyOf": [{"const": n} for n in range(50)]}}
    value: Json = [49] * 20_000
    with pytest.raises(references.Unresolvable) as refused:
        resolved({"value": {"$ref": "steps.page", "must": few}}, {"page": value})
    assert refused.value.code == "ref_out_of_bounds"
