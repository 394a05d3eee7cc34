"""The catalogue: risk that moves one way, replans that sneak nothing in, and what the gate compares."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from common.actions.catalogue import Catalogue
from common.core.policy import Assessment, Host, Policy, planned
from common.core.task import Effect, Json, Plan, Risk, State, Step, Task
from tests.unit.actions_stand_in import CATALOGUE, POLICY, asked, get, post, step
from tests.unit.assessed import PAGE, Fragile

NEWER = POLICY.model_copy(update={"version": 2, "autorun": Risk.CRITICAL})


def rules(verdict: Assessment) -> set[str]:
    """Why."""
    return {reason.rule for reason in verdict.reasons}


def plan_of(*steps: Step, verdict: Assessment | None = None, source: str = "claude") -> Plan:
    """A stored plan."""
    return planned(1, steps, source, verdict or CATALOGUE.assess(steps, asked(), POLICY), POLICY)


def task_of(plan: Plan | None) -> Task:
    """A running task with a plan."""
    return Task(id=UUID(int=2), workspace=UUID(int=3), state=State.RUNNING, request=asked(), plan=plan)


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
