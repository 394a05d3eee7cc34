"""The product in one thread over memory: the real functions, a clock that is moved by hand, and things that break."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.actions.value import Value
from common.actions.wait import Wait
from common.adapters.memory.approvals import MemoryApprovals
from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.people import MemoryPeople
from common.adapters.memory.queue import MemoryQueue
from common.adapters.memory.reads import MemoryReads
from common.adapters.memory.store import MemoryStore
from common.adapters.memory.workspace import MemoryWorkspace
from common.core.after_step import Limits
from common.core.errors import AppError
from common.core.task import Failure, Risk, Step
from common.ports import Added, Answer, CallRequest, NotAnswered, Principal, Question, Submission, Usage
from common.wiring import Container
from functions.analyze.analysis import Analyst, Means as AnalystMeans
from functions.execute.context import Means as RunnerMeans
from functions.execute.recorder import InlineRecorder
from functions.execute.run import Runner
from functions.schedule.maintenance import Maintenance
from tests.simulator.doing import MOVES
from tests.simulator.far_side import Act, FarSide, name_of
from tests.simulator.moves import CRASH, LATE, Move
from tests.simulator.oracle import Oracle
from tests.simulator.watched import WatchedQueue

T = TypeVar("T")
START: Final = datetime(2026, 1, 15, 12, tzinfo=UTC)
ATTEMPTS: Final = (2, 3, 5)  # of which a seed has one
WORKERS: Final = 3
COST: Final = 1_000
BUDGET_USD: Final = "0.000002"  # two calls at once; more wait


class Crash(BaseException):
    """A process dies here: nothing catches it, nothing is tidied up."""


class Numbered(Future[T]):
    """A future that sets keep in the order of submission: a history is the same each time."""

    def __init__(self, number: int) -> None:
        """`number`: which one it is."""
        super().__init__()
        self._number = number

    def __hash__(self) -> int:
        """Its number."""
        return self._number

    def __eq__(self, other: object) -> bool:
        """Itself only."""
        return self is other


class Inline(Executor):
    """Runs what is submitted at once; a crash goes through it as it goes through a process."""

    def __init__(self) -> None:
        """Nothing submitted yet."""
        self._submitted = 0

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:  # noqa: ANN401 - Executor's own
        """See Executor."""
        self._submitted += 1
        future: Numbered[T] = Numbered(self._submitted)
        future.set_result(fn(*args, **kwargs))
        return future


@dataclass(slots=True)
class Time:
    """One clock for the store and for every process (`ports.Clock`)."""

    random: Random
    seconds: float = 0.0

    def now(self) -> datetime:
        """PostgreSQL's."""
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """See Clock."""
        return self.seconds

    def unix_ms(self) -> int:
        """See Clock."""
        return int(self.now().timestamp() * 1000)

    def draw(self) -> float:
        """See Clock."""
        return self.random.random()

    def entropy(self, size: int) -> bytes:
        """See Clock."""
        return self.random.randbytes(size)


class Silence:
    """Wakes are always lost (`ports.Notifier`): only moves make anybody look."""

    def publish(self, kinds: Sequence[str]) -> None:
        """See Notifier."""


@dataclass(slots=True)
class Frame:
    """A move under way: how many points it has passed, and what is to happen at them."""

    move: Move
    passed: int = 0
    sent: bool = False


@dataclass(slots=True)
class Model:
    """An `Analyzer` behind the budget: it plans, claims a risk, defers, or fails, as the history says."""

    world: World
    has_model: bool = True
    moods: list[str] = field(default_factory=list)

    def analyze(self, question: Question) -> Answer | NotAnswered:
        """See Analyzer."""
        world, task = self.world, question.task
        world.point()
        wanted = CallRequest(
            workspace=task.workspace,
            purpose="analysis",
            model="m",
            prompt_version="1",
            reserve=COST,
            task_ids=(task.id,),
        )
        call = world.budget.reserve(wanted)
        world.oracle.look()
        if call is None:
            return NotAnswered(failure=Failure(code="budget"), again_in=timedelta(minutes=30), waiting_for="budget")
        world.point()
        mood = self.moods.pop(0) if self.moods else "ok"
        if mood == "reset_after":
            world.budget.assume_billed(call)
        elif mood == "busy":
            world.budget.void(call)
        else:
            world.budget.settle(call, Usage(input=10), COST * 3 // 4)
        world.oracle.look()
        return self._answer(task.id, task.replans, mood)

    def _answer(self, task: UUID, replans: int, mood: str) -> Answer | NotAnswered:
        match mood:
            case "busy":
                return NotAnswered(
                    failure=Failure(code="provider"), again_in=timedelta(seconds=30), waiting_for="provider"
                )
            case "refuse":
                return NotAnswered(failure=Failure(code="no_recipe"))
            case "large":
                raise ValueError("an answer that nobody foresaw")
        risk = Risk.HIGH if mood == "reset_before" else Risk.LOW
        self.world.oracle.said[task] = risk
        names = [f"m{replans}a", f"m{replans}b"]
        steps = [_act(task, names[0], "idempotent", "low"), _act(task, names[1], "non_idempotent", "low")]
        return Answer(kind="act", steps=tuple(steps), source="claude", risk=risk, priority=3)


class World:
    """A history's world. `play` makes one move; an invariant that does not hold is a Violation."""

    def __init__(self, seed: int, queue_type: type[MemoryQueue] = MemoryQueue, **broken: Any) -> None:  # noqa: ANN401 - adapters' types
        """`queue_type`, `broken`: deliberately wrong parts."""
        self.time = Time(Random(seed))
        self.limits = Limits(attempts=ATTEMPTS[seed % len(ATTEMPTS)], replans=2, model=True)
        self.store = MemoryStore(self.time.now)
        self.oracle = Oracle(self.store)
        self.frames: list[Frame] = []
        self.in_flight: list[Sequence[Any]] = []
        self.far = FarSide(self.time.monotonic, self.point, self._happened)
        self.queue = WatchedQueue(queue_type(self.store), self)
        self.workspace = MemoryWorkspace(self.store)
        self.budget: MemoryBudget = broken.get("budget", MemoryBudget)(self.store)
        self.approvals = broken.get("approvals", MemoryApprovals)(self.store, self.queue.inner)
        self.reads = MemoryReads(self.store)
        self.model = Model(self)
        self.catalogue = broken.get("catalogue", Catalogue)((Value(), Wait(), Act()))
        self.home = self.store.add_workspace("home")
        self._people()
        self.workspace.put(self.home, "budget_usd", BUDGET_USD, None, self.person)
        self.ids: list[UUID] = []
        self.last: Submission | None = None
        self.last_at = 0.0
        self.told: list[BaseException] = []
        self.draining = False  # every process that reads tasks is told to stop
        self.busy: set[int] = set()
        self.runners: dict[int, Runner] = {}

    def _people(self) -> None:
        people = MemoryPeople(self.store)
        self.person = people.add_person(self.home, "Ada", "admin").id
        people.issue(self.home, self.person, "api", "f" * 64, None)
        self.who = Principal(
            person=self.person,
            person_name="Ada",
            workspace=self.home,
            role="admin",
            kind="api",
            token_sha256="f" * 64,
        )
        self.wired = cast(Container, self)  # it has the parts of one that people's endpoints use

    # --- what functions take from a Container ---------------------------------------------------------------------

    @property
    def clock(self) -> Time:
        """For intake."""
        return self.time

    @property
    def notifier(self) -> Silence:
        """Wakes are lost."""
        return Silence()

    @property
    def analyzer(self) -> Model:
        """The model."""
        return self.model

    # --- things happen --------------------------------------------------------------------------------------------

    def point(self, batch: Sequence[Any] | None = None) -> None:
        """Something may happen here. `batch`: what is about to be applied, and may come late or twice."""
        if not self.frames:
            return
        frame = self.frames[-1]
        frame.passed += 1
        for at, what in frame.move.inside:
            if isinstance(what, Move):
                if at == frame.passed:
                    self.play(what)
            elif what == CRASH:
                if at == frame.passed:
                    raise Crash(CRASH)
            elif batch is not None and at <= frame.passed and not frame.sent:
                frame.sent = True  # the first batch from there on
                self.in_flight.append(batch)
                if what == LATE:
                    raise Crash(CRASH)

    def _happened(self, what: str, key: str, effect: Any) -> None:  # noqa: ANN401 - an Effect
        self.oracle.effect(what, key, effect, self.far)

    def play(self, move: Move) -> None:
        """One move, with whatever happens inside of it."""
        self.frames.append(Frame(move))
        try:
            MOVES[move.name](self, move)
        except (Crash, AppError) as exc:  # a process died, or a person was told no: both are part of a history
            self.told.append(exc)
        finally:
            self.frames.pop()
        self.oracle.look()

    @contextmanager
    def worker(self, pick: int) -> Any:  # noqa: ANN401 - an iterator of int
        """A process that is not under way; after a crash it is a new one."""
        idle = [n for n in range(WORKERS) if n not in self.busy]
        if not idle:
            yield None
            return
        number = idle[pick % len(idle)]
        self.busy.add(number)
        try:
            yield number
        except Crash:
            self.runners.pop(number, None)
            raise
        finally:
            self.busy.discard(number)

    def runner(self, number: int) -> Runner:
        """The process's runner, with what it remembers."""
        if number not in self.runners:
            means = RunnerMeans(
                queue=self.queue,
                workspace=self.workspace,
                catalogue=self.catalogue,
                http=self.far,
                clock=self.time,
                model=cast(Any, None),
                limits=lambda: self.limits,
                worker=f"w{number}",
                claim_tasks=3,
                effect_threads=2,
                result_bytes=1000,
            )
            recorder = InlineRecorder(self.queue, self.notifier)
            self.runners[number] = Runner(means, Inline(), recorder, lambda: None)
        return self.runners[number]

    def analyst(self, number: int) -> Analyst:
        """A process that reads tasks."""
        means = AnalystMeans(
            queue=self.queue,
            workspace=self.workspace,
            analyzer=self.model,
            catalogue=self.catalogue,
            clock=self.time,
            notifier=self.notifier,
            worker=f"a{number}",
            claim_tasks=3,
            at_once=2,
        )
        return Analyst(means, Inline(), lambda: self.draining)

    def maintenance(self) -> Maintenance:
        """The process that looks after what is due."""
        return Maintenance(
            queue=self.queue,
            approvals=self.approvals,
            workspace=self.workspace,
            budget=self.budget,
            notifier=self.notifier,
            catalogue=self.catalogue,
            clock=self.time,
            limits=lambda: self.limits,
        )

    def task(self, pick: int) -> UUID | None:
        """One of the tasks."""
        return self.ids[pick % len(self.ids)] if self.ids else None

    def add(self, submission: Submission) -> None:
        """As intake does; what is acknowledged is remembered."""
        [answer] = self.queue.add([submission])
        if isinstance(answer, Added):
            self.oracle.acknowledged.update(answer.ids)
            self.ids += [task for task in answer.ids if task not in self.ids]
        self.last, self.last_at = submission, self.time.seconds


def _act(task: UUID, name: str, effect: str, risk: str, note: object = None) -> Step:
    args: dict[str, Any] = {"what": name_of(task, name), "effect": effect, "risk": risk}
    return Step(id=name, action="act", args=args if note is None else {**args, "note": note})
