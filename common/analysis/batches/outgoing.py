"""What goes out in a batch: packs as they are asked at once, and a sample of them a second time beside it (I12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.analysis.batches.provider import BatchRequest
from common.analysis.batches.verdicts import Again
from common.analysis.cascade import GRAVEST, Tiers
from common.analysis.history import has_failed
from common.analysis.packs.pack import pack_call, packs_of
from common.analysis.packs.sample import chosen, lot
from common.ports import Answer, CallReason, Member, NotAnswered, Question


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A batch about to be opened: requests of one workspace, model and reason, and the checks among them."""

    requests: tuple[BatchRequest, ...]

    @property
    def first(self) -> tuple[BatchRequest, ...]:
        """Those that are no checks: each task is in one of them."""
        return tuple(request for request in self.requests if not request.check)

    @property
    def tasks(self) -> frozenset[UUID]:
        """All of them."""
        return frozenset(member.task for request in self.first for member in request.members)

    def halves(self) -> tuple[Outgoing, Outgoing]:
        """Two, of half the requests each, without checks."""
        half = len(self.first) // 2
        return Outgoing(self.first[:half]), Outgoing(self.first[half:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """What batches are formed with."""

    tiers: Tiers
    catalogue: Catalogue
    now: Callable[[], datetime]  # aware
    most: int  # tasks in a request
    checks: float  # share of packs that are asked again

    def first(self, questions: Sequence[Question]) -> list[Outgoing]:
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
        packs = [[questions[place] for place in pack] for pack in packs_of(questions, self.most)]
        asked = [self._asking(pack, model, reason, before) for pack in packs]
        if reason is not CallReason.FIRST:
            return Outgoing(tuple(asked))
        return Outgoing((*asked, *(check for pack in packs for check in self._checks(pack, model))))

    def _checks(self, pack: Sequence[Question], model: str) -> Iterator[BatchRequest]:
        """Of a pack that belongs to the sample, as at once: one of its tasks alone, and all in another order.

        Of first readings only: whether tasks of a pack are told apart shows there, and the strong model costs more.
        """
        if len(pack) > 1 and chosen(pack, self.checks):
            yield self._asking([pack[lot(pack) % len(pack)]], model, CallReason.CHECK, {})
            yield self._asking(pack[::-1], model, CallReason.CHECK, {})

    def _asking(
        self, pack: Sequence[Question], model: str, reason: CallReason, before: Mapping[UUID, Answer | NotAnswered]
    ) -> BatchRequest:
        call, nonces = pack_call(pack, model=model, reason=reason, catalogue=self.catalogue, now=self.now())
        members = tuple(_member(q.task.id, nonce, before) for q, nonce in zip(pack, nonces, strict=True))
        return BatchRequest(call=call, members=members, check=reason is CallReason.CHECK)


def _member(task: UUID, nonce: str, before: Mapping[UUID, Answer | NotAnswered]) -> Member:
    small = before.get(task)
    if small is None:
        return Member(task, nonce)
    return Member(task, nonce, small.risk if isinstance(small, Answer) else None, small.cost)
