"""The product in one thread over memory: the real functions, a clock that is moved by hand, and things that break."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Final, cast
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.actions.value import Value
from common.actions.wait import Wait
from common.adapters.memory.answers import MemoryAnswers
from common.adapters.memory.approvals import MemoryApprovals
from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.people import MemoryPeople
from common.adapters.memory.queue import MemoryQueue
from common.adapters.memory.reads import MemoryReads
from common.adapters.memory.store import MemoryStore
from common.adapters.memory.workspace import MemoryWorkspace
from common.core.after_step import Limits
from common.core.errors import AppError
from common.ports import Added, Principal, Submission
from common.wiring import Container
from functions.analyze.analysis import Analyst, Means as AnalystMeans
from functions.execute.context import Means as RunnerMeans
from functions.execute.recorder import InlineRecorder
from functions.execute.run import Runner
from functions.schedule.maintenance import Maintenance
from tests.simulator.doing import MOVES
from tests.simulator.far_side import Act, FarSide
from tests.simulator.model import Model
from tests.simulator.moves import CRASH, LATE, Move
from tests.simulator.one_thread import Crash, Inline, Silence, Time
from tests.simulator.oracle import Oracle
from tests.simulator.watched import WatchedQueue

ATTEMPTS: Final = (2, 3, 5)  # of which a seed has one
WORKERS: Final = 3
BUDGET_USD: Final = "0.000002"  # two calls at once; more wait


@dataclass(slots=True)
class Frame:
    """A move under way: how many points it has passed, and what is to happen at them."""

    move: Move
    passed: int = 0
    sent: bool = False


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
            budget=self.budget,
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
            answers=MemoryAnswers(self.store),
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
