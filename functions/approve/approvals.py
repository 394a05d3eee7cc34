"""What waits for approval, and the one decision over exactly what was seen. GET only shows; a POST decides, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

from common import api
from common.core.digest import approval_digest
from common.core.errors import Conflict, NotFound, SelfApproval, StaleDigest
from common.core.lifecycle import Detail, move
from common.core.task import Lang, State, Task
from common.ports import Decision, Principal, TaskRecord, Verdict
from common.transitions import tell
from common.views import approval_view, task_view
from common.web import ReaderLang, TaskRef, Who, Wired
from common.wiring import Container

# Two reads, between which the plan may be replaced: a digest is only ever shown beside the steps that it is over (I4).
LOOKS: Final = 5


def get_approval(id: TaskRef, wired: Wired, who: Who, lang: ReaderLang) -> api.Approval:
    """What waits: steps, sentences, risk and reasons, digest, expiry, decisions so far."""
    for _ in range(LOOKS):
        approval = wired.approvals.open(who.workspace, id)
        record = record_of(wired, who, id)
        plan = record.task.plan
        if approval is None or plan is None or record.task.state is not State.AWAITING_APPROVAL:
            msg = "nothing of this task waits for approval"
            raise NotFound(msg)
        if approval.plan_number == plan.number:
            break
    else:
        msg = "what waits changes at this moment: look again"
        raise Conflict(msg, state=record.task.state)
    policy = wired.workspace.policy(who.workspace)
    say = wired.catalogue.sentence
    return approval_view(approval, record, plan, say, who, lang, self_approval=policy.self_approval)


def approve(id: TaskRef, body: api.Decision, wired: Wired, who: Who, lang: ReaderLang) -> api.Task:
    """Let run exactly what the digest names."""
    return _decide(id, body, "approved", wired, who, lang)


def reject(id: TaskRef, body: api.Decision, wired: Wired, who: Who, lang: ReaderLang) -> api.Task:
    """End the task without running it."""
    return _decide(id, body, "rejected", wired, who, lang)


def _decide(
    id: UUID,
    body: api.Decision,
    verdict: Literal["approved", "rejected"],
    wired: Container,
    who: Principal,
    lang: Lang,
) -> api.Task:
    record = record_of(wired, who, id)
    task = record.task
    if task.state is not State.AWAITING_APPROVAL or task.plan is None:
        msg = f"this task is {task.state.value}: there is nothing to decide"
        raise Conflict(msg, state=task.state)
    # From the steps as they are now, not from what is stored with the approval: what changed must be seen again (I4).
    present = approval_digest(task.workspace, task.id, task.plan)
    if body.digest != present:
        raise _stale(task, present)
    detail = Detail(note=body.note)
    actor = f"person:{who.person}"
    then = (
        move(task, verdict, State.QUEUED, timedelta(0), actor, detail=detail)
        if verdict == "approved"
        else move(task, verdict, State.CANCELLED, None, actor, detail=detail)
    )
    self_allowed = wired.workspace.policy(who.workspace).self_approval or verdict == "rejected"
    decision = Decision(
        person=who.person, verdict=verdict, digest=body.digest, note=body.note, token_sha256=who.token_sha256
    )
    _explain(wired.approvals.decide(decision, then, self_allowed=self_allowed), task, present)
    tell(wired.notifier, [then])
    return task_view(record_of(wired, who, id), who.role, lang)


def _stale(task: Task, present: str | None) -> StaleDigest:
    msg = "look at what waits now, and decide over its digest"
    return StaleDigest(msg, state=task.state, digest=present)


def _explain(verdict: Verdict, task: Task, present: str) -> None:
    match verdict:
        case Verdict.APPLIED:
            return
        case Verdict.SELF:
            raise SelfApproval
        case Verdict.ISSUED:
            msg = "a token that the requester issued cannot approve it: sign in, or have another admin issue one"
            raise SelfApproval(msg)
        case Verdict.STALE:
            raise _stale(task, present)
        case Verdict.EXPIRED:
            msg = "the approval has expired: have the task tried again, and it will ask anew"
            raise Conflict(msg, state=task.state, digest=present)
        case Verdict.ALREADY:
            msg = "you have decided this already"
            raise Conflict(msg, state=task.state, digest=present)


def record_of(wired: Container, who: Principal, task: UUID) -> TaskRecord:
    """The task as it is now. NotFound if it is not the caller's workspace's."""
    record = wired.reads.task(who.workspace, task)
    if record is None:
        msg = f"no task {task}"
        raise NotFound(msg)
    return record
