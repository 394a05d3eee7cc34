r"""JSON on its way to PostgreSQL: one document a batch, foreign content inside of it as escaped text.

One NUL, lone surrogate or NaN would fail a whole batch, so what came from outside travels as a string that holds JSON:
the database casts it to `json`, which checks its syntax and keeps its bytes. In there a NUL stays the escape `\u0000`
and comes back as it was; NaN and infinities become null, as JSON has neither; a lone surrogate becomes U+FFFD, as UTF-8
has none. In plain text columns (notes, failures, actors) a NUL becomes U+FFFD too.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from common.core.lifecycle import Ask, Detail
from common.core.task import Failure, Json, Plan

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
SURROGATES: Final = re.compile("[\ud800-\udfff]")


def foreign(value: Json) -> str:
    """Content that is not ours, as JSON text."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a lone surrogate, or an integer of more than 64 bits
        return json.dumps(_clean(value, nul="\x00"), ensure_ascii=False, separators=(",", ":"))


def document(value: Mapping[str, object] | Sequence[Mapping[str, object]]) -> str:
    """Our own rows as one JSON parameter. UUIDs and datetimes may stand in it."""
    try:
        text = orjson.dumps(value)
    except TypeError:
        text = orjson.dumps(_clean(value))
    # an escaped NUL is only legal doubly escaped, inside of `foreign` text; telling them apart is the slow path's work
    return (orjson.dumps(_clean(value)) if b"\\u0000" in text else text).decode()


def _clean(value: Any, nul: str = REPLACEMENT) -> Any:  # noqa: ANN401 - JSON in, JSON out
    if isinstance(value, str):
        return SURROGATES.sub(REPLACEMENT, value).replace("\x00", nul)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_clean(str(k), nul): _clean(v, nul) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v, nul) for v in value]
    return value


def plain(text: str) -> str:
    """A text column's content, without what UTF-8 or PostgreSQL cannot hold."""
    return str(_clean(text))


def seconds(duration: timedelta | None) -> float | None:
    """A duration as SQL adds it: seconds."""
    return None if duration is None else duration.total_seconds()


def failure_text(failure: Failure | None) -> str | None:
    """A failure as JSON text; its members are read in SQL, so no NUL may be in it."""
    return None if failure is None else document(failure.model_dump(mode="json"))


def detail_text(detail: Detail) -> str | None:
    """An event's detail as JSON text; None if there is nothing to say."""
    said: dict[str, object] = {}
    if detail.note is not None:
        said["note"] = detail.note
    if detail.failure is not None:
        said["failure"] = detail.failure.model_dump(mode="json", exclude_none=True)
    if detail.data:
        said["data"] = _clean(detail.data)
    return document(said) if said else None


def plan_fields(plan: Plan | None) -> dict[str, object]:
    """A plan's columns, named `plan_…`; empty without one."""
    if plan is None:
        return {}
    fields: dict[str, object] = {
        "plan_number": plan.number,
        "plan_steps": foreign([{"id": s.id, "action": s.action, "args": s.args} for s in plan.steps]),
        "plan_last_step": plan.steps[-1].id if plan.steps else "",
        "plan_risk_floor": plan.risk_floor.value,
        "plan_risk": plan.risk.value,
        "plan_reasons": foreign([r.model_dump(mode="json") for r in plan.reasons]),
        "plan_needs_approval": plan.needs_approval,
        "plan_kept_steps": plan.kept_steps,
        "plan_policy_version": plan.policy_version,
        "plan_source": plan.source,
    }
    if plan.cost_cap is not None:
        fields["plan_cost_cap"] = plan.cost_cap
    return fields


def ask_fields(ask: Ask | None) -> dict[str, object]:
    """The columns of what a person is asked, named `ask_…`; empty if nobody is."""
    if ask is None:
        return {}
    return {
        "ask_digest": ask.digest,
        "ask_requested_by": ask.requested_by,
        "ask_required": ask.required,
        "ask_expires_in": seconds(ask.expires_in),
    }


def uuids(ids: Sequence[UUID]) -> str:
    """Ids as the text of a PostgreSQL array, for `$1::uuid[]`."""
    return "{" + ",".join(map(str, ids)) + "}"
