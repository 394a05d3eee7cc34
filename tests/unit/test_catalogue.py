"""The catalogue: plans read with every fault pointed at, risk that moves one way, replans that sneak nothing in."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from common import api
from common.actions.catalogue import Catalogue, Unresolvable
from common.actions.contract import Action, Args, Context, Done, Known, Lang, Outcome, control
from common.core.errors import Invalid
from common.core.policy import Assessment, Host, Policy, planned
from common.core.task import Effect, Json, Plan, Reason, Risk, State, Step, Task
from tests.unit.actions_stand_in import CATALOGUE, NOW, POLICY, StandIn, asked, faults, get, post, read, step

PAGE = step("http.request", {"url": "https://api.example.com/price"}, "page")
NEWER = POLICY.model_copy(update={"version": 2, "autorun": Risk.CRITICAL})


def pointers(*steps: Step, inputs: dict[str, Json] | None = None) -> list[str]:
    """What reading complains of."""
    return [error.pointer for error in faults(*steps, inputs=inputs)]


def rules(verdict: Assessment) -> set[str]:
    """Why."""
    return {reason.rule for reason in verdict.reasons}


def plan_of(*steps: Step, verdict: Assessment | None = None, source: str = "claude") -> Plan:
    """A stored plan."""
    return planned(1, steps, source, verdict or CATALOGUE.assess(steps, asked(), POLICY), POLICY)


def task_of(plan: Plan | None) -> Task:
    """A running task with a plan."""
    return Task(id=UUID(int=2), workspace=UUID(int=3), state=State.RUNNING, request=asked(), plan=plan)


class Fragile(Action[Args]):
    """A plug-in that fails wherever it can."""

    name: ClassVar[str] = "fragile"
    args_model: ClassVar[type[Args]] = Args

    def effect(self, args: Args, policy: Policy) -> Effect:  # noqa: ARG002 - the contract's
        """See Action."""
        return Effect.NONE

    def floors(self, args: Args, known: Known) -> tuple[Reason, ...]:
        """See Action."""
        raise RuntimeError(args, known)

    def targets(self, args: Args) -> frozenset[str]:
        """See Action."""
        raise RuntimeError(args)

    def summary(self, args: Args, lang: Lang) -> str:  # noqa: ARG002 - the contract's
        """See Action."""
        return "fragile"

    def run(self, args: Args, ctx: Context) -> Outcome:  # noqa: ARG002 - the contract's
        """See Action."""
        return Done()


# --- reading ----------------------------------------------------------------------------------------------------------


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


# --- assessing --------------------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_high() -> None:
    """I5: an action that is not installed, arguments that do not fit, a floor that fails."""
    fragile = Catalogue([Fragile()])
    for catalogue, odd in (
        (CATALOGUE, step("shell.run", {})),
        (CATALOGUE, get("nonsense")),
        (fragile, step("fragile", {})),
    ):
        verdict = catalogue.assess([odd], asked(), POLICY, kept=[odd], earlier=plan_of(odd))
        assert (verdict.risk, verdict.needs_approval) == (Risk.HIGH, True)
        assert "unreadable" in rules(verdict)
    assert CATALOGUE.effect(step("shell.run", {}), POLICY) is Effect.NON_IDEMPOTENT


def test_the_riskiest_step_decides_and_every_reason_names_its_step() -> None:
    """I5: a plan is as risky as its riskiest step."""
    verdict = CATALOGUE.assess([PAGE, post("https://api.example.com/", json=1)], asked(), POLICY)
    assert verdict.risk is Risk.HIGH
    assert [(reason.rule, reason.step) for reason in verdict.reasons] == [("http_method", "a")]


@given(st.sampled_from([None, *Risk]), st.sampled_from([None, *Risk]), st.sampled_from(list(Risk)))
def test_risk_moves_one_way(claimed: Risk | None, before: Risk | None, autorun: Risk) -> None:
    """I5: neither the model's claim nor a retry ever lowers a floor."""
    policy = POLICY.model_copy(update={"autorun": autorun})
    target = get("https://unlisted.example.org/")
    earlier = plan_of(target).model_copy(update={"risk": before}) if before else None
    verdict = CATALOGUE.assess([target], asked(), policy, claimed=claimed, earlier=earlier)
    expected = max([Risk.MEDIUM, *filter(None, (claimed, before))], key=lambda risk: risk.rank)
    assert (verdict.risk_floor, verdict.risk) == (Risk.MEDIUM, expected)
    assert verdict.needs_approval == (expected.rank > autorun.rank)


@pytest.mark.parametrize(
    "again",
    [
        post("https://pay.example.com/r", json={"amount": 1, "to": "x"}),
        post("HTTPS://PAY.example.com:443/r#again", json={"to": "x", "amount": 1.0}),
        post("https://pay.example.com/r", json={"amount": 1, "to": "x"}, timeout=60, expect=[201]),
        post("https://pay.example.com/r", json={"amount": {"$ref": "steps.page.json.price"}, "to": "x"}),
    ],
)  # fmt: skip
def test_a_step_that_would_do_again_what_is_done_asks(again: Step) -> None:
    """I6: the same effect under another spelling, waiting time or a value still to come is the same effect."""
    done = post("https://pay.example.com/r", json={"amount": 1, "to": "x"}).model_copy(update={"id": "done"})
    verdict = CATALOGUE.assess([done, PAGE, again], asked(), NEWER, kept=[done])
    assert verdict.needs_approval
    [reason] = [reason for reason in verdict.reasons if reason.asks]
    assert (reason.rule, reason.step, reason.floor, reason.values) == (
        "repeats_done_step",
        "a",
        Risk.HIGH,
        {"done": "done"},
    )


def test_kept_steps_themselves_and_other_effects_do_not_ask() -> None:
    """I6: what stands in front unchanged is not run again; another amount is another effect."""
    done = post("https://pay.example.com/r", json={"amount": 1}).model_copy(update={"id": "done"})
    verdict = CATALOGUE.assess(
        [done, post("https://pay.example.com/r", json={"amount": 2})], asked(), NEWER, kept=[done]
    )
    assert not verdict.needs_approval


def test_a_kept_step_that_was_altered_or_moved_asks() -> None:
    """I6: only the very same step in the very same place is the one that was begun."""
    done = post("https://pay.example.com/r").model_copy(update={"id": "done"})
    moved = CATALOGUE.assess([PAGE, done], asked(), NEWER, kept=[done])
    assert rules(moved) >= {"repeats_done_step"}


@pytest.mark.parametrize(
    ("added", "what"),
    [
        (get("https://other.example.org/"), "other.example.org:443"),
        (get("https://api.example.com:8443/"), "api.example.com:8443"),
        (get("https://api.example.com/", headers={"Authorization": "x"}), "authorization"),
        (step("value", {"value": 1}), "value"),
        (step("notify", {"channel": "ops", "message": "m"}), "ops"),
        (step("function.invoke", {"function": "ocr"}), "ocr"),
    ],
)  # fmt: skip
def test_a_replan_that_adds_something_waits_for_a_person(added: Step, what: str) -> None:
    """A new plan after a failure may not reach a new host, recipient or credential by itself, at any threshold."""
    verdict = CATALOGUE.assess([PAGE, added], asked(), NEWER, earlier=plan_of(PAGE))
    assert verdict.needs_approval
    [reason] = [reason for reason in verdict.reasons if reason.asks]
    assert (reason.rule, reason.step, reason.values) == ("adds_target", "a", {"added": what})


def test_a_replan_within_what_was_there_does_not_wait() -> None:
    """Another path of the same host is what a replan is for."""
    other = get("https://api.example.com/prices?page=2")
    assert not CATALOGUE.assess([other], asked(), POLICY, earlier=plan_of(PAGE)).needs_approval


def test_a_refused_target_counts_as_high() -> None:
    """A function that was struck off the list is no longer medium while its task waits."""
    target = step("function.invoke", {"function": "ocr"})
    verdict = CATALOGUE.assess([target], asked(), Policy())
    assert (verdict.risk, "refused_target" in rules(verdict)) == (Risk.HIGH, True)


# --- what the gate compares -------------------------------------------------------------------------------------------


def test_a_filled_in_value_is_still_a_results() -> None:
    """I4: once a result is filled in nobody sees any more where it came from; the gate must."""
    send = get("https://api.example.com/", query={"q": {"$ref": "steps.page.json.q"}})
    resolved = CATALOGUE.resolve(send, {"page": {"json": {"q": "x"}}})
    assert CATALOGUE.assess([PAGE, resolved], asked(), POLICY).risk is Risk.LOW
    verdict = CATALOGUE.assess_resolved(task_of(plan_of(PAGE, send)), send, resolved, POLICY)
    assert (verdict.risk, rules(verdict)) == (Risk.MEDIUM, {"http_result"})


def test_what_values_turn_out_to_be_can_outgrow_an_approval() -> None:
    """I4: a query that turns out to carry a credential is riskier than what was approved."""
    send = get("https://api.example.com/", query={"$ref": "steps.page.json"})
    resolved = CATALOGUE.resolve(send, {"page": {"json": {"token": "x"}}})
    verdict = CATALOGUE.assess_resolved(task_of(plan_of(PAGE, send)), send, resolved, POLICY)
    assert verdict.risk is Risk.HIGH


def test_what_asked_for_a_person_asks_at_the_gate_and_under_a_newer_policy() -> None:
    """I4, I5: a replan that added a host runs under its approval only; the model's claim outlives a policy change."""
    first = CATALOGUE.assess(
        [PAGE, get("https://other.example.org/")], asked(), POLICY, claimed=Risk.HIGH, earlier=plan_of(PAGE)
    )
    task = task_of(plan_of(PAGE, get("https://other.example.org/"), verdict=first))
    gate = CATALOGUE.assess_resolved(task, PAGE, PAGE, NEWER)
    later = CATALOGUE.reassess(
        task, NEWER.model_copy(update={"hosts": (*POLICY.hosts, Host(name="other.example.org"))})
    )
    for verdict in (gate, later):
        assert verdict.needs_approval
        assert verdict.risk is Risk.HIGH
        assert "adds_target" in rules(verdict)
    assert "model_says" in rules(later)


def test_a_newer_policy_may_lower_a_floor_but_not_of_filled_in_values() -> None:
    """A host that was listed since needs no approval; of values that came from results nobody can tell it any more."""
    target = get("https://other.example.org/")
    listed = POLICY.model_copy(update={"hosts": (Host(name="other.example.org"),)})
    assert CATALOGUE.reassess(task_of(plan_of(target)), listed).risk is Risk.LOW
    assert CATALOGUE.reassess(task_of(plan_of(target, source="resolved")), listed).risk is Risk.MEDIUM
    assert CATALOGUE.reassess(task_of(None), listed).risk is Risk.HIGH


def test_an_unbounded_value_is_told_from_a_bounded_one() -> None:
    """I4: only values whose bounds were approved may be sent without being seen."""
    free: dict[str, Json] = {"$ref": "steps.page.json.price"}
    assert CATALOGUE.unbounded(post("https://e.org/", json=[free]))
    assert not CATALOGUE.unbounded(post("https://e.org/", json=[{**free, "must": {"maximum": 5}}]))
    assert not CATALOGUE.unbounded(PAGE)
    assert CATALOGUE.unbounded(post("https://e.org/", json={"$ref": "nonsense"}))


# --- running ----------------------------------------------------------------------------------------------------------


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


# --- words ------------------------------------------------------------------------------------------------------------


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
