"""What a runner works with, and what a running action gets of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from common.actions.catalogue import Catalogue
from common.actions.contract import Generated, HttpRequest, HttpResponse, Model
from common.core.after_step import Limits, NotDone, Unknown
from common.core.policy import Policy
from common.core.task import Json, Lang, Task
from common.ports import Clock, Http, Queue, Workspace


@dataclass(frozen=True, slots=True)
class StepContext:
    """The means of one running action (common.actions.contract.Context)."""

    task: Task
    policy: Policy
    idempotency_key: str
    ends_at: float  # on the monotonic clock
    clock: Clock
    http: Http
    model: Model

    @property
    def lang(self) -> Lang:
        """The task's language."""
        return self.task.request.lang

    def remaining(self) -> float:
        """See Context."""
        return max(0.0, self.ends_at - self.clock.monotonic())

    def send(self, request: HttpRequest) -> HttpResponse:
        """See Context."""
        return self.http.send(request, self.policy)

    def function_url(self, name: str) -> str:
        """See Context."""
        return self.policy.functions[name].url

    def generate(
        self, prompt: str, max_tokens: int, schema: Mapping[str, Json] | None
    ) -> Generated | NotDone | Unknown:
        """See Context."""
        return self.model.generate(self.task, prompt, max_tokens, schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a runner works with."""

    queue: Queue
    workspace: Workspace
    catalogue: Catalogue
    http: Http
    clock: Clock
    model: Model
    limits: Callable[[], Limits]
    worker: str
    lease: timedelta = timedelta(seconds=60)
    claim_tasks: int = 200
    # Where so many came together, more have come meanwhile: the next claim is made in the commit that ends them. After
    # fewer it would most often be empty, and somebody waits for that commit.
    several: int = 4
    effect_threads: int = 32
    result_bytes: int = 1_000_000
