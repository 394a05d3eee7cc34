"""Reading the labelled set, by the product's own code: rules or model, paid door, checks of the answer, policy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.rows import SettingEntry
from common.adapters.memory.store import MemoryStore
from common.analysis.chain import chain_of
from common.analysis.planning import plan_for
from common.analysis.prompts import ANALYSIS
from common.analysis.rules.reader import Rules
from common.config import Settings
from common.core.task import Frozen, Risk
from common.ports import Analyzer, Answer, BudgetView, NotAnswered, Question
from evaluation.judge import Outcome, Read, read_of
from evaluation.label import Label, LabelledSet, shuffled
from evaluation.place import NOW, POLICY, WORKSPACE, now, question_of

RULES: Final = "rules"
ROUNDS: Final = 4  # how often a task is asked that was put off
FAR: Final = 100  # of what is gone: no standing but `normal` begins there
LONGEST_PAUSE: Final = 60.0  # seconds between two rounds


class Run(Frozen):
    """A run's file: what was read, by whom, and under which settings."""

    format: Literal[1] = 1
    set_version: str
    provider: str
    model: str = ""
    strong_model: str = ""
    prompt_version: str = ""
    pack_tasks: int = 1
    autorun: Risk = Risk.LOW
    began_at: datetime
    seconds: float
    cost: int  # nanodollars: everything that was booked
    reads: tuple[Read, ...]


class Purse(MemoryBudget):
    """A run's own budget: it keeps its cap, and never says that it nears it, which would change what is measured."""

    def month(self, workspace: UUID) -> BudgetView:
        """As it is, with a cap far away: saving is for an installation, whose readings may differ from day to day."""
        view = super().month(workspace)
        return replace(view, cap=max(view.cap, FAR * (view.spent + view.reserved)))


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, and how many tasks share a call."""

    analyzer: Analyzer
    at_once: int  # packs
    pack: int  # tasks in one call
    spent: Callable[[], int]  # nanodollars so far


@contextmanager
def reader_for(
    provider: str, settings: Settings, catalogue: Catalogue, *, max_usd: float, at_once: int
) -> Iterator[Reader]:
    """The rules, or the settings' model alone: what the rules would have taken is asked of it, too.

    Args:
        provider: `rules`, or as `AIW_PROVIDER`.
        settings: models, key and packs.
        catalogue: the actions.
        max_usd: what all calls may cost; the door lets none through that might pass it (I7).
        at_once: calls under way.
    """
    if provider == RULES:
        yield Reader(Rules(now), at_once=1, pack=1, spent=lambda: 0)
        return
    store = MemoryStore(lambda: datetime.now(UTC))
    store.settings[WORKSPACE, "policy"] = SettingEntry(0, None)
    store.settings[WORKSPACE, "budget_usd"] = SettingEntry(0, max_usd)
    store.settings[None, "budget_usd"] = SettingEntry(0, max_usd)
    budget = Purse(store)
    made = chain_of(settings, budget, catalogue, now)
    try:
        yield Reader(
            made.model,
            at_once=at_once,
            pack=settings.pack_tasks,
            spent=lambda: budget.month(WORKSPACE).spent,
        )
    finally:
        made.close()


def run(
    labels: LabelledSet,
    reader: Reader,
    catalogue: Catalogue,
    *,
    settings: Settings,
    provider: str,
    progress: Callable[[int], None] = lambda _: None,
) -> Run:
    """Read all of it. `progress`: is told how many tasks are done."""
    began, clock = datetime.now(UTC), time.perf_counter()
    is_model = provider != RULES
    reads = list(_all(labels.labels, reader, catalogue, progress))
    return Run(
        set_version=labels.version,
        provider=provider,
        model=settings.model if is_model else "",
        strong_model=settings.strong_model if is_model else "",
        prompt_version=ANALYSIS if is_model else "",
        pack_tasks=reader.pack,
        autorun=POLICY.autorun,
        began_at=began,
        seconds=round(time.perf_counter() - clock, 3),
        cost=reader.spent(),
        reads=tuple(sorted(reads, key=lambda read: read.id)),
    )


def packs(labels: Sequence[Label], most: int) -> list[list[Label]]:
    """Which tasks share a call: mixed, and the same each time."""
    mixed = sorted(labels, key=shuffled)
    return [mixed[start : start + most] for start in range(0, len(mixed), most)]


def _all(
    labels: Sequence[Label], reader: Reader, catalogue: Catalogue, progress: Callable[[int], None]
) -> Iterator[Read]:
    """As they come. What was put off is asked again a few times, one call after another."""
    open_, at_once, done = list(labels), reader.at_once, 0
    for last in [False] * (ROUNDS - 1) + [True]:
        put_off: list[Label] = []
        pause = 0.0
        for pack, said, ms in _asked(packs(open_, reader.pack), at_once, reader, catalogue):
            for label, one in zip(pack, said, strict=True):
                if _is_put_off(one) and not last:
                    put_off.append(label)
                    pause = max(pause, _pause(one))
                    continue
                done += 1
                yield _judged(label, one, catalogue, ms)
            progress(done)
        if not put_off:
            return
        open_, at_once = put_off, 1
        time.sleep(pause)


def _asked(
    asked: Sequence[Sequence[Label]], at_once: int, reader: Reader, catalogue: Catalogue
) -> Iterator[tuple[Sequence[Label], list[Answer | NotAnswered], float]]:
    """Each pack with its answers, in order. Who stops listening has no further call sent, and none is waited for."""
    pool = ThreadPoolExecutor(at_once, "evaluation")
    try:
        for pack, (said, ms) in zip(asked, pool.map(lambda pack: _ask(pack, reader, catalogue), asked), strict=True):
            yield pack, said, ms
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _is_put_off(said: Answer | NotAnswered) -> bool:
    """Whether money or provider failed it: also where only the stronger model could not be had."""
    return said.provisional if isinstance(said, Answer) else said.again_in is not None


def _pause(said: Answer | NotAnswered) -> float:
    """Seconds. Money does not come back by waiting, but what others had reserved does."""
    if isinstance(said, Answer) or said.again_in is None or said.waiting_for != "provider":
        return 0.0
    return min(said.again_in.total_seconds(), LONGEST_PAUSE)


def _ask(pack: Sequence[Label], reader: Reader, catalogue: Catalogue) -> tuple[list[Answer | NotAnswered], float]:
    questions = [question_of(label, catalogue) for label in pack]
    began = time.perf_counter()
    said = reader.analyzer.analyze(questions)
    return said, round((time.perf_counter() - began) * 1000, 3)


def _judged(label: Label, said: Answer | NotAnswered, catalogue: Catalogue, ms: float) -> Read:
    question: Question = question_of(label, catalogue)
    plan = plan_for(question.task, said, question.policy, catalogue, NOW) if isinstance(said, Answer) else None
    return read_of(label, said, plan, NOW, ms)


def unanswered(made: Run) -> int:
    """How many tasks nobody said anything of."""
    return sum(read.outcome is Outcome.UNANSWERED for read in made.reads)
