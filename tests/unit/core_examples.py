"""Tasks, plans and attempts to look at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from common.core.task import Attempt, Effect, OutcomeKind, Plan, Request, Risk, State, Step, Task

PERSON = UUID(int=1)
FIRST, SECOND = Step(id="one", action="value"), Step(id="two", action="value")


def plan(*steps: Step, risk: Risk = Risk.LOW, number: int = 1) -> Plan:
    """A plan of these steps; of two, unless any are given."""
    return Plan(
        number=number,
        steps=steps or (FIRST, SECOND),
        source="typed",
        risk_floor=risk,
        risk=risk,
        needs_approval=risk is not Risk.LOW,
        policy_version=1,
    )


def task(state: State = State.RUNNING, text: str | None = "do it", **changed: Any) -> Task:  # noqa: ANN401 - any field
    """A task in a state."""
    given = {
        "id": UUID(int=2),
        "workspace": UUID(int=3),
        "state": state,
        "request": Request(text=text, requested_by=PERSON),
        "plan": plan(),
        "lease_no": 3,
        "event_seq": 5,
    }
    return Task(**{**given, **changed})


def attempt(step: str = "one", outcome: OutcomeKind | None = None, effect: Effect = Effect.NON_IDEMPOTENT) -> Attempt:
    """An attempt of a step."""
    return Attempt(
        step_id=step,
        number=1,
        plan_number=1,
        lease_no=3,
        effect=effect,
        idempotency_key="k",
        args_sha256="a",
        outcome=outcome,
    )


SOON = timedelta(seconds=10)
