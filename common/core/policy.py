"""What may run by itself: the settings that decide, and the one decision over a plan's floors. Pure.

Floors themselves are computed by the actions from their arguments; here they are combined, and risk moves one way (I5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from pydantic import Field

from common.core.digest import approval_digest
from common.core.lifecycle import Ask
from common.core.task import Frozen, Origin, Plan, Reason, Risk, State, Step, Task, highest

APPROVAL_EXPIRES: Final = timedelta(hours=24)


class Host(Frozen):
    """A host on the workspace's list. `port` None: any, and only public addresses; private ones need name and port."""

    name: str
    port: int | None = None
    idempotent: bool = False  # POST and PATCH may be repeated there under an Idempotency-Key


class Function(Frozen):
    """A function that plans may invoke, by name."""

    url: str
    idempotent: bool = False


class Pause(Frozen):
    """Execution is stopped: who said so, and why."""

    why: str
    by: str = ""


class Policy(Frozen):
    """A workspace's effective settings: its own, and the installation's where it has none.

    `version` rises with every change of what assessment depends on; the gate compares it.
    """

    version: int = 0
    autorun: Risk = Risk.LOW
    hosts: tuple[Host, ...] = ()
    functions: dict[str, Function] = Field(default_factory=dict)
    channels: dict[str, str] = Field(default_factory=dict)
    notify: str | None = None  # the channel where approvals and the manual inbox are announced
    self_approval: bool = True
    pause: Pause | None = None
    time_zone: str = "UTC"
    budget_nanodollars: int = 25_000_000_000

    def host(self, name: str, port: int) -> Host | None:
        """The list's entry for a host, exact port before any port."""
        named = [h for h in self.hosts if h.name == name.lower() and h.port in {None, port}]
        return max(named, key=lambda h: h.port is not None, default=None)


@dataclass(frozen=True, slots=True)
class Assessment:
    """What policy says of a plan's steps: the floor, the risk (never below it), why, whether a person decides."""

    risk_floor: Risk
    risk: Risk
    reasons: tuple[Reason, ...]
    needs_approval: bool


HARMLESS: Final = Assessment(risk_floor=Risk.LOW, risk=Risk.LOW, reasons=(), needs_approval=False)


def decide(
    floors: Sequence[Reason],
    policy: Policy,
    *,
    claimed: Risk | None = None,
    earlier: Plan | None = None,
    origin: Origin = Origin.PERSON,
) -> Assessment:
    """Combine the floors of all steps into one assessment (I5).

    Args:
        floors: every reason that any step gave; a reason with `asks` wants a person whatever its floor.
        policy: the settings under which this is assessed.
        claimed: what Claude said; it can only raise. None: nobody claimed anything.
        earlier: the plan before this one; a retry cannot lower its risk.
        origin: text that came from results is at least medium.
    """
    if not floors and claimed is None and earlier is None and origin is not Origin.DERIVED:
        return HARMLESS
    reasons = list(floors)
    if origin is Origin.DERIVED:
        reasons.append(Reason(rule="origin_derived", floor=Risk.MEDIUM))
    floor = highest(*(r.floor for r in reasons))
    # Kept on record even where the floor is as high: a later policy may lower the floor, never what was claimed (I5).
    if claimed is not None and claimed is not Risk.LOW:
        reasons.append(Reason(rule="model_says", floor=claimed))
    if earlier is not None and earlier.risk.rank > highest(floor, claimed or floor).rank:
        reasons.append(Reason(rule="was_riskier", floor=earlier.risk))
    risk = highest(*(r.floor for r in reasons))
    return Assessment(
        risk_floor=floor,
        risk=risk,
        reasons=tuple(sorted(reasons, key=lambda r: -r.floor.rank)),
        needs_approval=risk.rank > policy.autorun.rank or any(r.asks for r in reasons),
    )


def asks_for_more(verdict: Assessment, step: Step) -> Assessment:
    """The same, of a plan for whose step the money that was allowed is not enough: what it may cost, a person says."""
    asks = Reason(rule="cost_cap", step=step.id, floor=Risk.LOW, asks=True)
    others = tuple(reason for reason in verdict.reasons if reason.rule != asks.rule)
    return replace(verdict, reasons=(*others, asks), needs_approval=True)


def planned(
    number: int,
    steps: Sequence[Step],
    source: str,
    verdict: Assessment,
    policy: Policy,
    *,
    kept: int = 0,
    cost_cap: int | None = None,
) -> Plan:
    """The plan row that an assessment leads to. `cost_cap`: what executing the task may cost, in nanodollars."""
    return Plan(
        number=number,
        steps=tuple(steps),
        source=source,
        risk_floor=verdict.risk_floor,
        risk=verdict.risk,
        reasons=verdict.reasons,
        needs_approval=verdict.needs_approval,
        kept_steps=kept,
        cost_cap=cost_cap,
        policy_version=policy.version,
    )


def ask_for(task: Task, plan: Plan) -> Ask:
    """The approval that a plan needs: over exactly its steps (I4)."""
    return Ask(
        digest=approval_digest(task.workspace, task.id, plan),
        requested_by=task.request.requested_by,
        expires_in=APPROVAL_EXPIRES,
    )


def destination(task: Task, plan: Plan) -> tuple[State, Ask | None]:
    """Where a freshly decided plan goes: queued, or awaiting approval with what to ask."""
    if not plan.needs_approval:
        return State.QUEUED, None
    return State.AWAITING_APPROVAL, ask_for(task, plan)
