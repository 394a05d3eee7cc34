"""Tasks as a model may see them. Pure: the clock is an argument, and so is everything else that is said."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from common.analysis.history import kept_steps, why_failed
from common.core.task import Failure, Json, PlanSource, Task
from common.ports import Question

# Everything but the text itself is bounded, so that no task's circumstances crowd out its pack's other texts.
DETAIL_MAX: Final = 500  # characters of why something failed: read by people, and by the model when it thinks again
NAMES_MAX: Final = 100
NAME_MAX: Final = 64
SHAPE_DEPTH: Final = 3  # of a result: further in a plan seldom refers
SHAPE_KEYS: Final = 20


def content_of(questions: Sequence[Question], nonces: Sequence[str], mistakes: Mapping[str, str], now: datetime) -> str:
    """The user message: one JSON object in which no text can end its own delimiter, since `<` is escaped everywhere.

    Args:
        questions: of one workspace and one origin (I12).
        nonces: of each its own.
        mistakes: by nonce, why the answer before could not be used.
        now: the present time, aware.
    """
    policy = questions[0].policy
    said: dict[str, Json] = {
        "now": local_time(now, policy.time_zone).isoformat(timespec="minutes"),
        "time_zone": policy.time_zone,
        "functions": list[Json](sorted(policy.functions)[:NAMES_MAX]),
        "channels": list[Json](sorted(policy.channels)[:NAMES_MAX]),
        "items": [_item(q.task, nonce, mistakes.get(nonce)) for q, nonce in zip(questions, nonces, strict=True)],
    }
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    # Lone surrogates cannot be sent as UTF-8; the text is only read, so a replacement does no harm.
    text = text.replace("<", "\\u003c").encode("utf-8", "replace").decode()
    return f"<tasks>\n{text}\n</tasks>"


def _item(task: Task, nonce: str, mistake: str | None) -> dict[str, Json]:
    said: dict[str, Json] = {"nonce": nonce, "language": task.request.lang, "text": task.request.text or ""}
    if task.request.inputs:
        said["inputs"] = _names(task.request.inputs)
    finished = _finished(task)
    if finished:
        said["finished"] = finished
    failure = why_failed(task)
    if failure is not None:
        said["failure"] = _failure(task, failure)
    if mistake is not None:
        said["mistake"] = mistake[:DETAIL_MAX]
    return said


def local_time(now: datetime, time_zone: str) -> datetime:
    """The time there; as it is given where nobody knows the zone."""
    try:
        return now.astimezone(ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError):
        return now


def _names(inputs: dict[str, Json]) -> dict[str, Json]:
    """Names and types, never values."""
    return {name[:NAME_MAX]: _type(inputs[name]) for name in list(inputs)[:NAMES_MAX]}


def _type(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "string", list: "array", dict: "object"}[type(value)]


def _shape(value: Json, depth: int = SHAPE_DEPTH) -> Json:
    """Keys and types of a result, so that a further step can refer into it; never what it says."""
    if isinstance(value, dict) and depth:
        return {key[:NAME_MAX]: _shape(value[key], depth - 1) for key in list(value)[:SHAPE_KEYS]}
    if isinstance(value, list) and depth and value:
        return [_shape(value[0], depth - 1)]
    return _type(value)


def _finished(task: Task) -> list[Json]:
    """Steps that are done or may be: what they were, and the shape of what they brought."""
    done = task.done
    found: list[Json] = []
    for step in kept_steps(task):
        entry: dict[str, Json] = {"id": step.id, "action": step.action}
        if step.id in done:
            entry |= {"state": "done", "result": _shape(done[step.id])}
        else:
            entry["state"] = "may have happened"
        found.append(entry | _arguments(task, step.args))
    return found


def _failure(task: Task, failure: Failure) -> dict[str, Json]:
    """Why the earlier plan stopped. What the far side said of it may be hostile: cut, and inside the delimiter."""
    said: dict[str, Json] = {"code": failure.code}
    if failure.status is not None:
        said["status"] = failure.status
    if failure.detail:
        said["detail"] = failure.detail[:DETAIL_MAX]
    step = next((s for s in task.plan.steps if s.id == failure.step), None) if task.plan else None
    if step is not None:
        said["step"] = {"id": step.id, "action": step.action, **_arguments(task, step.args)}
    return said


def _arguments(task: Task, args: dict[str, Json]) -> dict[str, Json]:
    """Arguments as planned. Stored steps have values of inputs filled in, and a resolved plan results: then none."""
    hidden = bool(task.request.inputs) or task.plan is None or task.plan.source == PlanSource.RESOLVED
    return {} if hidden else {"args": args}
