"""The five functions over the memory adapters, in one process: what unit tests of endpoints stand on."""

from __future__ import annotations

import hashlib
import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

from fastapi import FastAPI
from starlette.testclient import TestClient

from common.actions.catalogue import Catalogue
from common.actions.contract import Generated
from common.adapters.memory.answers import MemoryAnswers
from common.adapters.memory.approvals import MemoryApprovals
from common.adapters.memory.batches import MemoryBatches
from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.costs import MemoryCosts
from common.adapters.memory.front import MemoryFront
from common.adapters.memory.people import MemoryPeople
from common.adapters.memory.queue import MemoryQueue
from common.adapters.memory.reads import MemoryReads
from common.adapters.memory.store import MemoryStore
from common.adapters.memory.workspace import MemoryWorkspace
from common.adapters.system_clock import SystemClock
from common.analysis.batches.batched import Batched
from common.analysis.money.prices import TABLE
from common.analysis.money.quote import Quote
from common.auth import Doorkeeper
from common.config import Settings
from common.core.policy import Policy
from common.core.task import Failure, Task
from common.ports import Answer, HttpFailure, HttpRequest, HttpResponse, NotAnswered, Question, Role
from common.routes import FUNCTIONS, FunctionName
from common.wiring import Container, Thinker


@dataclass
class Told:
    """A notifier that remembers."""

    kinds: list[str] = field(default_factory=list)

    def publish(self, kinds: Sequence[str]) -> None:
        """Remember."""
        self.kinds += kinds


@dataclass
class FarSide:
    """An outbound HTTP that answers as it is told to."""

    answers: list[HttpResponse | HttpFailure] = field(default_factory=list)
    seen: list[HttpRequest] = field(default_factory=list)
    refuses: str = ""  # a body that holds it is answered 500
    before: Callable[[], None] = lambda: None  # what happens between sending and answering

    def send(self, request: HttpRequest, policy: Policy) -> HttpResponse:  # noqa: ARG002 - the port's
        """The next answer; 200 once there is none."""
        self.seen.append(request)
        self.before()
        if self.refuses and self.refuses in (request.body or b"").decode():
            return HttpResponse(status=500, headers={}, body=b"", url=request.url)
        answer = (
            self.answers.pop(0) if self.answers else HttpResponse(status=200, headers={}, body=b"{}", url=request.url)
        )
        if isinstance(answer, HttpFailure):
            raise answer
        return answer


@dataclass
class Reader:
    """An analyzer that says what it is told to."""

    answer: Answer | NotAnswered = field(default_factory=lambda: NotAnswered(failure=Failure(code="no_recipe")))
    has_model: bool = False

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """What it was told to say is not known without asking."""
        return [None] * len(questions)

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """As told."""
        return [self.answer] * len(questions)

    def generate(self, task: Task, prompt: str, max_tokens: int, schema: object) -> Generated:  # noqa: ARG002 - the port's
        """As long as asked."""
        return Generated(text="x" * max_tokens)


@dataclass
class Desk:
    """Clients of the functions, and what they stand on."""

    container: Container
    store: MemoryStore
    workspace: UUID
    told: Told
    far: FarSide
    reader: Reader
    clients: dict[FunctionName, TestClient]
    moved: list[timedelta]

    def token(self, role: Role, name: str = "") -> dict[str, str]:
        """Headers of a new person with that role."""
        secret = f"aiw_{role}{name}"
        person = self.container.people.add_person(self.workspace, name or role, role)
        token = hashlib.sha256(secret.encode()).hexdigest()
        self.container.people.issue(self.workspace, person.id, "api", token, None)
        return {"Authorization": f"Bearer {secret}"}

    def elapse(self, span: timedelta) -> None:
        """As if so much time had passed in the store."""
        self.moved[0] += span

    def wake(self, *names: FunctionName) -> None:
        """Wake functions, in order."""
        for name in names:
            assert self.clients[name].post("/").status_code == 200
            if name == "execute":
                self._until_idle()

    def _until_idle(self) -> None:
        """Effects run on after the wake was answered: wait until each has ended and what it did is written."""
        runner = cast(FastAPI, self.clients["execute"].app).state.function._runner
        until = time.monotonic() + 10
        while not runner.idle:
            assert time.monotonic() < until, "an effect does not end"
            time.sleep(0.005)
        runner._recorder.record([]).result(10)


@contextmanager
def desk(
    thinks: Callable[[Container], Thinker] | None = None,
    by_batches: Callable[[Container], Batched | None] | None = None,
    **settings: str,
) -> Iterator[Desk]:
    """The five functions, started; stopped at the end.

    `thinks`: who reads and writes, instead of a Reader. `by_batches`: who reads within hours, instead of nobody.
    """
    moved = [timedelta(0)]
    store = MemoryStore(lambda: datetime.now(UTC) + moved[0])
    workspace = store.add_workspace("default")
    clock, people, told, far, reader = SystemClock(), MemoryPeople(store), Told(), FarSide(), Reader()
    quote = Quote(TABLE, "claude-haiku-5-5", attempts=5)
    container = Container(
        settings=Settings(public_url="http://testserver", **settings),  # type: ignore[arg-type]  # a test's own values
        clock=clock,
        queue=MemoryQueue(store),
        reads=MemoryReads(store),
        approvals=MemoryApprovals(store),
        workspace=MemoryWorkspace(store),
        people=people,
        budget=MemoryBudget(store),
        costs=MemoryCosts(store),
        quote=quote,
        notifier=told,
        answers=MemoryAnswers(store),
        front=MemoryFront(),
        analyzer=reader,
        batches=MemoryBatches(store),
        batched=None,
        http=far,
        catalogue=Catalogue.shipped(quote=quote),
        doorkeeper=Doorkeeper(people, clock),
        worker="test",
        ready=lambda: None,
        close=lambda: None,
    )
    if thinks is not None:
        container = replace(container, analyzer=thinks(container))
    if by_batches is not None:
        container = replace(container, batched=by_batches(container))
    with ExitStack() as stack:
        clients = {name: stack.enter_context(TestClient(over(name, container, stack))) for name in FUNCTIONS}
        yield Desk(container, store, workspace, told, far, reader, clients, moved)


def over(name: FunctionName, container: Container, stack: ExitStack) -> FastAPI:
    """A function's app over another container."""
    app: FastAPI = importlib.import_module(f"functions.{name}.handler").app
    app.state.given = container
    stack.callback(delattr, app.state, "given")  # the app is its module's: the next test may want a real one
    return app
