"""`POST /preview`: what a request would become, told without storing a task."""

from __future__ import annotations

from starlette.requests import Request as HttpRequest

from common import api
from common.analysis.planning import plan_for
from common.core.policy import destination
from common.core.task import Failure, Lang, Plan, State
from common.ports import Answer, NotAnswered, Question
from common.views import plan_view, reasons_view
from common.web import ReaderLang, Who, Wired
from common.wiring import Container

from .intake import intake_of
from .recalled import as_task
from .submit import new_task, sender


def preview(body: api.TaskRequest, wired: Wired, who: Who, lang: ReaderLang, request: HttpRequest) -> api.Preview:
    """What would be done, without storing a task. A paid call leaves its row. TooMany."""
    policy = wired.workspace.policy(who.workspace)
    sent = sender(wired, who, lang, policy)
    new = new_task(body, sent, "#")
    if new.plan is not None:
        return _previewed(new.kind, new.plan, new.target, wired, lang)
    task = as_task(new)
    question = Question(task=task, policy=policy, purpose="preview")
    answer: Answer | NotAnswered | None
    [answer] = wired.analyzer.recall([question])
    if answer is None:
        with intake_of(request).previewing():
            [answer] = wired.analyzer.analyze([question])
    if isinstance(answer, NotAnswered):
        waits = State.MANUAL if answer.again_in is None else State.RECEIVED
        return _unplanned(waits, answer.cost)
    plan = plan_for(task, answer, policy, wired.catalogue, sent.now)
    if isinstance(plan, Failure):
        return _unplanned(State.MANUAL, answer.cost)
    target, _ = destination(task, plan)
    return _previewed(answer.kind, plan, target, wired, lang, answer.cost)


def _unplanned(state: State, cost: int) -> api.Preview:
    return api.Preview(
        kind=None, risk=None, reasons=[], plan=None, summary=[], next_state=state, estimate_usd=api.usd(cost)
    )


def _previewed(kind: str | None, plan: Plan, target: State, wired: Container, lang: Lang, cost: int = 0) -> api.Preview:
    return api.Preview(
        kind=kind,
        risk=plan.risk,
        reasons=reasons_view(plan.reasons, lang),
        plan=plan_view(plan, masked=False),
        summary=[wired.catalogue.sentence(step, lang) for step in plan.steps],
        next_state=target,
        # Reading it, and all that its plan may write: what handing it in would cost at most.
        estimate_usd=api.usd(cost + (plan.cost_cap or 0)),
    )
