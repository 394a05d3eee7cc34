"""Asking a model about tasks: in packs, through the paid door, with one repair round.

What goes out: each task's text, the names and types of its inputs, the actions, the names of functions and channels,
and after a failure what was begun and why it stopped. Never: values of inputs, results, secrets, who asked, tasks of
another workspace or origin.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.analysis.call import Asker, Billed, Fault
from common.analysis.packs.pack import BadItem, Item, Reading, pack_call, packs_of, read_pack
from common.analysis.packs.sample import chosen, compared, lot, raised
from common.analysis.packs.suspects import Suspects
from common.analysis.packs.threads import Threads
from common.analysis.providers.faults import SOON
from common.core.errors import Unavailable
from common.core.spending import shares_of
from common.ports import Answer, Budget, CallReason, NotAnswered, Question
from common.telemetry import count_checks, log_stranger, note

# Refused unread, and nobody says for which of the texts: too long together, or one that is not let through. Each is
# asked alone, and only the one that is refused alone is a person's (I12).
OF_ONE: Final = frozenset({"request_refused"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How many tasks share a call at most, how many calls are out at once, and which share is asked again (I12)."""

    most: int
    at_once: int
    checks: float


@dataclass(frozen=True, slots=True)
class Source:
    """Whom plans are said to come from, and the key that none of them may hold (I11)."""

    name: str
    secret: Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class _Said:
    """What one call said of each of its tasks. `call`: its row in the ledger, where there was an answer."""

    items: list[Item]
    call: UUID | None = None


class Packs:
    """Asks a model about any number of tasks."""

    def __init__(
        self,
        asker: Asker,
        budget: Budget,
        catalogue: Catalogue,
        now: Callable[[], datetime],
        source: Source,
        packing: Packing,
    ) -> None:
        """Wire it.

        Args:
            asker: the budget door, or what is around it (I7).
            budget: where disagreements of checks are counted, and what became of the calls before.
            catalogue: the actions that plans are read against.
            now: the present time, aware.
            source: the provider.
            packing: sizes.
        """
        self._asker = asker
        self._budget = budget
        self._catalogue = catalogue
        self._now = now
        self._source = source
        self._packing = packing
        self._suspects = Suspects(budget)
        self._places = threading.BoundedSemaphore(packing.at_once)
        self._packers = Threads("packs", packing.at_once)
        self._repairers = Threads("repairs", packing.at_once)  # apart: a pack that waits for its repairs has a thread

    def close(self) -> None:
        """End the threads; a later question begins new ones."""
        self._packers.close()
        self._repairers.close()

    def ask(self, questions: Sequence[Question], model: str, reason: CallReason) -> list[Answer | NotAnswered]:
        """What a model says of each, in order; calls are shared by tasks of one workspace and origin.

        A fault of a call is the fault of each of its tasks, unless it may be that of one of them. What could not be
        used is asked again once, alone, and is then a person's.
        """
        packs = self._packs_of(questions)
        asked = [[questions[place] for place in pack] for pack in packs]
        # One is asked in the caller's own thread: most of the time there is no other.
        each = self._packers.map if len(packs) > 1 else map
        said: dict[int, Answer | NotAnswered] = {}
        for pack, answers in zip(packs, each(partial(self._safely, model=model, reason=reason), asked), strict=True):
            said.update(zip(pack, answers, strict=True))
        return [said[place] for place in range(len(questions))]

    def _packs_of(self, questions: Sequence[Question]) -> list[tuple[int, ...]]:
        """Which share a call; a text that may have brought a call down shares its next with nobody."""
        alone = self._suspects.alone(questions)
        rest = [place for place in range(len(questions)) if place not in alone]
        packs = packs_of([questions[place] for place in rest], self._packing.most)
        return [*(tuple(rest[place] for place in pack) for pack in packs), *((place,) for place in sorted(alone))]

    def _safely(self, questions: Sequence[Question], model: str, reason: CallReason) -> list[Answer | NotAnswered]:
        """What nobody foresaw of one pack is not the others' end: they are paid for."""
        try:
            return self._pack(questions, model, reason)
        except Exception as exc:  # noqa: BLE001 - whatever it is, a person looks at these tasks
            log_stranger("packs", exc)
            return [BadItem(why=type(exc).__name__).as_not_answered()] * len(questions)

    def _pack(self, questions: Sequence[Question], model: str, reason: CallReason) -> list[Answer | NotAnswered]:
        items = self._call(questions, model, reason).items
        turned_away: list[NotAnswered] = []

        def repaired(place: int) -> Answer | NotAnswered:
            item = items[place]
            if not isinstance(item, BadItem):
                return item
            # One was refused for what is no task's fault: those that were not asked yet wait with it.
            if turned_away:
                return replace(turned_away[0], cost=item.cost)
            again = self._repaired(questions[place], model, item)
            if isinstance(again, NotAnswered) and again.waiting_for:
                turned_away.append(again)
            return again

        several = sum(isinstance(item, BadItem) for item in items) > 1
        answers = list((self._repairers.map if several else map)(repaired, range(len(items))))
        if (
            not turned_away
            and len(questions) > 1
            and any(map(_is_reading, answers))
            and chosen(questions, self._packing.checks)
        ):
            answers = self._checked(questions, answers, model)
        return answers

    def _repaired(self, question: Question, model: str, bad: BadItem) -> Answer | NotAnswered:
        """The one repair round: alone, told what was wrong with its own answer."""
        try:
            [item] = self._call([question], model, CallReason.REPAIR, bad.why if bad.own else None).items
        except Exception as exc:  # noqa: BLE001 - what nobody foresaw of one is not its neighbours' end
            log_stranger("repairs", exc)
            item = BadItem(why=type(exc).__name__)
        item = replace(item, cost=item.cost + bad.cost, call=bad.call)
        return item.as_not_answered() if isinstance(item, BadItem) else item

    def _checked(
        self, questions: Sequence[Question], first: Sequence[Answer | NotAnswered], model: str
    ) -> list[Answer | NotAnswered]:
        """Asked again: one of them alone, and all in another order. Where readings differ the higher risk is taken."""
        answers = [*first]
        one = lot(questions) % len(questions)
        for places in ([one], [*reversed(range(len(questions)))]):
            again = self._call([questions[place] for place in places], model, CallReason.CHECK)
            different = 0
            for place, item in zip(places, again.items, strict=True):
                if not isinstance(item, BadItem):
                    risk = compared(first[place], item, questions[place], self._catalogue)
                    different += risk is not None
                    answers[place] = raised(answers[place], risk)
            if again.call is not None:
                self._told(again.call, len(places), different)
        return answers

    def _told(self, call: UUID, tasks: int, different: int) -> None:
        count_checks(tasks, different)
        if not different:
            return
        note("readings_differ", logging.WARNING, call=str(call), tasks=tasks, different=different)
        try:
            self._budget.differed(call, different)
        except Unavailable as exc:  # what was read is paid for, and worth more than the count
            note("readings_differ_uncounted", logging.WARNING, call=str(call), why=exc.code)

    def _call(self, questions: Sequence[Question], model: str, reason: CallReason, mistake: str | None = None) -> _Said:
        now = self._now()
        call, nonces = pack_call(
            questions, model=model, reason=reason, catalogue=self._catalogue, now=now, mistakes=[mistake]
        )
        try:
            # Who looks at a preview does not wait behind what is read for everybody.
            with nullcontext() if call.purpose == "preview" else self._places:
                said = self._asker.ask(call)
        except Unavailable as exc:  # our own database, before it or after: what other calls said is not lost with it
            said = Fault(code=exc.code, billed=Billed.MAYBE, again_in=SOON, waiting_for="provider")
        if isinstance(said, Fault):
            shares = shares_of(said.cost, len(questions))
            if len(questions) > 1 and said.code in OF_ONE:
                return _Said([BadItem(why=said.code, cost=share) for share in shares])
            if len(questions) == 1:
                return _Said([self._suspects.judged(questions[0], said, said.as_not_answered())])
            return _Said([replace(said.as_not_answered(), cost=share) for share in shares])
        reading = Reading(catalogue=self._catalogue, now=now, source=self._source.name, secret=self._source.secret())
        items = read_pack(said, nonces, questions, reading)
        if reason is CallReason.CACHE_CHECK:
            items = [replace(item, call=said.call) for item in items]
        return _Said(items, said.call)


def _is_reading(said: Answer | NotAnswered) -> bool:
    """Whether a model said something of the task, rather than nobody."""
    return isinstance(said, Answer) or said.failure.code == "needs_person"
