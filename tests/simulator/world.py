"""The product in one thread over memory: the real functions, a clock that is moved by hand, and things that break."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any, Final, Literal, cast
from uuid import UUID

from common import api
from common.adapters.memory.answers import MemoryAnswers
from common.adapters.memory.approvals import MemoryApprovals
from common.adapters.memory.batches import MemoryBatches
from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.costs import MemoryCosts
from common.adapters.memory.queue import MemoryQueue
from common.adapters.memory.reads import MemoryReads
from common.adapters.memory.rows import SettingEntry, TokenEntry
from common.adapters.memory.store import MemoryStore
from common.adapters.memory.workspace import MemoryWorkspace
from common.analysis.chain import Chain
from common.core.after_step import Limits
from common.core.errors import AppError
from common.ports import Added, Principal, Submission
from common.wiring import Container
from functions.execute.context import Means as RunnerMeans
from functions.execute.recorder import InlineRecorder
from functions.execute.run import Runner
from functions.schedule.maintenance import Maintenance
from functions.schedule.retention import Retention
from tests.simulator.doing import MOVES
from tests.simulator.far_batches import FarBatches
from tests.simulator.far_side import Actions, FarSide, actions
from tests.simulator.grants import Grants
from tests.simulator.ledger import Ledger
from tests.simulator.moves import CRASH, LATE, Move
from tests.simulator.one_thread import Crash, Inline, Silence, Time
from tests.simulator.oracle import Oracle
from tests.simulator.provider import Provider
from tests.simulator.readers import Reading, chain_of, reading
from tests.simulator.readings import Readings
from tests.simulator.setup import Setup
from tests.simulator.situations import Met, Noted
from tests.simulator.watched import WatchedQueue
from tests.simulator.watched_money import Redis, WatchedAnswers, WatchedBatches, WatchedBudget

ATTEMPTS: Final = (2, 3, 5)  # of which a seed has one
WORKERS: Final = 3
STRICT: Final = 50  # of so many histories, in one everything is looked at after every step


@dataclass(slots=True)
class Frame:
    """A move under way: how many points it has passed, and what is to happen at them."""

    move: Move
    passed: int = 0
    sent: bool = False
    took: float | None = None  # when it first took flights: they end some time after that


class World:
    """A history's world. `play` makes one move; an invariant that does not hold is a Violation."""

    def __init__(
        self,
        seed: int,
        queue_type: type[MemoryQueue] = MemoryQueue,
        met: Met | None = None,
        **broken: Any,  # noqa: ANN401 - adapters' types
    ) -> None:
        """`queue_type`, `broken`: deliberately wrong parts. `met`: where situations are counted."""
        self.setup = Setup.of(seed)
        self.time = Time(Random(seed), self.setup.begins)
        self.limits_of_seed = (ATTEMPTS[seed % len(ATTEMPTS)], 2)
        self.store = MemoryStore(self.time.now)
        self.met = Met() if met is None else met
        self.store.stream = Noted(self.met)
        self.frames: list[Frame] = []
        self.in_flight: list[Sequence[Any]] = []
        self.far = FarSide(self.time.monotonic, self.point, self._happened)
        self.queue = WatchedQueue(queue_type(self.store), self)
        self.workspace = MemoryWorkspace(self.store)
        self.approvals = broken.get("approvals", MemoryApprovals)(self.store, self.queue.inner)
        self.reads = MemoryReads(self.store)
        self.catalogue = actions(broken.get("catalogue", Actions))
        self._money(broken)
        self.grants = Grants(self.store, self.readings)
        self.oracle = Oracle(self.store, self.readings, self.grants, is_strict=seed % STRICT == 0)
        self.people = [self._person("home", "Ada"), self._person("next door", "Bo")]
        self.home = self.people[0][0].workspace
        self.allow(self.setup.cap)
        self.ids: list[UUID] = []
        self.asked: tuple[api.TaskRequest, tuple[int, int]] | None = None  # what was asked for last, and by whom
        self.last: Submission | None = None
        self.last_at = 0.0
        self.told: list[BaseException] = []
        self.draining = False  # every process that reads tasks is told to stop
        self.dead = False  # the process of the innermost frame is: nothing of it runs any more
        self.busy: set[int] = set()
        self.started = 0
        self.runners: dict[int, Runner] = {}
        self.readers: dict[int, Reading] = {}
        self._maintenance: Maintenance | None = None
        self.notifier = Silence()  # wakes are lost
        self.wired = cast(Container, self)  # it has the parts of one that people's endpoints use
        self.analyzer: Chain = chain_of(self, "intake")

    def _money(self, broken: dict[str, Any]) -> None:
        """The provider, and whatever stands between it and the tasks."""
        self.provider = Provider(self, self.setup.batches)
        self.far_batches = FarBatches(self.provider)
        self.readings = Readings(self.store, self.provider.reader.marks)
        self.ledger = Ledger(self.store, self.provider.billed, self.far_batches.made)
        self.budget = WatchedBudget(broken.get("budget", MemoryBudget)(self.store), self)
        self.batches = WatchedBatches(broken.get("batches", MemoryBatches)(self.store), self)
        self.answers = WatchedAnswers(broken.get("answers", MemoryAnswers)(self.store), self)
        self.redis: Redis = broken.get("redis", Redis)()

    def _person(self, home: str, name: str) -> tuple[Principal, Principal]:
        """Somebody with a workspace of their own, by a program and by the dashboard: two origins of texts."""
        workspace, person = self.store.add_workspace(home), self.store.new_id()
        self.store.people[person], self.store.memberships[person, workspace] = name, "admin"
        made = []
        kinds: tuple[Literal["api", "session"], ...] = ("api", "session")
        for kind in kinds:
            token = f"{home} {kind}"
            self.store.tokens[token] = TokenEntry(token, kind, person, workspace, "admin", None, self.store.now)
            made.append(
                Principal(
                    person=person,
                    person_name=name,
                    workspace=workspace,
                    role="admin",
                    kind=kind,
                    token_sha256=token,
                )
            )
        return made[0], made[1]

    def allow(self, budget_usd: str, whole_usd: str | None = None) -> None:
        """What may be spent a month: by each workspace, and by the installation (mostly less than both together)."""
        for who, _ in self.people:
            self.workspace.put(who.workspace, "budget_usd", budget_usd, None, who.person)
        self.store.settings[None, "budget_usd"] = SettingEntry(1, whole_usd or budget_usd)
        self.allowed = whole_usd or budget_usd

    def whose(self, workspace: UUID) -> Principal:
        """Who acts on a workspace's tasks."""
        return next(who for who, _ in self.people if who.workspace == workspace)

    # --- what functions take from a Container ---------------------------------------------------------------------

    @property
    def clock(self) -> Time:
        """For intake."""
        return self.time

    @property
    def limits(self) -> Limits:
        """How often is enough; a failed plan is thought over as long as there is a model."""
        attempts, replans = self.limits_of_seed
        return Limits(attempts=attempts, replans=replans, model=self.provider.is_ready)

    # --- things happen --------------------------------------------------------------------------------------------

    def point(self, batch: Sequence[Any] | None = None) -> None:
        """Something may happen here. `batch`: what is about to be applied, and may come late or twice."""
        if not self.frames:
            return
        self.alive()
        frame = self.frames[-1]
        frame.passed += 1
        for at, what in frame.move.inside:
            if isinstance(what, Move):
                if at == frame.passed:
                    self.met[f"{what.name} in {frame.move.name}"] += 1
                    self.play(what)
            elif what == CRASH:
                if at == frame.passed:
                    self.met[f"{what} in {frame.move.name}"] += 1
                    self._dies()
            elif batch is not None and at <= frame.passed and not frame.sent:
                frame.sent = True  # the first batch from there on
                self.met[f"{what} in {frame.move.name}"] += 1
                self.in_flight.append(batch)
                if what == LATE:
                    self._dies()

    def alive(self) -> None:
        """Whatever handlers a dead process has, they reach nobody."""
        if self.dead:
            raise Crash(CRASH)

    def _dies(self) -> None:
        self.dead = True
        raise Crash(CRASH)

    def _happened(self, what: str, key: str, effect: Any) -> None:  # noqa: ANN401 - an Effect
        self.grants.effect(what, key, effect, self.far)

    def play(self, move: Move) -> None:
        """One move, with whatever happens inside of it."""
        self.frames.append(Frame(move))
        try:
            MOVES[move.name](self, move)
        except (Crash, AppError) as exc:  # a process died, or a person was told no: both are part of a history
            self.told.append(exc)
            self.dead = False
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
            self.readers.pop(number, None)
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
                several=1,
                effect_threads=2,
                result_bytes=1000,
            )
            recorder = InlineRecorder(self.queue, self.notifier)
            self.runners[number] = Runner(means, Inline(), recorder, lambda: None)
        return self.runners[number]

    def reader(self, number: int) -> Reading:
        """The process that reads tasks, with what it remembers."""
        if number not in self.readers:
            self.readers[number] = reading(self, number)
        return self.readers[number]

    def maintenance(self) -> Maintenance:
        """The process that looks after what is due: it remembers nothing, so that it may as well be the same."""
        if self._maintenance is None:
            self._maintenance = self._new_maintenance()
        return self._maintenance

    def _new_maintenance(self) -> Maintenance:
        return Maintenance(
            queue=self.queue,
            approvals=self.approvals,
            workspace=self.workspace,
            budget=self.budget,
            retention=Retention(
                queue=self.queue,
                answers=self.answers,
                costs=MemoryCosts(self.store),
                answers_kept=timedelta(days=90),
                calls_kept=timedelta(days=400),
            ),
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
