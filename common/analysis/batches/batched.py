"""Reading tasks by a provider's batches: the same packs, prompts and cascade as at once, with hours between.

What each task's answer means is decided here, purely; what becomes of the task is the caller's. Of a batch of the small
model, what the cascade wants read again goes into a batch of the strong one. What could not be used is read directly,
alone: a batch is asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.analysis.batches.door import BatchDoor, Ended
from common.analysis.batches.provider import batches_of
from common.analysis.call import Call, Reply
from common.analysis.cascade import BELIEVED, GRAVEST, Tiers, Why, joined, settled, why_stronger
from common.analysis.history import has_failed
from common.analysis.money.door import nears_limit
from common.analysis.money.prices import Prices
from common.analysis.money.quote import Quote
from common.analysis.packs.asking import Source
from common.analysis.packs.pack import BadItem, Item, Reading, pack_call, packs_of, read_pack
from common.analysis.prompts import ANALYSIS
from common.analysis.providers.registry import provider
from common.config import Settings
from common.core.policy import Policy
from common.core.task import Failure, Task
from common.ports import Answer, Asked, Batch, Batches, Bill, Budget, CallReason, Member, NotAnswered, Question


class Remembers(Protocol):
    """What was answered before, for whoever asks in other ways than through the Analyzer."""

    def known(self, questions: Sequence[Question]) -> list[Answer | None]:
        """What is remembered, in order; all of one workspace."""

    def learn(self, questions: Sequence[Question], said: Sequence[Answer | NotAnswered]) -> None:
        """Remember answers; all of one workspace."""


@dataclass(frozen=True, slots=True)
class Redo:
    """No usable answer: it is read directly. Why."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Again:
    """The small model's answer, which the strong model is to read after it. Why."""

    small: Answer | NotAnswered
    why: Why


Verdict = Answer | NotAnswered | Redo | Again


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A batch about to be opened: its calls, and of each the tasks; of one workspace, model and reason."""

    calls: tuple[Call, ...]
    asked: tuple[Asked, ...]

    @property
    def tasks(self) -> frozenset[UUID]:
        """All of them."""
        return frozenset(member.task for members in self.asked for member in members)

    def halves(self) -> tuple[Outgoing, Outgoing]:
        """Two, of half the requests each."""
        half = len(self.calls) // 2
        return (
            Outgoing(calls=self.calls[:half], asked=self.asked[:half]),
            Outgoing(calls=self.calls[half:], asked=self.asked[half:]),
        )


@dataclass(frozen=True, slots=True)
class Collected:
    """What a batch brought: its bill, and by task what it says."""

    bill: Bill
    said: Mapping[UUID, Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batched:
    """What batches are formed and read with."""

    door: BatchDoor
    tiers: Tiers
    catalogue: Catalogue
    now: Callable[[], datetime]  # aware
    source: Source
    saving: Callable[[UUID], bool]  # whether a workspace's money nears its limit
    close: Callable[[], None]  # drops the provider's connections
    memory: Remembers | None = None  # None: nothing is remembered
    most: int = 10  # tasks in a request

    def outgoing(self, questions: Sequence[Question]) -> list[Outgoing]:
        """First readings, a batch for each workspace and model; whose plan failed before is the strong one's."""
        groups: dict[tuple[UUID, str, CallReason], list[Question]] = {}
        for question in questions:
            failed = self.tiers.strong != "" and has_failed(question.task)
            asked = (self.tiers.strong, CallReason.FAILED_BEFORE) if failed else (self.tiers.small, CallReason.FIRST)
            groups.setdefault((question.task.workspace, *asked), []).append(question)
        return [self._formed(group, model, reason, {}) for (_, model, reason), group in groups.items()]

    def again(self, unsure: Sequence[tuple[Question, Again]]) -> Outgoing:
        """The second reading of tasks of one workspace. A shared batch has the gravest of their reasons."""
        reason = next(why for why in GRAVEST if any(one.why == why for _, one in unsure))
        before = {question.task.id: one.small for question, one in unsure}
        return self._formed([question for question, _ in unsure], self.tiers.strong, reason, before)

    def _formed(
        self, questions: Sequence[Question], model: str, reason: CallReason, before: Mapping[UUID, Answer | NotAnswered]
    ) -> Outgoing:
        calls, asked = [], []
        for pack in packs_of(questions, self.most):
            together = [questions[place] for place in pack]
            call, nonces = pack_call(together, model=model, reason=reason, catalogue=self.catalogue, now=self.now())
            calls.append(call)
            asked.append(tuple(_member(q.task.id, n, before) for q, n in zip(together, nonces, strict=True)))
        return Outgoing(calls=tuple(calls), asked=tuple(asked))

    def collected(self, batch: Batch, ended: Ended, tasks: Mapping[UUID, Task], policy: Policy) -> Collected:
        """What a batch says of each of its tasks.

        Args:
            batch: as it is on record.
            ended: what became of its requests.
            tasks: each of its members, as it is now.
            policy: of its workspace, as it is now.
        """
        now = self.now()
        reading = Reading(catalogue=self.catalogue, now=now, source=self.source.name, secret=self.source.secret())
        packs = [[Question(task=tasks[m.task], policy=policy) for m in members] for members in batch.asked]
        calls = [self._rebuilt(batch, n, questions, now) for n, questions in enumerate(packs)]
        bill, replies = self.door.priced(batch, calls, ended)
        saving = self.tiers.strong != "" and self.saving(batch.workspace)
        said: dict[UUID, Verdict] = {}
        for number, questions in enumerate(packs):
            reply, members = replies[number], batch.asked[number]
            if not isinstance(reply, Reply):
                said |= dict.fromkeys((m.task for m in members), Redo(Failure(code=reply.code, detail=reply.detail)))
                continue
            items = read_pack(reply, [m.nonce for m in members], questions, reading)
            for member, question, item in zip(members, questions, items, strict=True):
                said[member.task] = self._verdict(batch, member, question, item, saving=saving)
        return Collected(bill, said)

    def _rebuilt(self, batch: Batch, number: int, questions: Sequence[Question], now: datetime) -> Call:
        """The call of a request, as far as what it cost is to be judged by it: its own words are not stored."""
        nonces = iter([member.nonce for member in batch.asked[number]])
        call, _ = pack_call(
            questions, model=batch.model, reason=CallReason(batch.reason), catalogue=self.catalogue, now=now,
            draw=lambda: next(nonces),
        )  # fmt: skip
        return call

    def _verdict(self, batch: Batch, member: Member, question: Question, item: Item, *, saving: bool) -> Verdict:
        if isinstance(item, BadItem):
            return Redo(Failure(code="unusable_answer", detail=item.why))
        if batch.model != self.tiers.strong or batch.reason == CallReason.FIRST:
            why = why_stronger(question, item, self.catalogue, self.tiers, saving=saving)
            return self.final(item, saving=saving) if why is None else Again(item, why)
        if isinstance(item, NotAnswered) and item.failure.code not in BELIEVED:
            return Redo(item.failure)
        small = Answer(kind="", steps=(), source="", risk=member.risk, cost=member.cost)
        reason = next((why for why in GRAVEST if why == batch.reason), None)
        return self.final(joined(small, item, reason))

    def may_learn(self, batch: Batch) -> bool:
        """Whether its answers are what would be answered now: of the present prompt and models."""
        return batch.prompt_version == ANALYSIS and batch.model in {self.tiers.small, self.tiers.strong}

    def without_strong(self, again: Again, fault: NotAnswered) -> Answer | NotAnswered:
        """The small model's answer where the strong one could not be had: at a high risk, for a person to look at."""
        return self.final(joined(again.small, fault, again.why))

    def final(self, said: Answer | NotAnswered, *, saving: bool = False) -> Answer | NotAnswered:
        """The last word. `saving`: nobody stronger was asked for want of money."""
        return settled(said, self.tiers.escalate_below, saving=saving)


def _member(task: UUID, nonce: str, before: Mapping[UUID, Answer | NotAnswered]) -> Member:
    small = before.get(task)
    if small is None:
        return Member(task, nonce)
    return Member(task, nonce, small.risk if isinstance(small, Answer) else None, small.cost)


def batched(
    settings: Settings,
    budget: Budget,
    batches: Batches,
    catalogue: Catalogue,
    memory: Remembers | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Batched | None:
    """An installation's; None: its provider has no batches. Opens nothing.

    Args:
        settings: key, base URL and models.
        budget: where money is booked.
        batches: where batches are on record.
        catalogue: the actions that plans are read against.
        memory: what was answered before; None: nothing is remembered.
        now: the present time, aware.
    """
    asked = provider(settings)
    over = batches_of(settings.provider, asked)
    if over is None:
        return None

    return Batched(
        door=BatchDoor(batches, budget, over, Prices.of(settings), settings.strong_model),
        tiers=Tiers.of(settings),
        catalogue=catalogue,
        now=now,
        source=Source(asked.source, asked.key.value),
        saving=partial(nears_limit, budget, Quote.of(settings).one_call),
        close=asked.close,
        memory=memory,
        most=settings.pack_tasks,
    )
