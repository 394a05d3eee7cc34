"""The one decision over a plan's floors: risk moves one way."""

from __future__ import annotations

import itertools

import pytest

from common.core.digest import approval_digest
from common.core.policy import Host, Policy, ask_for, decide, destination, planned
from common.core.task import RISKS, Origin, Reason, Risk, State, Step, highest
from tests.unit.core_examples import FIRST, plan, task

LOW, MEDIUM, HIGH, CRITICAL = RISKS
POLICY = Policy(version=4)


def floor(risk: Risk, *, asks: bool = False) -> Reason:
    """A rule's word."""
    return Reason(rule=f"is_{risk.value}", step="one", floor=risk, asks=asks)


@pytest.mark.parametrize(
    ("given", "claimed", "earlier"), list(itertools.product(RISKS, (None, *RISKS), (None, *RISKS)))
)
def test_risk_only_ever_rises(given: Risk, claimed: Risk | None, earlier: Risk | None) -> None:
    """I5: policy sets a floor, the model can only raise it, a retry cannot lower it."""
    before = None if earlier is None else plan(risk=earlier)
    verdict = decide([floor(given)], POLICY, claimed=claimed, earlier=before)
    assert verdict.risk_floor is given
    assert verdict.risk is highest(given, claimed or LOW, earlier or LOW)
    assert verdict.needs_approval == (verdict.risk is not LOW)
    assert highest(*(r.floor for r in verdict.reasons)) is verdict.risk


def test_no_floor_at_all_is_low() -> None:
    """A plan of which no rule says anything runs alone."""
    verdict = decide([], POLICY)
    assert (verdict.risk, verdict.needs_approval, verdict.reasons) == (LOW, False, ())


@pytest.mark.parametrize("autorun", RISKS)
@pytest.mark.parametrize("risk", RISKS)
def test_only_what_is_above_the_threshold_waits(autorun: Risk, risk: Risk) -> None:
    """I4: at or below the threshold a plan runs by itself."""
    verdict = decide([floor(risk)], Policy(autorun=autorun))
    assert verdict.needs_approval == (risk.rank > autorun.rank)


def test_a_reason_may_ask_whatever_its_floor() -> None:
    """I6: a step that repeats what is done wants a person even where the floor alone would not."""
    verdict = decide([floor(LOW, asks=True)], Policy(autorun=CRITICAL))
    assert (verdict.risk, verdict.needs_approval) == (LOW, True)


def test_text_that_came_from_results_is_at_least_medium() -> None:
    """Derived text is trusted least."""
    verdict = decide([], POLICY, origin=Origin.DERIVED)
    assert (verdict.risk, verdict.risk_floor, verdict.reasons[0].rule) == (MEDIUM, MEDIUM, "origin_derived")


def test_the_gravest_reason_stands_first() -> None:
    """What an approver reads first is why it is as risky as it is."""
    verdict = decide([floor(LOW), floor(HIGH), floor(MEDIUM)], POLICY, claimed=CRITICAL)
    assert [r.floor for r in verdict.reasons] == [CRITICAL, HIGH, MEDIUM, LOW]


def test_a_plan_row_remembers_the_policy_it_was_assessed_under() -> None:
    """I4: the gate compares the version."""
    made = planned(2, [FIRST], "claude", decide([floor(HIGH)], POLICY), POLICY, kept=1)
    assert (made.number, made.policy_version, made.kept_steps, made.risk, made.needs_approval) == (2, 4, 1, HIGH, True)


def test_a_plan_that_needs_a_person_waits_under_a_digest_of_itself() -> None:
    """I4: the question is over exactly these steps."""
    waiting = task()
    state, ask = destination(waiting, plan(risk=HIGH))
    assert state is State.AWAITING_APPROVAL
    assert ask == ask_for(waiting, plan(risk=HIGH))
    assert ask is not None
    assert ask.digest == approval_digest(waiting.workspace, waiting.id, plan(risk=HIGH))
    assert destination(waiting, plan()) == (State.QUEUED, None)


def test_a_digest_changes_with_everything_that_is_approved() -> None:
    """I4: workspace, task, plan number, steps, arguments, order, risk and rules; and with nothing else."""
    waiting, first = task(), plan(risk=HIGH)
    other = Step(id="two", action="value", args={"value": 1})
    changed = [
        plan(risk=CRITICAL),
        plan(risk=HIGH, number=2),
        plan(*reversed(first.steps), risk=HIGH),
        plan(FIRST, other, risk=HIGH),
        first.model_copy(update={"cost_cap": 1}),
        first.model_copy(update={"reasons": (floor(HIGH),)}),
    ]
    digests = [approval_digest(waiting.workspace, waiting.id, made) for made in (first, *changed)]
    digests.append(approval_digest(waiting.workspace, waiting.workspace, first))
    digests.append(approval_digest(waiting.id, waiting.id, first))
    assert len(set(digests)) == len(digests)
    same = first.model_copy(update={"policy_version": 9, "source": "claude"})
    assert approval_digest(waiting.workspace, waiting.id, same) == digests[0]


def test_a_host_is_found_by_name_and_port_exact_before_any() -> None:
    """A port's own entry says more than the host's."""
    policy = Policy(hosts=(Host(name="a.example"), Host(name="a.example", port=8443, idempotent=True)))
    exact, loose = policy.host("A.example", 8443), policy.host("a.example", 443)
    assert exact is not None
    assert loose is not None
    assert (exact.idempotent, loose.idempotent) == (True, False)
    assert policy.host("b.example", 443) is None
