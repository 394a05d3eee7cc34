"""Deliberately wrong parts of whatever asks a model and pays for it. The simulator has to notice every one of them."""

# ruff: noqa: ARG002 - a wrong part does not look at what it should look at: that is what is wrong with it

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import pytest

from common.adapters.memory.answers import MemoryAnswers
from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.queue import MemoryQueue
from common.adapters.memory.rows import TaskRow
from common.analysis import cascade, planning
from common.analysis.batches.door import BatchDoor
from common.analysis.batches.search import Search
from common.analysis.cache import entry, key, shelf
from common.analysis.packs import asking
from common.analysis.packs.answer import UnusableError, read_items
from common.analysis.packs.asking import Packs
from common.analysis.packs.pack import BadItem, Item, Reading, read_pack
from common.core.lifecycle import Transition
from common.core.task import Json, Origin, Plan, Task
from common.ports import Answer, Asking, Bill, CallReason, Flight, Forming, NotAnswered, Question, Remembered
from functions.analyze import analysis
from tests.simulator.broken import Variant
from tests.simulator.watched_money import Redis

# --- what is remembered -----------------------------------------------------------------------------------------------


def _permits(patch: pytest.MonkeyPatch) -> None:
    def document_of(answer: Answer) -> dict[str, Json]:
        return {**entry.document_of(answer), "needs_approval": False}

    patch.setattr(shelf, "document_of", document_of)


def _policy_forgotten(patch: pytest.MonkeyPatch) -> None:
    right = planning.plan_for

    def plan_for(task: Task, answer: Answer, *known: Any) -> Any:  # noqa: ANN401 - as it is there
        plan = right(task, answer, *known)
        remembered = isinstance(plan, Plan) and answer.source == "cached"
        return plan.model_copy(update={"needs_approval": False}) if remembered else plan

    patch.setattr("functions.analyze.analysis.plan_for", plan_for)
    patch.setattr("functions.analyze.recalled.plan_for", plan_for)


def _claim_forgotten(patch: pytest.MonkeyPatch) -> None:
    def document_of(answer: Answer) -> dict[str, Json]:
        return {**entry.document_of(answer), "risk": "low"}

    patch.setattr(shelf, "document_of", document_of)


def _one_for_all_origins(patch: pytest.MonkeyPatch) -> None:
    right = key.key_of

    def key_of(question: Question, *known: Any) -> str:  # noqa: ANN401 - as it is there
        request = question.task.request.model_copy(update={"origin": Origin.PERSON})
        return right(replace(question, task=question.task.model_copy(update={"request": request})), *known)

    patch.setattr(shelf, "key_of", key_of)


class BelievesAll(Redis):
    """Whatever stands in Redis is taken for ours."""

    def believes(self, workspace: UUID, key: str) -> bool:
        """Signed or not."""
        return True


class EverybodyFlies(MemoryAnswers):
    """Whoever asks may ask."""

    def take(
        self, workspace: UUID, wanted: Sequence[Asking], by: str, lasts: timedelta
    ) -> dict[str, Remembered | Flight]:
        """Nobody waits for anybody."""
        taken = super().take(workspace, wanted, by, lasts)
        return {k: one if isinstance(one, Remembered) else Flight(mine=True, left=lasts) for k, one in taken.items()}


class FlightForEver(MemoryAnswers):
    """Who asked once asks still, whatever became of them."""

    def take(
        self, workspace: UUID, wanted: Sequence[Asking], by: str, lasts: timedelta
    ) -> dict[str, Remembered | Flight]:
        """A flight lasts a year."""
        return super().take(workspace, wanted, by, timedelta(days=365))

    def let_go(self, workspace: UUID, keys: Sequence[str], by: str) -> None:
        """Never."""


# --- packs and readings -----------------------------------------------------------------------------------------------


def _by_position(patch: pytest.MonkeyPatch) -> None:
    def by_position(said: Any, nonces: Sequence[str], questions: Sequence[Question], reading: Reading) -> list[Item]:  # noqa: ANN401 - a Reply
        try:
            items = [item for item in read_items(said.text) if isinstance(item, dict)]
        except UnusableError:
            items = []
        named = [{**item, "nonce": mark} for item, mark in zip(items, nonces, strict=False)]
        text = json.dumps({"answers": named})
        return read_pack(replace(said, text=text) if items else said, nonces, questions, reading)

    patch.setattr(asking, "read_pack", by_position)


def _all_in_one(questions: Sequence[Question], _most: int) -> list[tuple[int, ...]]:
    return [tuple(range(len(questions)))]


def _mixed_calls(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(asking, "packs_of", _all_in_one)
    patch.setattr("common.analysis.batches.outgoing.packs_of", _all_in_one)
    patch.setattr(analysis, "together", list)


class MixedPacks(MemoryQueue):
    """A pack is whatever is ready, whosever it is."""

    def claim_packs(self, worker: str, forming: Forming, lease: timedelta) -> list[list[Task]]:
        """All in one."""
        packs = super().claim_packs(worker, forming, lease)
        return [[task for one in packs for task in one]] if packs else []


class MixedOrigins(MemoryQueue):
    """A pack is what is ready in one workspace, whatever it came of."""

    def claim_packs(self, worker: str, forming: Forming, lease: timedelta) -> list[list[Task]]:
        """One for each workspace."""
        mixed: dict[UUID, list[Task]] = {}
        for one in super().claim_packs(worker, forming, lease):
            mixed.setdefault(one[0].workspace, []).extend(one)
        return list(mixed.values())


def _redone_whole(patch: pytest.MonkeyPatch) -> None:
    right = Packs._pack

    def again(self: Packs, questions: Sequence[Question], model: str, reason: CallReason) -> list[Answer | NotAnswered]:
        items = self._call(questions, model, reason).items
        if any(isinstance(item, BadItem) for item in items) and reason is not CallReason.REPAIR:
            return right(self, questions, model, CallReason.REPAIR)
        return [item.as_not_answered() if isinstance(item, BadItem) else item for item in items]

    patch.setattr(Packs, "_pack", again)


def _lower_of_two(patch: pytest.MonkeyPatch) -> None:
    right = cascade.joined

    def joined(small: Answer | NotAnswered, strong: Answer | NotAnswered, why: Any) -> Answer | NotAnswered:  # noqa: ANN401 - a Why
        said = right(small, strong, why)
        return replace(said, risk=strong.risk) if isinstance(said, Answer) and isinstance(strong, Answer) else said

    patch.setattr(cascade, "joined", joined)
    patch.setattr("common.analysis.batches.verdicts.joined", joined)


# --- money and batches ------------------------------------------------------------------------------------------------


class BookedTwice(MemoryBudget):
    """A call that is settled is settled again."""

    def settle(self, call: UUID, bill: Bill) -> None:
        """Whatever its state is."""
        entry = self.store.calls[call]
        again = entry.state == "settled"
        super().settle(call, bill)
        if again:
            for owner in (entry.workspace, None):
                self.store.budgets[owner, entry.month].spent += bill.cost


class FreedUnseen(MemoryBudget):
    """What may have been billed is given back."""

    def assume_billed(self, call: UUID, request_id: str | None = None) -> None:
        """Let us hope."""
        self.void(call, request_id)


class LoseHalf(MemoryBudget):
    """A call is booked in one of the two budgets."""

    def _close(
        self,
        call: UUID,
        state: Literal["settled", "voided", "assumed_billed"],
        cost: int,
        request_id: str | None = None,
    ) -> bool:
        closed = super()._close(call, state, cost, request_id)
        entry = self.store.calls[call]
        if closed:
            self.store.budgets[None, entry.month].spent -= cost
        return closed


class ParkedWithLease(MemoryQueue):
    """A parked task stays its worker's."""

    def _write(self, row: TaskRow, change: Transition, now: datetime) -> None:
        worker = row.worker
        super()._write(row, change, now)
        row.worker = worker if change.batch is not None else row.worker


class ParkedForEver(MemoryQueue):
    """A parked task is not looked at before its batch has ended, whenever that is."""

    def look_again(self, row: TaskRow, check_in: Any, now: datetime) -> Any:  # noqa: ANN401 - as it is there
        """In ten years."""
        return super().look_again(row, timedelta(days=3650) if row.batch is not None else check_in, now)


def _doubles_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Search, "more_is_on_record", lambda _search, _batch: True)


def _answers_believed(patch: pytest.MonkeyPatch) -> None:
    """A batch's results that have no line are not billed, they say."""
    right = BatchDoor.priced

    def priced(self: BatchDoor, batch: Any, calls: Any, ended: Any) -> tuple[Bill, Mapping[int, Any]]:  # noqa: ANN401 - as there
        bill, said = right(self, batch, calls, ended)
        missing = len(calls) - len(ended.said)
        return replace(bill, cost=bill.cost - missing * -(-batch.reserved // len(calls))), said

    patch.setattr(BatchDoor, "priced", priced)


def _of(
    name: str,
    *noticed_by: str,
    patch: Callable[[pytest.MonkeyPatch], None] | None = None,
    **parts: Any,  # noqa: ANN401 - adapters' types, and `first`
) -> Variant:
    queue, first = parts.pop("queue", MemoryQueue), parts.pop("first", 0)
    return Variant(name, noticed_by, queue, parts, patch or (lambda _: None), first)


CLAUDE_VARIANTS: Final = (
    _of("a memory that keeps what policy said", "I10", patch=_permits),
    _of("a remembered answer without policy", "I10", patch=_policy_forgotten),
    _of("a hit that lowers the claimed risk", "I5", patch=_claim_forgotten),
    _of("a memory that origins share", "I12", patch=_one_for_all_origins),
    _of("a front that believes what others wrote", "I12", redis=BelievesAll, first=3900),
    _of("equal tasks that are all asked", "flight", answers=EverybodyFlies),
    _of("a flight that never ends", "I9", answers=FlightForEver),
    _of("a pack that is read by position", "I12", patch=_by_position),
    _of("a pack of two workspaces", "I12", patch=_mixed_calls, queue=MixedPacks),
    _of("a pack of two origins", "I12", patch=_mixed_calls, queue=MixedOrigins),
    _of("a whole pack that is redone", "I12", patch=_redone_whole),
    _of("the lower of two readings", "I5", patch=_lower_of_two),
    _of("a batch that is booked twice", "I7", budget=BookedTwice, first=8100),
    _of("a reservation freed although maybe billed", "I7", budget=FreedUnseen),
    _of("a call that one of two budgets misses", "I7", budget=LoseHalf),
    _of("a parked task with a lease", "I3", queue=ParkedWithLease),
    _of("a parked task that is never looked at", "I9", queue=ParkedForEver),
    _of("a batch made twice and booked once", "I7", patch=_doubles_forgotten),
    _of("a missing result taken for a free one", "I7", patch=_answers_believed),
)
