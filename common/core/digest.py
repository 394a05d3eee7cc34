"""What is signed off: digests over canonical JSON. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final
from uuid import UUID

import rfc8785

from common.core.task import Json, Plan

VERSION: Final = "v1"


def canonical(value: Json) -> bytes:
    """RFC 8785 JSON. ValueError for NaN, infinities, integers beyond 2**53 - 1, lone surrogates."""
    return rfc8785.dumps(value)


def approval_digest(workspace: UUID, subject: UUID, plan: Plan) -> str:
    """What an approver approves: task (or schedule), plan number, exact steps, cost cap, and the risk on record (I4).

    Computed by whoever holds the steps; stored with the approval, never beside the plan.
    """
    rules: list[Json] = [*sorted({r.rule for r in plan.reasons})]
    value: Json = {
        "workspace": str(workspace),
        "subject": str(subject),
        "plan": plan.number,
        "steps": [{"id": s.id, "action": s.action, "args": dict(s.args)} for s in plan.steps],
        "cost_cap": plan.cost_cap,
        "risk": plan.risk.value,
        "rules": rules,
    }
    return f"{VERSION}:sha256:{hashlib.sha256(canonical(value)).hexdigest()}"


def args_sha256(action: str, args: Mapping[str, Json]) -> str:
    """The hash of a step's resolved arguments, recorded with its attempt."""
    return hashlib.sha256(canonical({"action": action, "args": dict(args)})).hexdigest()


def idempotency_key(task: UUID, args_hash: str, ordinal: int) -> str:
    """The key under which an effect may be repeated: H(task, action, resolved arguments, ordinal of the step)."""
    return hashlib.sha256(f"{task}:{args_hash}:{ordinal}".encode()).hexdigest()[:32]
