"""Claim packs, ask the analyzer, let policy decide. Several packs at once; each is written as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.analysis.money.door import LOOK_AGAIN
from common.analysis.planning import plan_for
from common.claim_loop import Turn
from common.core.after_analysis import after_failure, batch_room
from common.core.errors import Unavailable
from common.core.lifecycle import Detail, Transition, move
from common.core.policy import Policy, destination
from common.core.spending import Standing, standing
from common.core.task import PRIORITY_DEFAULT, Failure, State, Task
from common.ports import (
    Analyzer,
    Answer,
    Budget,
    Clock,
    Forming,
    NotAnswered,
    Notifier,
    Question,
    Queue,
    Workspace,
)
from common.telemetry import log_stranger
from common.transitions import write

ACTOR: Final = "analyze"
# Of what failed together each waits as long as the others, so that it is packed again.
JITTER: Final = 0.25
LOOK: Final = 1.0  # seconds after which somebody may have come while others are read
URGENT: Final = 9  # a priority that waits for nobody
PROVIDER_DOWN: Final = timedelta(seconds=30)

EXHAUSTED: Final = NotAnswered(failure=Failure(code="over_budget"), again_in=LOOK_AGAIN, waiting_for="budget")
# Nobody is in haste: looked at again when the limit may have been raised, or a new month has begun.
SPARED: Final = NotAnswered(failure=Failure(code="budget_spared"), again_in=timedelta(hours=1), waiting_for="budget")

Asked = dict[Future[list[Transition]], list[Task]]  # what is being read, and of whom


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What an analyst works with."""

    queue: Queue
    workspace: Workspace
    analyzer: Analyzer
    budget: Budget
    catalogue: Catalogue
    clock: Clock
    notifier: Notifier
    worker: str
    lease: timedelta
    claim_tasks: int  # without a model
    at_once: int  # packs
    pack_tasks: int
    linger: timedelta
    beside: timedelta = timedelta(seconds=50)  # so long others are begun beside a pack that takes its time
    one_call: Callable[[], int] = lambda: 0  # nanodollars of the smallest call's worst case
    batches: bool = False  # the provider answers within hours at half the price, and somebody else sees to those


@dataclass(frozen=True, slots=True)
class Moment:
    """What holds for a workspace while a claim is read."""

    policy: Policy
    stands: Standing


class Analyst:
    """Reads received tasks."""

    def __init__(self, means: Means, pool: Executor, draining: Callable[[], bool] = lambda: False) -> None:
        """`pool`: the packs at once. `draining`: whether to release instead of asking."""
        self._means = means
        self._pool = pool
        self._draining = draining
        self._patient: set[UUID] = set()  # workspaces that were last seen near their limit

    def turn(self) -> Turn:
        """Claim once and have all of it read."""
        asked = self._begun(self._means.at_once)
        if not asked:
            soon = self._next()
            in_ms = None if soon is None else int(soon.total_seconds() * 1000) + 1
            return Turn(claimed=0, done=0, full=False, wake_in_ms=in_ms)
        # `full`: whatever was deferred meanwhile is found by one more claim, which says when it is due.
        claimed, done = self._write_all(asked)
        return Turn(claimed=claimed, done=done, full=True, wake_in_ms=None)

    # --- claiming ---------------------------------------------------------------------------------------------------

    def _begun(self, packs: int) -> Asked:
        """Claim so many packs at most and have them read."""
        claimed = self._claimed(packs)
        moments = {w: self._moment(w) for w in {pack[0].workspace for pack in claimed}}
        return {self._pool.submit(self._read, pack, moments[pack[0].workspace]): pack for pack in claimed}

    def _moment(self, workspace: UUID) -> Moment:
        """Looked at once a claim, whatever is claimed of a workspace."""
        means = self._means
        policy = means.workspace.policy(workspace)
        if not means.analyzer.has_model:
            return Moment(policy, Standing.NORMAL)
        stands = standing(means.budget.month(workspace), means.one_call())
        (self._patient.discard if stands is Standing.NORMAL else self._patient.add)(workspace)
        return Moment(policy, stands)

    def _claimed(self, packs: int) -> list[list[Task]]:
        """Packs to ask about; without a model all that is due, for nobody waits for anybody then."""
        means = self._means
        if means.analyzer.has_model:
            return together(means.queue.claim_packs(means.worker, self._forming(packs), means.lease))
        return together(
            [task] for task in means.queue.claim(State.RECEIVED, means.worker, means.claim_tasks, means.lease)
        )

    def _next(self) -> timedelta | None:
        means = self._means
        if means.analyzer.has_model:
            return means.queue.next_pack(self._forming(means.at_once))
        return means.queue.next_due(State.RECEIVED)

    def _forming(self, packs: int) -> Forming:
        means = self._means
        return Forming(
            tasks=means.pack_tasks,
            packs=packs,
            linger=means.linger,
            patient=frozenset(self._patient),
            economy=False if means.batches else None,
        )

    # --- writing ----------------------------------------------------------------------------------------------------

    def _write_all(self, asked: Asked) -> tuple[int, int]:
        """Write each as it comes; how many were claimed, and how many moved.

        Beside one that takes long, others are begun: who comes meanwhile waits for a place, not for its end.
        """
        means, began = self._means, self._means.clock.monotonic()
        claimed, done, renewed = sum(map(len, asked.values())), 0, began
        while asked:
            ended, _ = wait(asked, min(LOOK, means.lease.total_seconds() / 3), FIRST_COMPLETED)
            moves = [change for future in ended for change in future.result()]
            done += len(write(means.queue, means.notifier, moves)) if moves else 0
            asked = {future: pack for future, pack in asked.items() if future not in ended}
            now = means.clock.monotonic()
            if asked and now - renewed >= means.lease.total_seconds() / 3:
                means.queue.renew([(task.id, task.lease_no) for pack in asked.values() for task in pack], means.lease)
                renewed = now
            if asked and now - began < means.beside.total_seconds():
                more = self._beside(asked)
                claimed, asked = claimed + sum(map(len, more.values())), asked | more
        return claimed, done

    def _beside(self, asked: Asked) -> Asked:
        """What is begun beside others: as many packs as there is place for, and of a claim that fills it one more."""
        means = self._means
        if len(asked) >= means.at_once or self._draining() or not means.analyzer.has_model:
            return {}
        full = sum(-(-len(pack) // means.pack_tasks) for pack in asked.values())
        try:
            return self._begun(max(1, means.at_once - full))
        except Unavailable:  # those under way are paid for: they are seen to their end
            return {}

    # --- reading ----------------------------------------------------------------------------------------------------

    def _read(self, pack: Sequence[Task], moment: Moment) -> list[Transition]:
        """What follows from each; never raises: an answer that cannot be had goes to a person or waits."""
        means = self._means
        early = {task.id: self._early(task) for task in pack}
        asked = [task for task in pack if early[task.id] is None]
        questions = [Question(task=task, policy=moment.policy, standing=moment.stands) for task in asked]
        said = iter(self._said(questions))
        now = datetime.fromtimestamp(means.clock.unix_ms() / 1000, UTC)
        follows: list[Transition] = []
        spread = 0.0
        for task in pack:
            change = early[task.id]
            if change is None:
                answer = next(said)
                if isinstance(answer, NotAnswered) and answer.again_in is not None:
                    spread = spread or 1 + JITTER * means.clock.draw()
                    answer = replace(answer, again_in=answer.again_in * spread)
                change = self._follows(task, answer, moment.policy, now)
            follows.append(change)
        return follows

    def _early(self, task: Task) -> Transition | None:
        """What follows without asking."""
        if self._draining():
            return move(task, "released", State.RECEIVED, timedelta(0), ACTOR)
        if task.cancel_requested:
            return move(task, "cancelled", State.CANCELLED, None, ACTOR)
        if task.deadline_in is not None and task.deadline_in <= timedelta(0):
            return after_failure(task, Failure(code="deadline_passed"), ACTOR)
        return None

    def _follows(self, task: Task, said: Answer | NotAnswered, policy: Policy, now: datetime) -> Transition:
        if isinstance(said, Answer):
            try:
                return decided(task, said, policy, self._means.catalogue, now)
            except Exception as exc:  # noqa: BLE001 - what nobody foresaw of one task is not its neighbours' end
                log_stranger("analysis", exc)
                said = _unforeseen(exc)
        if said.failure == SPARED.failure and self._means.batches:
            detail, waits = Detail(failure=said.failure), said.waiting_for
            pause = timedelta(0)
            return move(task, "deferred", State.RECEIVED, pause, ACTOR, detail=detail, waiting_for=waits, economy=True)
        return after_failure(task, said.failure, ACTOR, said.again_in, said.waiting_for)

    def _said(self, questions: Sequence[Question]) -> Sequence[Answer | NotAnswered]:
        if not questions:
            return ()
        try:
            return self._asked(questions)
        except Unavailable as exc:
            down = NotAnswered(failure=Failure(code=exc.code), again_in=PROVIDER_DOWN, waiting_for="provider")
        except Exception as exc:  # noqa: BLE001 - an analyzer is a plug-in; what was not foreseen goes to a person
            log_stranger("analysis", exc)
            down = _unforeseen(exc)
        return [down] * len(questions)

    def _asked(self, questions: Sequence[Question]) -> Sequence[Answer | NotAnswered]:
        """Answers, as far as there is money: near its limit the unimportant waits, without any all but what is free."""
        means = self._means
        if not means.analyzer.has_model:
            return means.analyzer.analyze(questions)
        stands = questions[0].standing
        if stands is Standing.NORMAL:
            return means.analyzer.analyze(questions)
        said: list[Answer | NotAnswered | None] = [*means.analyzer.recall(questions)]
        for place, question in enumerate(questions):
            if said[place] is None and stands is Standing.EXHAUSTED:
                said[place] = EXHAUSTED
            elif said[place] is None and may_wait(question.task, batches=means.batches):
                said[place] = SPARED
        left = [question for question, known in zip(questions, said, strict=True) if known is None]
        asked = iter(means.analyzer.analyze(left) if left else ())
        return [next(asked) if known is None else known for known in said]


def together(packs: Iterable[list[Task]]) -> list[list[Task]]:
    """Packs that are asked about together: of one workspace and origin (I12).

    Under load several are claimed at once: what some of them have in common is asked once, their calls are full again
    without it, and what a stronger model is to read shares calls. Who is in haste waits for no other pack.
    """
    alike: dict[tuple[object, ...], list[Task]] = {}
    for number, pack in enumerate(packs):
        urgent = any(task.priority >= URGENT for task in pack)
        alike.setdefault((pack[0].workspace, pack[0].request.origin, number if urgent else None), []).extend(pack)
    return list(alike.values())


def _unforeseen(exc: Exception) -> NotAnswered:
    return NotAnswered(failure=Failure(code="unusable_answer", detail=type(exc).__name__))


def may_wait(task: Task, *, batches: bool) -> bool:
    """Whether it is put off while money nears its limit: unimportant, and with time for it.

    By a batch only what nothing has happened to yet: what a batch could not answer is read directly.
    """
    if task.priority >= PRIORITY_DEFAULT:
        return False
    if batches:
        return task.failure is None and batch_room(task) is not None
    return task.deadline_in is None or task.deadline_in > 2 * (SPARED.again_in or timedelta(0))


def decided(task: Task, answer: Answer, policy: Policy, catalogue: Catalogue, now: datetime) -> Transition:
    """The transition that an answer leads to: policy decides, whatever the answer says (I5)."""
    plan = plan_for(task, answer, policy, catalogue, now)
    if isinstance(plan, Failure):
        return after_failure(task, plan, ACTOR)
    target, ask = destination(task, plan)
    return move(
        task,
        "plan_decided",
        target,
        ask.expires_in if ask else timedelta(0),
        ACTOR,
        plan=plan,
        ask=ask,
        kind_of_task=answer.kind,
        priority=None if task.request.priority_given else answer.priority,
        detail=Detail(data={"escalated": answer.escalated}) if answer.escalated else Detail(),
    )
