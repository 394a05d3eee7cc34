"""What a batch that ended says of each of its tasks, purely; what becomes of the task is the caller's.

Of a batch of the small model, what the cascade wants read again goes into a batch of the strong one. What could not be
used is read directly, alone: a batch is asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.analysis.batches.door import BatchDoor, Ended
from common.analysis.call import Call, Reply
from common.analysis.cascade import BELIEVED, GRAVEST, Tiers, Why, joined, settled, why_stronger
from common.analysis.packs.asking import Source
from common.analysis.packs.pack import BadItem, Item, Reading, pack_call, read_pack
from common.analysis.packs.sample import compared, raised
from common.core.policy import Policy
from common.core.task import Failure, Task
from common.ports import Answer, Batch, Bill, CallReason, Checked, Member, NotAnswered, Question


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


@dataclass(frozen=True, slots=True)
class Collected:
    """What a batch brought: its bill, by task what it says, and what its checks found."""

    bill: Bill
    said: Mapping[UUID, Verdict]
    checked: Checked | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A request that was answered: what it says of each of its members."""

    members: Sequence[Member]
    items: Sequence[Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What ended batches are read with."""

    door: BatchDoor
    tiers: Tiers
    catalogue: Catalogue
    now: Callable[[], datetime]  # aware
    source: Source
    saving: Callable[[UUID], bool]  # whether a workspace's money nears its limit

    def of(self, batch: Batch, ended: Ended, tasks: Mapping[UUID, Task], policy: Policy) -> Collected:
        """What a batch says of each of its tasks.

        Args:
            batch: as it is on record.
            ended: what became of its requests.
            tasks: each of its members, as it is now.
            policy: of its workspace, as it is now.
        """
        questions = {task: Question(task=tasks[task], policy=policy) for task in tasks}
        calls = self._rebuilt(batch, questions)
        # One that brought no answer checks nothing, nor does any of a batch that was made twice.
        checks = [n for n in calls if batch.asked[n].check and isinstance(ended.said.get(n), Reply)]
        checks = checks if batch.of == batch.id else []
        bill, replies = self.door.priced(batch, {n: calls[n] for n in calls if n not in checks}, ended)
        replies = {n: reply for n, reply in replies.items() if not batch.asked[n].check}
        read = self._read(batch, replies, questions)
        items = {m.task: item for r in read.values() for m, item in zip(r.members, r.items, strict=True)}
        checked = None
        if checks:
            cost, answers = self.door.priced(batch, {n: calls[n] for n in checks}, ended)
            checked = self._checked(cost, self._read(batch, answers, questions), items, questions)
        saving = self.tiers.strong != "" and self.saving(batch.workspace)
        said: dict[UUID, Verdict] = {}
        for number, reply in replies.items():
            for member in batch.asked[number].members:
                if isinstance(reply, Reply):
                    question, item = questions[member.task], items[member.task]
                    said[member.task] = self._verdict(batch, member, question, item, saving=saving)
                else:
                    said[member.task] = Redo(Failure(code=reply.code, detail=reply.detail))
        return Collected(bill, said, checked)

    def _rebuilt(self, batch: Batch, questions: Mapping[UUID, Question]) -> dict[int, Call]:
        """Each request's call, as far as what it cost is to be judged by it: its own words are not stored."""
        calls, now = {}, self.now()
        for number, asked in enumerate(batch.asked):
            nonces = iter([member.nonce for member in asked.members])
            calls[number], _ = pack_call(
                [questions[member.task] for member in asked.members], model=batch.model,
                reason=CallReason.CHECK if asked.check else CallReason(batch.reason), catalogue=self.catalogue, now=now,
                draw=nonces.__next__,
            )  # fmt: skip
        return calls

    def _read(
        self, batch: Batch, replies: Mapping[int, object], questions: Mapping[UUID, Question]
    ) -> dict[int, _Read]:
        """Those that were answered."""
        reading = Reading(
            catalogue=self.catalogue, now=self.now(), source=self.source.name, secret=self.source.secret()
        )
        read = {}
        for number, reply in replies.items():
            members = batch.asked[number].members
            if isinstance(reply, Reply):
                about = [questions[member.task] for member in members]
                items = read_pack(reply, [member.nonce for member in members], about, reading)
                read[number] = _Read(members=members, items=items)
        return read

    def _checked(
        self, bill: Bill, read: Mapping[int, _Read], items: dict[UUID, Item], questions: Mapping[UUID, Question]
    ) -> Checked:
        """Compare; where readings differ the higher risk is taken (I5), in `items`."""
        first, different = dict(items), 0
        tasks = [member.task for request in read.values() for member in request.members]
        for request in read.values():
            for member, again in zip(request.members, request.items, strict=True):
                before = first.get(member.task)
                if before is None or isinstance(before, BadItem) or isinstance(again, BadItem):
                    continue
                risk = compared(before, again, questions[member.task], self.catalogue)
                different += risk is not None
                items[member.task] = raised(items[member.task], risk)
        return Checked(bill, tuple(tasks), different)

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

    def without_strong(self, again: Again, fault: NotAnswered) -> Answer | NotAnswered:
        """The small model's answer where the strong one could not be had: at a high risk, for a person to look at."""
        return self.final(joined(again.small, fault, again.why))

    def final(self, said: Answer | NotAnswered, *, saving: bool = False) -> Answer | NotAnswered:
        """The last word. `saving`: nobody stronger was asked for want of money."""
        return settled(said, self.tiers.escalate_below, saving=saving)
