"""A change as the row of JSON that `apply` reads."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from common.adapters.postgres.documents import ask_fields, detail_text, failure_text, foreign, plan_fields, seconds
from common.core.lifecycle import Ended, NextStep, Transition
from common.core.task import State

# A key costs both sides its reading, in each row: what hardly any change has is sent with those that have it.
_seldom: Final = attrgetter(
    "event_seq", "check_in", "waiting_for", "wait_until", "only_if_due", "costs_attempt", "resets_attempts",
    "resets_replans", "plan", "ask", "kind_of_task", "priority", "batch", "economy",
)  # fmt: skip
MOSTLY: Final = (None, None, None, None, False, False, False, False, None, None, None, None, None, None)


def row_of(change: Transition | NextStep) -> dict[str, object]:
    """What `apply` is told of one change, by the names of its columns; what is left out is NULL there."""
    if isinstance(change, NextStep):
        return {
            "task_id": change.task_id,
            "next": True,
            "source": State.RUNNING.value,
            "lease_no": change.lease_no,
            **_ended_fields(change.ended),
        }
    row: dict[str, object] = {
        "task_id": change.task_id,
        "kind": change.kind,
        "source": change.source.value,
        "lease_no": change.lease_no,
        "target": change.target.value,
        "actor": change.actor,
        "closes_approval": change.closes_approval or change.ask is not None,
        **_ended_fields(change.ended),
    }
    if (said := detail_text(change.detail)) is not None:
        row["detail"] = said
    if _seldom(change) != MOSTLY:
        row.update(_more_fields(change))
    return row


def _more_fields(change: Transition) -> dict[str, object]:
    return {
        "seen": change.event_seq,
        "check_in": seconds(change.check_in),
        "waiting_for": change.waiting_for,
        "wait_until": seconds(change.wait_until),
        "only_if_due": change.only_if_due,
        "costs_attempt": int(change.costs_attempt),
        "resets_attempts": change.resets_attempts,
        "resets_replans": change.resets_replans,
        "kind_of_task": change.kind_of_task,
        "priority": change.priority,
        "batch": change.batch,
        "economy": change.economy,
        **plan_fields(change.plan),
        **ask_fields(change.ask),
    }


def _ended_fields(ended: Ended | None) -> dict[str, object]:
    if ended is None:
        return {}
    fields: dict[str, object] = {
        "step_id": ended.step_id,
        "outcome": ended.outcome.value,
        # an output of null is one too: JSON's null, not SQL's
        "output": foreign(ended.output),
    }
    if ended.number is not None:
        fields["number"] = ended.number
    if ended.failure is not None:
        fields["failure"] = failure_text(ended.failure)
    if ended.decided_by is not None:
        fields["decided_by"] = ended.decided_by
    return fields
