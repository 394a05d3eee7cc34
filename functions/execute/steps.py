"""One step of a task: what it may do next, running it, and what follows. What both turns and threads ask."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final
from uuid import UUID

from common.core.after_step import Began, Done, Limits, Outcome, after_step
from common.core.lifecycle import NextStep
from common.core.policy import Policy
from common.core.task import Effect, Json, Step, Task
from common.ports import Begun
from common.telemetry import count_attempt
from common.transitions import Settled

from .context import Means, StepContext
from .prepare import ACTOR, Free, Want, prepare

# How long a policy is kept: the gate compares its version, so an older one only costs a round.
POLICY_SECONDS: Final = 1.0
LIMITS_SECONDS: Final = 1.0  # asking whether there is a key now is a look at a file
# A claim brings all results of a hundred tasks: without a bound for each, 12 tasks of 50 MB took 1.4 GB and 30 s.
RESULTS_OF_A_TASK: Final = 8  # times the limit of one result
FREE_SECONDS: Final = 30.0  # a step without effect that takes longer is a mistake of its action


class Steps:
    """Decides and runs steps under the policies and limits of this moment. Any thread may ask."""

    def __init__(self, means: Means) -> None:
        """`means`: what they work with."""
        self._means = means
        self._policies: dict[UUID, tuple[float, Policy]] = {}
        self._known_limits = (-inf, Limits())

    def advance(self, tasks: Sequence[Task]) -> tuple[list[Settled], list[Want], list[Task]]:
        """One step of each: what is to be written, what wants to begin, and which tasks go on at once."""
        settled: list[Settled] = []
        wants: list[Want] = []
        ran: list[tuple[Free, Outcome]] = []
        for task in tasks:
            ready = self.prepare(task)
            if isinstance(ready, Want):
                wants.append(ready)
            elif isinstance(ready, Free):
                ran.append((ready, self.act(ready.task, ready.step, "", self._means.clock.monotonic() + FREE_SECONDS)))
            else:
                settled.append(ready)
        # Not each with its step: what runs by turns finds the processor's caches full of the other's code.
        going: list[Task] = []
        for free, outcome in ran:
            follows, after = self.settle(free.task, free.step, outcome, None)
            settled.append(follows)
            going += [after] if after else []
        return settled, wants, going

    def prepare(self, task: Task, *, fresh: bool = False) -> Settled | Free | Want:
        """What the task may do next. `fresh`: under the policy as it is now, not as it was a second ago."""
        means = self._means
        policy = self.policy(task.workspace, fresh=fresh)
        return prepare(task, policy, means.catalogue, self._limits(), means.clock.draw())

    def act(self, task: Task, step: Step, key: str, ends_at: float) -> Outcome:
        """Run it. `key`: its idempotency key; `ends_at`: on the monotonic clock."""
        means = self._means
        policy = self.policy(task.workspace)
        ctx = StepContext(task, policy, key, ends_at, means.clock, means.http, means.model)
        limit = means.result_bytes
        kept = sum(_size(attempt.output, limit) for attempt in task.trail if attempt.output is not None)
        return kept_small(means.catalogue.run(step, ctx), min(limit, max(0, RESULTS_OF_A_TASK * limit - kept)))

    def settle(
        self, task: Task, step: Step, outcome: Outcome, begun: tuple[Want, Begun] | None
    ) -> tuple[Settled, Task | None]:
        """The outcome as what follows; with the task as it goes on, if it does."""
        effect = begun[0].effect if begun else Effect.NONE
        began = Began(step, effect, begun[1].number if begun else None)
        follows = after_step(task, began, outcome, self._limits(), self._means.clock.draw(), ACTOR)
        count_attempt(outcome)
        if isinstance(follows, NextStep) and isinstance(outcome, Done):
            return follows, task.after(step.id, outcome.output)
        return follows, None

    def policy(self, workspace: UUID, *, fresh: bool = False) -> Policy:
        """A workspace's, at most a second old."""
        now = self._means.clock.monotonic()
        known = self._policies.get(workspace)
        if known is None or fresh or known[0] < now:
            known = (now + POLICY_SECONDS, self._means.workspace.policy(workspace))
            self._policies[workspace] = known
        return known[1]

    def _limits(self) -> Limits:
        now = self._means.clock.monotonic()
        if self._known_limits[0] < now:
            self._known_limits = (now + LIMITS_SECONDS, self._means.limits())
        return self._known_limits[1]


def kept_small(outcome: Outcome, limit: int) -> Outcome:
    """A result over the inline limit is done, not kept, and a person looks: never "not done"."""
    if isinstance(outcome, Done) and _size(outcome.output, limit) > limit:
        return Done(too_large=True)
    return outcome


def _size(value: Json, limit: int) -> int:
    """Roughly the bytes of its JSON; stops counting past the limit."""
    if isinstance(value, str):
        return len(value) if len(value) > limit else len(value.encode(errors="replace"))
    if isinstance(value, list):
        total = 0
        for item in value:
            total += 1 + _size(item, limit)
            if total > limit:
                break
        return total
    if isinstance(value, dict):
        return _size([*value, *value.values()], limit)
    return 8
