"""What was read of tasks, and what became of it: told apart from the chain that asks (I5, I6, I10, I12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from common.adapters.memory.rows import TaskRow
from common.adapters.memory.store import MemoryStore
from common.core.task import Json, OutcomeKind, Plan, Risk, Step, highest
from common.ports import Learned
from tests.simulator.known import Violation, broken

RISK: Final = {risk.value: risk for risk in Risk}
FROM_MODEL: Final = frozenset({"claude", "cached"})
KEPT: Final = frozenset({"kind", "summary", "steps", "risk", "confidence", "priority"})  # a reading, and no more (I10)


@dataclass(slots=True)
class Readings:
    """Every claim, by whom it was made of, and every plan's own word."""

    store: MemoryStore
    marks: Mapping[str, UUID | None]  # whom a plan was said for; None: in a way that must not count
    # By task and lease, each call's: of one that was made twice either reading may become a plan, so the lower one.
    said: dict[tuple[UUID, int], dict[UUID, Risk]] = field(default_factory=dict)
    claims: dict[UUID, Risk] = field(default_factory=dict)  # the highest that was said of what became a plan

    def claimed(self, task: UUID, lease_no: int, risk: Risk, call: UUID) -> None:
        """A model claimed a risk of a task, under that lease, in an answer to that call."""
        said = self.said.setdefault((task, lease_no), {})
        said[call] = min(risk, said.get(call, risk), key=lambda one: one.rank)

    def kept(self, workspace: UUID, learned: Learned) -> None:
        """I10: what is remembered is a reading: nothing of it can permit anything."""
        if set(learned.answer) - KEPT:
            raise Violation(f"I10: {workspace}: remembered with {sorted(set(learned.answer) - KEPT)}")

    def autorun(self, workspace: UUID) -> Risk:
        """Up to which risk the workspace asks nobody, at this moment."""
        value = self.store.settings[workspace, "policy"].value
        return Risk(str(value["autorun"])) if isinstance(value, dict) else Risk.LOW

    def least(self, task: UUID, steps: Sequence[Step], earlier: Plan | None = None) -> Risk:
        """What a plan's risk must be at least: floors, whatever a model ever said, and the plan before (I5)."""
        floors = [RISK[str(step.args.get("risk", "low"))] for step in steps if step.action == "act"]
        return highest(*floors, self.claims.get(task, Risk.LOW), earlier.risk if earlier else Risk.LOW)

    def planned(self, row: TaskRow, plan: Plan, earlier: Plan | None) -> None:
        """A plan was stored: of its own words, not below its risk, nothing dropped, and not permitting itself."""
        if plan.number != (earlier.number + 1 if earlier else 1):
            broken("I2", row, f"plan {plan.number} is not the next")
        self._words(row, plan, earlier)
        self.claims[row.id] = highest(self.claims.get(row.id, Risk.LOW), self._claim_of(row, plan))
        self._weighed(row, plan, earlier)
        if earlier is not None:
            kept = [s for s in earlier.steps if any(a.step_id == s.id and _may_be(a.outcome) for a in row.trail)]
            if list(plan.steps[: len(kept)]) != kept:
                broken("I6", row, "what is done or unknown was not kept in front")

    def holds(self, row: TaskRow) -> None:
        """At any time: the plan is as risky as it must be, and waits for a person where settings say so (I4, I5)."""
        if row.plan is not None:
            self._weighed(row, row.plan, None)

    def _weighed(self, row: TaskRow, plan: Plan, earlier: Plan | None) -> None:
        risk = self.least(row.id, plan.steps, earlier)
        if plan.risk.rank < risk.rank:
            broken("I5", row, f"plan {plan.number} is {plan.risk}, must be {risk}")
        if plan.policy_version != self.store.policy_version(row.workspace):
            return  # the gate asks for the present one
        autorun = self.autorun(row.workspace)
        asks = risk.rank > autorun.rank or any(reason.asks for reason in plan.reasons)
        if asks and not plan.needs_approval:
            name = "I10" if plan.source == "cached" else "I4"
            broken(name, row, f"a {plan.source} plan of {risk} permits itself at {autorun}")

    def _claim_of(self, row: TaskRow, plan: Plan) -> Risk:
        """The least that a model's claim makes of a plan (I5). A remembered one has that of who asked for it."""
        if plan.source == "claude":
            return highest(Risk.LOW, *self.said.get((row.id, row.lease_no), {}).values())
        if plan.source != "cached":
            return Risk.LOW
        alike = [highest(*said.values()) for (task, _), said in self.said.items() if self._like(row, task)]
        return min(alike, key=lambda risk: risk.rank, default=Risk.LOW)

    def _words(self, row: TaskRow, plan: Plan, earlier: Plan | None) -> None:
        """Its new steps were said of this task (I12), or of one that asked for the same."""
        if plan.source not in FROM_MODEL:
            return
        known = () if earlier is None else earlier.steps
        for step in plan.steps:
            if step.action != "act" or step in known:
                continue
            word = _word(step.args)
            if word not in self.marks:  # a typed one's, or an altered one's
                continue
            whose = self.marks[word]
            if whose is None:
                broken("I12", row, "an answer counts that has no nonce of its own")
            if plan.source == "claude" and whose != row.id:
                broken("I12", row, "another task's answer counts")
            if plan.source == "cached" and not self._like(row, whose):
                broken("I12", row, "remembered of a text that is not its own")

    def _like(self, row: TaskRow, task: UUID) -> bool:
        other = self.store.tasks[task]
        return (row.workspace, row.request.origin, row.request.text) == (
            other.workspace, other.request.origin, other.request.text
        )  # fmt: skip


def _word(args: Mapping[str, Json]) -> str:
    return str(args.get("note"))


def _may_be(outcome: OutcomeKind | None) -> bool:
    return outcome is not OutcomeKind.NOT_DONE
