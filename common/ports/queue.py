"""Tasks, leases and attempts: intake, claims, the gate, transitions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

from common.core.lifecycle import Ask, NextStep, Transition
from common.core.task import Effect, Plan, Request, Risk, State, Task


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
    economy: bool = False
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


APART: Final = timedelta(microseconds=1)  # between tasks that are stored together: they keep their order


@dataclass(frozen=True, slots=True)
class Added:
    """The ids that the submission stands for: new ones, or (`replayed`) those of the first that had the key."""

    ids: tuple[UUID, ...]
    replayed: bool = False
    at: datetime | None = None  # when the first was stored, and each of the others APART later; None if replayed


class AddRefused(StrEnum):
    """Why nothing of a submission was stored."""

    TOKEN = "token"  # noqa: S105 - revoked or expired since it was looked up
    KEY_CONFLICT = "key_conflict"  # the key was used with another body


KEYS_KEPT: Final = timedelta(days=7)  # so long an Idempotency-Key stands for what was first handed in with it
PATIENCE: Final = 10  # times as long lingers the text of a workspace whose money nears its limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Forming:
    """How texts that wait are cut into packs: of one workspace and one origin each (I12)."""

    tasks: int  # in a pack at most; so many need not wait for more
    packs: int  # at most in one claim
    linger: timedelta  # nor need a pack whose oldest has been due for so long
    patient: frozenset[UUID] = frozenset()  # workspaces where it is `PATIENCE` times as long
    economy: bool | None = False  # True: those that may wait hours, and no others; None: the same as all others


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What `Queue.claim` is asked for, as one value."""

    state: State
    worker: str
    limit: int
    lease: timedelta
    without: Collection[UUID] = ()


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
    DEADLINE = "deadline"  # it has passed since the claim
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


class Intake(Protocol):
    """Tasks come in, are looked up, and what only intake remembers is forgotten. A method is one commit."""

    def add(self, batch: Sequence[Submission]) -> list[Added | AddRefused]:
        """Store submissions, in order; each all or nothing, its events and plans with it (I1, I2).

        A token that is no longer valid, or has no role of operator or more, refuses its submission.
        """

    def known(self, submission: Submission) -> Added | AddRefused | None:
        """What its key stands for already: the first submission's ids, or KEY_CONFLICT; None: nothing. Stores nothing.

        Its tasks do not count, only token, route, key and body.
        """

    def get(self, workspace: UUID, ids: Sequence[UUID]) -> list[Task]:
        """Those of the ids that are this workspace's, in any order."""

    def forget(self, limit: int) -> int:
        """Retention: drop idempotency keys that are older than KEYS_KEPT, at most `limit`; how many."""


class Leases(Protocol):
    """Who may work on what, and until when. A method is one commit."""

    def claim(
        self, state: State, worker: str, limit: int, lease: timedelta, without: Collection[UUID] = ()
    ) -> list[Task]:
        """Lease due tasks of `received` or `queued` (they become analyzing, running), best `claim_order` first.

        Never two live leases on one (I3); fair between workspaces; of `queued` none of a paused workspace. `without`:
        workspaces whose tasks stay where they are. Nothing due: an empty list.
        """

    def claim_packs(self, worker: str, forming: Forming, lease: timedelta) -> list[list[Task]]:
        """Lease due tasks of `received` for analysis, those of a pack together; best `claim_order` first.

        A pack is of one workspace, origin and `economy`. It is taken once it is full, or has a task of priority 9, or
        its oldest has lingered. Fair between workspaces; never two live leases on one (I3). None ready: an empty list.
        """

    def renew(self, held: Sequence[tuple[UUID, int]], lease: timedelta) -> frozenset[UUID]:
        """Extend leases by (task, lease_no), never shorten one; the ids that still hold."""

    def due(self, limit: int) -> list[Task]:
        """Tasks whose `next_check_at` has passed and that nobody claims: lost leases, expired approvals, reminders.

        A running task with an attempt that may still be in flight (before its `must_end_by` + GRACE) is not due.
        """

    def next_due(self, state: State) -> timedelta | None:
        """How long until the next task of `received` or `queued` becomes due that is not yet; None: there is none."""

    def next_pack(self, forming: Forming) -> timedelta | None:
        """How long until a pack may be ready that is not yet: its oldest has lingered, or another task becomes due.

        None: nothing waits. Zero: something is ready.
        """

    def hasten(self, workspace: UUID, waiting_for: str) -> int:
        """What a workspace's received and queued tasks wait for (`budget`) has come: they are due now; how many."""

    def awaited(self, workspace: UUID, tasks: Sequence[UUID], linger: timedelta) -> int:
        """Somebody waits for these: their texts, if they are due, have waited for company as if for so long; how many.

        Not of those that wait for something by name, nor of those that may wait hours.
        """


class Changes(Protocol):
    """Attempts begin and states change, under the lease that allows it. A method is one commit."""

    def begin(self, wanted: Sequence[Begin]) -> list[Begun | NotBegun]:
        """Put on record that attempts are about to begin: the gate (I4, I6). In the order of `wanted`.

        Locks all that it reads: tasks, pause and policy rows, approvals. The lease lasts to the attempt's end + GRACE.
        """

    def apply(self, batch: Sequence[Transition | NextStep]) -> frozenset[UUID]:
        """Apply those whose guards still hold, one event each (a NextStep: none); return their ids.

        A stale one is left out, not raised; its `ended` is still appended to its attempt, if that is open or unknown
        (I3). Sent again, a batch applies nothing twice. A batch names a task at most once.
        """

    def apply_then_claim(
        self, batch: Sequence[Transition | NextStep], claim: Claim
    ) -> tuple[frozenset[UUID], list[Task]]:
        """As `apply`, and then as `claim`: one commit where every row can be written, and one round trip.

        The claim sees what the batch has left behind: a task that it gave back, and that is due, may be claimed anew.
        """

    def request_cancel(self, workspace: UUID, task: UUID, note: str | None, actor: str) -> bool:
        """Ask that a task under a lease be cancelled once no attempt is open. False of any other."""


class Queue(Intake, Leases, Changes, Protocol):
    """The three over one store. Whoever needs one of them asks for that one."""
