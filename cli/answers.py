"""The server's answers as the command line reads them: plain JSON with names.

Building the models of common/api costs 0.35 s, more than a whole answer may take; a test holds these to those.
"""

from __future__ import annotations

from typing import TypeAlias, TypedDict

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class StepView(TypedDict):
    """One step of a plan."""

    id: str
    action: str
    args: dict[str, Json]


class PlanView(TypedDict):
    """A plan."""

    number: int
    steps: list[StepView]
    source: str


class WaitingView(TypedDict):
    """What a task waits for."""

    what: str
    since: str
    look_again_at: str | None
    who: str | None
    command: str | None


class ReasonView(TypedDict):
    """Why it is how risky."""

    rule: str
    step: str | None
    floor: str
    text: str


class ErrorView(TypedDict):
    """What went wrong last."""

    code: str
    step: str | None
    status: int | None
    detail: str | None


class OutcomeView(TypedDict):
    """How it ended."""

    note: str | None
    actor: str


class TaskView(TypedDict):
    """A task."""

    id: str
    state: str
    waiting_for: WaitingView | None
    text: str | None
    inputs: dict[str, Json] | None
    kind: str | None
    risk: str | None
    reasons: list[ReasonView]
    priority: int
    plan: PlanView | None
    attempts: int
    result: Json
    error: ErrorView | None
    outcome: OutcomeView | None
    cost_usd: str
    requested_by: str
    created_at: str
    finished_at: str | None
    tags: list[str]


class TaskPage(TypedDict):
    """A page of tasks."""

    items: list[TaskView]
    next: str | None


class EventView(TypedDict):
    """A history row."""

    task_id: str
    seq: int
    kind: str
    from_state: str | None
    to_state: str
    at: str
    actor: str
    text: str
    detail: dict[str, Json] | None


class EventPage(TypedDict):
    """A task's history."""

    items: list[EventView]
    next: str | None


class DecisionView(TypedDict):
    """A decision so far."""

    person: str
    verdict: str
    note: str | None
    at: str


class ApprovalView(TypedDict):
    """What waits for approval."""

    task_id: str
    digest: str
    plan: PlanView
    summary: list[str]
    risk: str
    reasons: list[ReasonView]
    worst_cost_usd: str
    requested_by: str
    expires_at: str
    required: int
    decisions: list[DecisionView]
    may_decide: bool


class CacheEntry(TypedDict):
    """A remembered answer."""

    key: str
    request: str
    kind: str
    model: str
    prompt_version: str
    cost_usd: str
    saved_usd: str
    hits: int
    checks: int
    created_at: str
    last_used_at: str


class CachePage(TypedDict):
    """Remembered answers."""

    items: list[CacheEntry]
    next: str | None


class CacheEntryView(CacheEntry):
    """One, with what was answered."""

    summary: str
    risk: str | None
    confidence: float | None
    priority: int | None
    plan: PlanView


class CacheDroppedView(TypedDict):
    """What was forgotten."""

    dropped: int
    fast: bool


class SettingView(TypedDict):
    """A setting."""

    name: str
    version: int
    value: Json
    inherited: bool


class PersonView(TypedDict):
    """A member."""

    id: str
    name: str
    role: str


class TokenView(TypedDict):
    """A token, without its secret."""

    id: str
    kind: str
    person: str
    role: str
    expires_at: str | None
    created_at: str


class SecretView(TokenView):
    """A new token."""

    secret: str


class CodeView(TypedDict):
    """A sign-in code."""

    code: str
    url: str
    expires_in: int


class PauseView(TypedDict):
    """Whether execution is stopped."""

    paused: bool
    why: str | None


class FaultView(TypedDict, total=False):
    """One fault of the content."""

    pointer: str
    detail: str
    hint: str


class ProblemView(TypedDict, total=False):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FaultView] | None
    state: str | None
    digest: str | None
