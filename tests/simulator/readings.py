"""What was read of tasks, and what became of it: told apart from the chain that asks (I5, I10, I12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from common.adapters.memory.rows import TaskRow
from common.adapters.memory.store import MemoryStore
from common.core.task import Json, Plan, Risk, highest
from common.ports import Learned
from tests.simulator.violation import Violation, hold

FROM_MODEL: Final = frozenset({"claude", "cached"})
KEPT: Final = frozenset({"kind", "summary", "steps", "risk", "confidence", "priority"})  # a reading, and no more (I10)


@dataclass(slots=True)
class Readings:
    """Every claim, by whom it was made of, and every plan's own word."""

    store: MemoryStore
    marks: Mapping[str, UUID | None]  # whom a plan was said for; None: in a way that must not count
    said: dict[tuple[UUID, int], Risk] = field(default_factory=dict)  # by task and lease: of all readings the highest

    def claimed(self, task: UUID, lease_no: int, risk: Risk) -> None:
        """A model claimed a risk of a task, under that lease."""
        self.said[task, lease_no] = highest(risk, self.said.get((task, lease_no), Risk.LOW))

    def kept(self, workspace: UUID, learned: Learned) -> None:
        """I10: what is remembered is a reading: nothing of it can permit anything."""
        if set(learned.answer) - KEPT:
            raise Violation(f"I10: {workspace}: remembered with {sorted(set(learned.answer) - KEPT)}")

    def claim_of(self, row: TaskRow, plan: Plan) -> Risk:
        """The least that a model's claim makes of a plan (I5). A remembered one has that of who asked for it."""
        if plan.source == "claude":
            return self.said.get((row.id, row.lease_no), Risk.LOW)
        if plan.source != "cached":
            return Risk.LOW
        alike = [risk for (task, _), risk in self.said.items() if self._like(row, task)]
        return min(alike, key=lambda risk: risk.rank, default=Risk.LOW)

    def look(self, row: TaskRow, plan: Plan, earlier: Plan | None) -> None:
        """A plan was stored: its new steps were said of this task (I12), or of one that asked for the same."""
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
            hold(whose is not None, "I12", row, "an answer counts that has no nonce of its own")
            if plan.source == "claude":
                hold(whose == row.id, "I12", row, "another task's answer counts")
            elif whose is not None:
                hold(self._like(row, whose), "I12", row, "remembered of a text that is not its own")

    def permitted(self, row: TaskRow, plan: Plan, risk: Risk) -> None:
        """I4, I10: whatever a plan comes from, the settings of the moment say whether it waits for a person."""
        if plan.policy_version != self.store.policy_version(row.workspace):
            return  # the gate asks for the present one
        value = self.store.settings[row.workspace, "policy"].value
        autorun = Risk(str(value["autorun"])) if isinstance(value, dict) else Risk.LOW
        name = "I10" if plan.source == "cached" else "I4"
        asks = risk.rank > autorun.rank or any(reason.asks for reason in plan.reasons)
        hold(plan.needs_approval or not asks, name, row, f"a {plan.source} plan of {risk} permits itself at {autorun}")

    def _like(self, row: TaskRow, task: UUID) -> bool:
        other = self.store.tasks[task]
        return (row.workspace, row.request.origin, row.request.text) == (
            other.workspace, other.request.origin, other.request.text
        )  # fmt: skip


def _word(args: Mapping[str, Json]) -> str:
    return str(args.get("note"))
