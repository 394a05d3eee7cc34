"""What a contract test stands on: one set of adapters over one store, two workspaces, people, and values to put in."""

# ruff: noqa: ANN401 - what a test overrides may be any field of the value that it makes

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.core.digest import approval_digest, args_sha256, idempotency_key
from common.core.lifecycle import Ask, Ended, NextStep, Transition, move
from common.core.task import Effect, Event, OutcomeKind, Plan, Request, Risk, State, Step, Task, uuid7
from common.ports import (
    Added,
    Answers,
    Approvals,
    Batches,
    Begin,
    Begun,
    Budget,
    Costs,
    Decision,
    NewTask,
    NotBegun,
    People,
    Person,
    Queue,
    Reads,
    Refusal,
    Submission,
    Verdict,
    Workspace,
)

LEASE = timedelta(seconds=60)
DAY = timedelta(hours=24)
_ids = itertools.count(1)


def fresh_id() -> UUID:
    """A UUIDv7 that no other call returns."""
    return uuid7(1_700_000_000_000 + next(_ids), next(_ids).to_bytes(10, "big"))


def secret(name: str) -> str:
    """A token's hash."""
    return hashlib.sha256(f"{name}{next(_ids)}".encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person with a valid token in a workspace."""

    person: Person
    token: str

    @property
    def id(self) -> UUID:
        """The person's."""
        return self.person.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The adapters of one kind over one store."""

    queue: Queue
    approvals: Approvals
    workspace: Workspace
    people: People
    budget: Budget
    costs: Costs
    batches: Batches
    answers: Answers
    reads: Reads
    home: UUID
    neighbour: UUID  # another workspace
    now: Callable[[], datetime]  # the store's clock
    elapse: Callable[[timedelta], None]  # as if that much time had passed in the store
    asks: Member  # operator at home
    decides: Member  # approver at home
    rules: Member  # admin at home
    outsider: Member  # operator in the other workspace

    # --- putting in ---------------------------------------------------------------------------------------------

    def version(self, home: UUID | None = None) -> int:
        """The policy's version now."""
        return self.workspace.policy(home or self.home).version

    def plan(self, *steps: Step, number: int = 1, risk: Risk = Risk.LOW, needs_approval: bool | None = None) -> Plan:
        """A plan as the policy would have decided it."""
        return Plan(
            number=number,
            steps=steps or (step("one"), step("two")),
            source="typed",
            risk_floor=risk,
            risk=risk,
            needs_approval=risk is not Risk.LOW if needs_approval is None else needs_approval,
            policy_version=self.version(),
        )

    def new(
        self,
        target: State = State.QUEUED,
        *,
        plan: Plan | None = None,
        by: Member | None = None,
        priority: int = 5,
        economy: bool = False,
        **request: Any,
    ) -> NewTask:
        """A task about to exist, with the approval that it needs."""
        who = by or self.asks
        home = self.neighbour if who is self.outsider else self.home
        task = fresh_id()
        if plan is None and target is not State.RECEIVED:
            plan = self.plan(risk=Risk.HIGH if target is State.AWAITING_APPROVAL else Risk.LOW)
        ask = None
        if target is State.AWAITING_APPROVAL and plan is not None:
            ask = Ask(digest=approval_digest(home, task, plan), requested_by=who.id, expires_in=DAY)
        return NewTask(
            id=task,
            workspace=home,
            request=Request(**{"text": "fetch the price page", "requested_by": who.id, **request}),
            priority=priority,
            target=target,
            actor=f"person:{who.id}",
            economy=economy,
            plan=plan,
            ask=ask,
        )

    def submit(self, target: State = State.QUEUED, *, by: Member | None = None, **new: Any) -> Task:
        """A stored task."""
        wanted = self.new(target, by=by, **new)
        [added] = self.queue.add([Submission(token_sha256=(by or self.asks).token, tasks=(wanted,))])
        assert isinstance(added, Added), added
        assert added.ids == (wanted.id,)
        return self.get(wanted.id, wanted.workspace)

    def running(self, **new: Any) -> Task:
        """A task under a fresh lease of worker `w`."""
        return self.claimed(self.submit(**new))

    def claimed(self, task: Task, worker: str = "w") -> Task:
        """The task, claimed by name among whatever else is due."""
        state = State.RECEIVED if task.state is State.RECEIVED else State.QUEUED
        return next(t for t in self.queue.claim(state, worker, 100, LEASE) if t.id == task.id)

    def approved(self, risk: Risk = Risk.HIGH, *, plan: Plan | None = None, **request: Any) -> Task:
        """A queued task whose plan a person has approved."""
        chosen = plan or self.plan(risk=risk)
        task = self.submit(State.AWAITING_APPROVAL, plan=chosen, **request)
        assert self.decide(task) is Verdict.APPLIED
        return self.get(task.id)

    def manual(self, **new: Any) -> Task:
        """A task that a person has to look at."""
        task = self.running(**new)
        assert self.apply(move(task, "gave_up", State.MANUAL, DAY, "execute"))
        return self.get(task.id)

    # --- doing --------------------------------------------------------------------------------------------------

    def get(self, task: UUID, home: UUID | None = None) -> Task:
        """The task as it is now."""
        [found] = self.queue.get(home or self.home, [task])
        return found

    def decide(self, task: Task, verdict: str = "approved", *, by: Member | None = None, **changed: Any) -> Verdict:
        """A person's verdict over what waits."""
        assert task.plan is not None
        digest = changed.pop("digest", approval_digest(task.workspace, task.id, task.plan))
        who = by or self.decides
        yes = verdict == "approved"
        target, kind = (State.QUEUED, "approved") if yes else (State.CANCELLED, "rejected")
        then = move(task, kind, target, timedelta(0) if yes else None, f"person:{who.id}")
        decision = Decision(
            person=who.id,
            verdict="approved" if yes else "rejected",
            digest=digest,
            token_sha256=changed.pop("token", who.token),
        )
        return self.approvals.decide(decision, then, self_allowed=changed.pop("self_allowed", True))

    def begin(self, task: Task, name: str = "one", **changed: Any) -> Begun | NotBegun:
        """The gate's answer to one attempt."""
        [answer] = self.queue.begin([self.wants(task, name, **changed)])
        return answer

    def begun(self, task: Task, name: str = "one", **changed: Any) -> Begun:
        """An attempt that began."""
        answer = self.begin(task, name, **changed)
        assert isinstance(answer, Begun), answer
        return answer

    def refused(self, task: Task, name: str = "one", **changed: Any) -> Refusal:
        """Why the gate refused."""
        answer = self.begin(task, name, **changed)
        assert isinstance(answer, NotBegun), answer
        return answer.why

    def wants(self, task: Task, name: str = "one", **changed: Any) -> Begin:
        """An attempt as a worker that holds the task would ask for it."""
        assert task.plan is not None
        sha = args_sha256("value", {})
        asked: dict[str, Any] = {
            "task_id": task.id,
            "lease_no": task.lease_no,
            "step_id": name,
            "plan_number": task.plan.number,
            "effect": Effect.NON_IDEMPOTENT,
            "idempotency_key": idempotency_key(task.id, sha, 0),
            "args_sha256": sha,
            "risk": task.plan.risk,
            "needs_approval": task.plan.needs_approval,
            "digest": approval_digest(task.workspace, task.id, task.plan) if task.plan.needs_approval else None,
            "policy_version": self.version(task.workspace),
            "timeout": timedelta(seconds=30),
        }
        return Begin(**{**asked, **changed})

    def apply(self, change: Transition | NextStep) -> bool:
        """Whether one change was applied."""
        applied = self.queue.apply([change])
        assert applied <= {change.task_id}
        return bool(applied)

    def events(self, task: Task) -> list[Event]:
        """Its history."""
        return [record.event for record in self.reads.events(task.workspace, task.id)]

    def kinds(self, task: Task) -> list[str]:
        """Its history, by kind."""
        return [event.kind for event in self.events(task)]

    def by_person(self, ended: Ended) -> Ended:
        """An end as a person gave it."""
        return replace(ended, decided_by=str(self.decides.id))

    def due_ids(self) -> set[UUID]:
        """What maintenance would look at."""
        return {task.id for task in self.queue.due(100)}


def step(name: str, **args: Any) -> Step:
    """A step of a plan."""
    return Step(id=name, action="value", args={"value": 1, **args})


def done(name: str = "one", number: int | None = 1, output: Any = None) -> Ended:
    """An attempt that did it."""
    return Ended(step_id=name, number=number, outcome=OutcomeKind.DONE, output=output)


def unknown(name: str = "one", number: int | None = 1) -> Ended:
    """An attempt of which nobody knows."""
    return Ended(step_id=name, number=number, outcome=OutcomeKind.UNKNOWN)


def not_done(name: str = "one", number: int | None = 1) -> Ended:
    """An attempt that surely did nothing."""
    return Ended(step_id=name, number=number, outcome=OutcomeKind.NOT_DONE)


def succeeded(task: Task, ended: Ended | None = None) -> Transition:
    """Its last step is done."""
    return move(task, "succeeded", State.SUCCEEDED, None, "execute", ended=ended)


def retry(task: Task, seconds: float = 0, ended: Ended | None = None) -> Transition:
    """Once more, later."""
    return move(task, "retry_planned", State.QUEUED, timedelta(seconds=seconds), "execute", ended=ended)


def lease_lost(task: Task, ended: Ended | None = None) -> Transition:
    """As maintenance writes it."""
    return move(task, "lease_lost", State.QUEUED, timedelta(0), "schedule", ended=ended, only_if_due=True)


def gave_up(task: Task, ended: Ended | None = None) -> Transition:
    """To a person."""
    return move(task, "gave_up", State.MANUAL, DAY, "execute", ended=ended)
