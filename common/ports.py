"""What the lifecycle asks of the outside: each docstring is the contract, tests/contract proves it for every adapter.

Every method may raise StoreUnavailable (or, where it says so, another Unavailable) and nothing else but what it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, Protocol
from uuid import UUID

from common.core.lifecycle import Ask, NextStep, Transition
from common.core.policy import Policy
from common.core.task import Effect, Event, Failure, Json, Plan, Request, Risk, State, Step, Task

Role = Literal["viewer", "operator", "approver", "admin"]


# --- who ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a person in one workspace, with one role, by one token."""

    person: UUID
    person_name: str
    workspace: UUID
    role: Role
    kind: Literal["api", "session"]
    token_sha256: str


# --- intake ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A task about to exist. `target`: received; queued, with plan; awaiting_approval, with plan and `ask`."""

    id: UUID
    workspace: UUID
    request: Request
    priority: int
    target: State
    actor: str
    kind: str | None = None
    plan: Plan | None = None
    ask: Ask | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One POST: all of its tasks are added, or none. `key` is its Idempotency-Key, if it has one."""

    token_sha256: str
    tasks: tuple[NewTask, ...]
    route: str = "POST /api/v1/tasks"
    key: str | None = None
    body_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Added:
    """The ids that the submission stands for: new ones, or (`replayed`) those of the first that had the key."""

    ids: tuple[UUID, ...]
    replayed: bool = False
    at: datetime | None = None  # when they were stored; None if replayed


class AddRefused(StrEnum):
    """Why nothing of a submission was stored."""

    TOKEN = "token"  # noqa: S105 - revoked or expired since it was looked up
    KEY_CONFLICT = "key_conflict"  # the key was used with another body


# --- the gate -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """An attempt that wants to begin; everything here was computed from what the worker holds in its hand."""

    task_id: UUID
    lease_no: int
    step_id: str
    plan_number: int
    effect: Effect
    idempotency_key: str
    args_sha256: str
    risk: Risk  # of the whole plan with this step's resolved values, under `policy_version`
    needs_approval: bool
    digest: str | None  # of the plan in the worker's hand; None only if no approval is needed
    policy_version: int
    timeout: timedelta  # the attempt must end within it


class Refusal(StrEnum):
    """Why an attempt did not begin; Python explains it and does not decide again."""

    STALE = "stale"  # the lease is another's, or over: drop it
    CANCELLED = "cancelled"  # a cancel was asked for
    PAUSED = "paused"
    POLICY_CHANGED = "policy_changed"  # assess again under the present policy, and ask again
    APPROVAL_NEEDED = "approval_needed"  # none, not decided, expired, other digest, or the risk outgrew it
    COST_CAP = "cost_cap"
    UNDECIDED = "undecided"  # an attempt of this step is open, done or unknown (I6)


@dataclass(frozen=True, slots=True)
class Begun:
    """May run, until `must_end_in` has passed on the worker's monotonic clock."""

    task_id: UUID
    step_id: str
    number: int
    must_end_in: timedelta


@dataclass(frozen=True, slots=True)
class NotBegun:
    """May not run."""

    task_id: UUID
    step_id: str
    why: Refusal


class Queue(Protocol):
    """Tasks, leases, attempts. A method is one commit."""

    def add(self, batch: Sequence[Submission]) -> list[Added | AddRefused]:
        """Store submissions, in order; each all or nothing, its events and plans with it (I1, I2).

        A token that is no longer valid, or has no role of operator or more, refuses its submission.
        """

    def claim(self, state: State, worker: str, limit: int, lease: timedelta) -> list[Task]:
        """Lease due tasks of `received` or `queued` (they become analyzing, running), best `claim_order` first.

        Never two live leases on one (I3); fair between workspaces; of `queued` none of a paused workspace.
        Nothing due: an empty list.
        """

    def renew(self, held: Sequence[tuple[UUID, int]], lease: timedelta) -> frozenset[UUID]:
        """Extend leases by (task, lease_no), never shorten one; the ids that still hold."""

    def begin(self, wanted: Sequence[Begin]) -> list[Begun | NotBegun]:
        """Put on record that attempts are about to begin: the gate (I4, I6). In the order of `wanted`.

        Locks all that it reads: tasks, pause and policy rows, approvals. Extends the lease to the attempt's end + 5 s.
        """

    def apply(self, batch: Sequence[Transition | NextStep]) -> frozenset[UUID]:
        """Apply those whose guards still hold, one event each (a NextStep: none); return their ids.

        A stale one is left out, not raised; its `ended` is still appended to its attempt, if that is open or unknown
        (I3). Sent again, a batch applies nothing twice. A batch names a task at most once.
        """

    def request_cancel(self, workspace: UUID, task: UUID, note: str | None, actor: str) -> bool:
        """Ask that a running or analyzing task be cancelled once no attempt is open. False in any other state."""

    def due(self, limit: int) -> list[Task]:
        """Tasks whose `next_check_at` has passed and that nobody claims: lost leases, expired approvals, reminders.

        A running task with an attempt that may still be in flight (before its `must_end_by` + 5 s) is not due.
        """

    def next_due(self, state: State) -> timedelta | None:
        """How long until the next task of `received` or `queued` becomes due that is not yet; None: there is none."""

    def get(self, workspace: UUID, ids: Sequence[UUID]) -> list[Task]:
        """Those of the ids that are this workspace's, in any order."""


# --- approvals and people's decisions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A person's verdict over a digest that the person saw."""

    person: UUID
    verdict: Literal["approved", "rejected"]
    digest: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision as stored."""

    person: UUID
    person_name: str
    verdict: str
    note: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """An open approval: what waits, or what was approved and is not yet spent."""

    id: UUID
    task_id: UUID
    plan_number: int
    digest: str
    requested_by: UUID
    requested_by_name: str
    required: int
    expires_at: datetime
    valid_until: datetime | None  # set by the last required decision
    decisions: tuple[Decided, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A task that waits for a person and of which nobody has been told since."""

    task: Task
    requested_by_name: str
    approval: Approval | None


class Verdict(StrEnum):
    """How a decision ended."""

    APPLIED = "applied"
    STALE = "stale"  # the task or its digest is another by now
    EXPIRED = "expired"
    ALREADY = "already"  # this person has decided this approval
    SELF = "self"  # the requester may not


class Approvals(Protocol):
    """Approvals, decisions and announcements."""

    def open(self, workspace: UUID, task: UUID) -> Approval | None:
        """The task's open approval, decided or not."""

    def valid(self, workspace: UUID, task: UUID, digest: str) -> bool:
        """Whether the open approval has this digest, its required decisions, and time left."""

    def decide(self, decision: Decision, then: Transition, *, self_allowed: bool) -> Verdict:
        """Store the decision and apply `then` (approved or rejected) in one commit, or neither."""

    def unannounced(self, limit: int) -> list[Notice]:
        """Tasks in awaiting_approval or manual whose newest event nobody has been told of."""

    def announced(self, told: Sequence[tuple[UUID, int]]) -> None:
        """Remember (task, event_seq) as told."""

    def remind(self, tasks: Sequence[UUID], again: timedelta) -> None:
        """Of tasks in `manual` that are due: announce once more, look again after `again`. No event."""


# --- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """A task with all that its page shows. Nothing is masked here; common/api.py masks by role."""

    task: Task
    requested_by_name: str
    created_at: datetime
    finished_at: datetime | None
    since: datetime  # when it entered its present state
    next_check_at: datetime | None
    paused: bool
    last_actor: str  # of the newest event
    last_note: str | None
    failure: Failure | None  # the newest
    result: Json = None  # the last step's output, when done
    has_result: bool = False
    cost_nanodollars: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """What a list is narrowed to; `before` is the cursor: ids older than this."""

    states: tuple[State, ...] = ()
    risk: Risk | None = None
    kind: str | None = None
    tag: str | None = None
    q: str | None = None  # in the text, case-insensitive
    since: datetime | None = None
    until: datetime | None = None
    before: UUID | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """An event with its actor's name, and its place in the workspace's stream."""

    event: Event
    actor_name: str
    position: str  # opaque, ordered; what Last-Event-ID carries


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """One line of the queue's depth."""

    state: State
    priority: int
    tasks: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """Depth by state and priority, age of the oldest due, live leases by worker."""

    depth: tuple[Depth, ...]
    leases: dict[str, int] = field(default_factory=dict)


class Reads(Protocol):
    """Everything that is only looked at. Every read takes the workspace; another's object is absent."""

    def tasks(self, workspace: UUID, filters: TaskFilter) -> list[TaskRecord]:
        """Newest first, at most `limit` + 1 (one more tells that there is a next page)."""

    def task(self, workspace: UUID, task: UUID) -> TaskRecord | None:
        """One task; None if it is not this workspace's."""

    def resolve_id(self, workspace: UUID, ending: str) -> list[UUID]:
        """The ids (two at most) that end with these hex digits."""

    def events(self, workspace: UUID, task: UUID, after_seq: int = 0) -> list[EventRecord]:
        """A task's history, oldest first."""

    def workspace_events(self, workspace: UUID, after: str | None, limit: int) -> list[EventRecord]:
        """The workspace's events after a position, up to the oldest running transaction, so that none is ever skipped.

        `after` None: the newest position only (an empty list, or its last event).
        """

    def settled(self, ids: Sequence[UUID]) -> frozenset[UUID]:
        """Those that are terminal, awaiting approval or manual: what a `?wait=` waits for."""

    def result(self, workspace: UUID, task: UUID, step: str) -> Json | None:
        """A done step's output; None if there is none."""

    def queue(self, workspace: UUID) -> QueueView:
        """The queue's depth."""

    def counts(self, workspace: UUID) -> dict[State, int]:
        """Tasks by live state (terminal ones are not counted)."""


# --- settings and people --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """A setting of a workspace (or what it inherits from the installation), as stored."""

    name: str
    version: int  # of the workspace's own row; 0 if it inherits
    value: Json
    inherited: bool


class Workspace(Protocol):
    """Settings, policy and pause."""

    def policy(self, workspace: UUID) -> Policy:
        """The effective settings now."""

    def settings(self, workspace: UUID) -> list[SettingRow]:
        """Every setting by name."""

    def put(self, workspace: UUID, name: str, value: Json, expected: int | None, by: UUID) -> SettingRow | None:
        """Change one; None if `expected` is given and is not the present version. Raises the policy's version."""

    def pause(self, workspace: UUID, why: str | None, by: UUID) -> None:
        """Stop all execution (`why`) or resume it (None). Once it returns, no attempt begins."""

    def workspaces_reassessable(self, limit: int) -> list[Task]:
        """Tasks that wait for an approval under an older policy than the present one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A member of the workspace."""

    id: UUID
    name: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token as listed: never its secret."""

    id: str  # the first 16 hex digits of its hash
    kind: Literal["api", "session", "sign_in_code"]
    person_name: str
    role: Role
    expires_at: datetime | None
    created_at: datetime


class People(Protocol):
    """Who may do what: people, memberships and tokens (only hashes of their secrets)."""

    def principal(self, token_sha256: str) -> Principal | None:
        """Whose valid api or session token this is."""

    def people(self, workspace: UUID) -> list[Person]:
        """Members, by name."""

    def add_person(self, workspace: UUID, name: str, role: Role) -> Person:
        """A new person with a membership."""

    def remove_person(self, workspace: UUID, person: UUID) -> bool:
        """End the membership and every token of it. False if there is none; Conflict if it is the last admin's."""

    def tokens(self, workspace: UUID) -> list[TokenRow]:
        """Valid tokens."""

    def issue(
        self,
        workspace: UUID,
        person: UUID,
        kind: Literal["api", "session", "sign_in_code"],
        token_sha256: str,
        expires_in: timedelta | None,
        role: Role | None = None,
    ) -> TokenRow:
        """Store a token's hash. `role`: at most the person's own (None: that). NotFound if the person is no member."""

    def revoke(self, workspace: UUID, token_id: str) -> bool:
        """End a token by its id or its full hash. False if there is none."""

    def redeem(self, code_sha256: str, session_sha256: str, expires_in: timedelta) -> Principal | None:
        """Turn a sign-in code into a session, once: of two at the same time one gets None."""


# --- money ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of a call by kind; `input` excludes what was read from or written to the prompt cache."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """A paid call about to be made. Money is integer nanodollars."""

    workspace: UUID
    purpose: str  # "analysis", "preview", "generate"
    model: str
    prompt_version: str
    reserve: int
    task_ids: tuple[UUID, ...] = ()
    deadline: timedelta = timedelta(minutes=10)  # then, unless settled, it is assumed billed


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView:
    """The month so far, in nanodollars."""

    month: str
    cap: int
    spent: int
    reserved: int


class Budget(Protocol):
    """Money: reserved before a call, settled after it; reserved + spent never passes the cap (I7)."""

    def reserve(self, call: CallRequest) -> UUID | None:
        """The call's id; None if the cap would be passed. A call row committed before the request."""

    def settle(self, call: UUID, usage: Usage, cost: int) -> None:
        """It was answered: book what it cost, in full even if more than reserved. Once; later ones do nothing."""

    def void(self, call: UUID) -> None:
        """It certainly was not billed: the reservation is given back."""

    def assume_billed(self, call: UUID) -> None:
        """Nobody knows: booked in full."""

    def expire(self) -> int:
        """Assume billed every call whose deadline passed unsettled; how many."""

    def month(self, workspace: UUID) -> BudgetView:
        """The present month."""


# --- the model, the wire, wakes -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A task to be analysed: what a person wrote, what was tried, what is already done."""

    task: Task
    policy: Policy
    purpose: Literal["analysis", "preview"] = "analysis"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A plan for it, as checked against the real actions. `risk` None: nobody claimed one (rules)."""

    kind: str
    steps: tuple[Step, ...]
    source: str
    risk: Risk | None = None
    priority: int | None = None
    summary: str = ""
    cost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAnswered:
    """No plan. `again_in` None: it goes to a person (`failure` says why); else it is deferred, by name."""

    failure: Failure
    again_in: timedelta | None = None
    waiting_for: str | None = None  # "budget", "provider"
    cost: int = 0


class Analyzer(Protocol):
    """Reads a task and says how to do it."""

    @property
    def has_model(self) -> bool:
        """Whether there is a model to ask now, so that a failed plan may be thought over again. A key may come."""

    def analyze(self, question: Question) -> Answer | NotAnswered:
        """Never raises what it can say in a NotAnswered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """An outbound request of an action; `secret`-free by construction (I11)."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float = 30.0  # seconds, whole
    from_settings: bool = (
        False  # the URL is an admin's (a channel, a function), not a plan's: private addresses are allowed
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """Its answer, redirects followed."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str


class HttpFailure(Exception):
    """No answer. `sent`: whether a byte of the request may have reached the far side."""

    def __init__(self, code: str, *, sent: bool, detail: str = "") -> None:
        """`code`: connect_failed, dns_failed, tls_failed, timeout, reset, refused_address, too_large and so on."""
        super().__init__(detail or code)
        self.code = code
        self.sent = sent


class Http(Protocol):
    """Requests to the world: resolved once, private addresses refused unless listed; size, time, redirects limited."""

    def send(self, request: HttpRequest, policy: Policy) -> HttpResponse:
        """HttpFailure if there is no answer."""


class Notifier(Protocol):
    """Wakes: they carry no authority and no work, and may be lost."""

    def publish(self, kinds: Sequence[str]) -> None:
        """Tell that such things happened (`aiw.task.queued`, …). Never raises: a lost wake costs a minute."""


class Clock(Protocol):
    """This process's monotonic time and randomness; stored times are PostgreSQL's."""

    def monotonic(self) -> float:
        """Seconds."""

    def unix_ms(self) -> int:
        """Milliseconds since 1970, for ids only."""

    def draw(self) -> float:
        """Uniform in [0, 1)."""

    def entropy(self, size: int) -> bytes:
        """Random bytes."""


WAKE_KINDS = {
    State.RECEIVED: "aiw.task.received",
    State.QUEUED: "aiw.task.queued",
    State.AWAITING_APPROVAL: "aiw.approval.requested",
    State.MANUAL: "aiw.task.manual",
    State.SUCCEEDED: "aiw.task.finished",
    State.CANCELLED: "aiw.task.finished",
}


def wakes_of(states: Sequence[State]) -> list[str]:
    """The kinds of wake that tasks arriving in these states are worth, each once."""
    return sorted({WAKE_KINDS[s] for s in states if s in WAKE_KINDS})
