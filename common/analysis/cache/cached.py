"""The Analyzer that remembers: what was asked once is not paid again. Around whoever asks, inside of the rules.

`recall` looks at the fast side only, for intake. `analyze` looks into the database, and of all that ask for the same at
once, in one claim or in any process, one does. A hit is a reading and no permission: policy decides anew, in the
requester's own words and under the settings of the moment (I10).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.analysis.cache.cacheable import may_share
from common.analysis.cache.entry import SOURCE, answer_from
from common.analysis.cache.shelf import Shelf
from common.analysis.packs.sample import compared, task_chosen
from common.core.errors import Unavailable
from common.core.task import Failure, State
from common.ports import Analyzer, Answer, Asking, CallReason, Flight, Learned, NotAnswered, Question, Remembered, Use
from common.telemetry import code_of, metrics, note

SOONEST: Final = timedelta(seconds=1)
LATEST: Final = timedelta(seconds=10)


@dataclass(slots=True)
class _Round:
    """Questions of one `analyze`, and what is known of them so far: by their places."""

    workspace: UUID
    questions: Sequence[Question]
    said: dict[int, Answer | NotAnswered] = field(default_factory=dict)
    ask: list[int] = field(default_factory=list)  # of which nobody may have an answer
    first: dict[int, Asking] = field(default_factory=dict)  # the first of a key, under a flight of our own
    like: dict[int, list[int]] = field(default_factory=dict)  # those that ask for the same as a first one
    check: dict[int, tuple[str, Answer]] = field(default_factory=dict)  # hits that are asked again


class Cached:
    """An Analyzer around another. Thread-safe."""

    def __init__(
        self,
        inner: Analyzer,
        shelf: Shelf,
        catalogue: Catalogue,
        checks: float = 0.0,
        differed: Callable[[UUID, int], None] = lambda _, __: None,
    ) -> None:
        """Wire it.

        Args:
            inner: whoever is asked and paid.
            shelf: what is remembered.
            catalogue: what two readings are compared by.
            checks: the share of hits that is asked again.
            differed: tells the ledger of a call that asked again how many of its tasks were answered otherwise.
        """
        self._inner = inner
        self._shelf = shelf
        self._catalogue = catalogue
        self._checks = checks
        self._differed = differed

    @property
    def has_model(self) -> bool:
        """See Analyzer."""
        return self._inner.has_model

    def close(self) -> None:
        """Write what is still to be counted."""
        self._shelf.close()

    # --- looking ----------------------------------------------------------------------------------------------------

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """See Analyzer: the fast side, once for all of a workspace; for tasks that were claimed also the database.

        While they are handed in, hits that are to be asked again are left to the analysis. A claimed task that is only
        recalled cannot be asked now: then every hit serves.
        """
        found: list[Answer | None] = [None] * len(questions)
        places: dict[UUID, dict[str, list[int]]] = {}
        for place, question in enumerate(questions):
            if may_share(question) and (_is_claimed(question) or not self._to_check(question)):
                places.setdefault(question.task.workspace, {}).setdefault(self._shelf.key(question), []).append(place)
        for workspace, by_key in places.items():
            hits: list[str] = []
            for key, learned in self._shelf.recall(workspace, list(by_key)).items():
                answer = answer_from(learned.answer)
                if answer is None:
                    continue
                for place in by_key[key]:
                    # intake reads the plan anyway, and leaves to the analysis what does not fit
                    if not _is_claimed(questions[place]) or self._shelf.fits(questions[place], answer):
                        found[place] = answer
                        hits.append(key)
            self._shelf.count(workspace, "redis", hits, sum(map(len, by_key.values())))
        left = [n for n, question in enumerate(questions) if found[n] is None and _is_claimed(question)]
        for n, answer in zip(left, self._quietly_known([questions[n] for n in left]), strict=True):
            found[n] = answer
        return found

    def _quietly_known(self, questions: Sequence[Question]) -> list[Answer | None]:
        try:
            return self.known(questions)
        except Unavailable:
            return [None] * len(questions)

    def known(self, questions: Sequence[Question]) -> list[Answer | None]:
        """What the database remembers of one workspace's tasks; nobody is asked. For whoever asks in other ways."""
        found: list[Answer | None] = [None] * len(questions)
        keys = {n: self._shelf.key(question) for n, question in enumerate(questions) if may_share(question)}
        if keys:
            workspace = questions[0].task.workspace
            rows = self._shelf.find(workspace, sorted(set(keys.values())))
            for place, key in keys.items():
                found[place] = self._shelf.hit(questions[place], rows.get(key))
            self._shelf.count(workspace, "postgres", [k for n, k in keys.items() if found[n] is not None], len(keys))
        return found

    def learn(self, questions: Sequence[Question], said: Sequence[Answer | NotAnswered]) -> None:
        """Remember what one workspace's tasks were answered in other ways than through `analyze`."""
        kept: dict[str, Learned] = {}
        for question, answer in zip(questions, said, strict=True):
            if isinstance(answer, Answer) and may_share(question):
                learned = self._shelf.learned(question, self._shelf.asking(question), answer)
                if learned is not None:
                    kept[learned.key] = learned
        if kept:
            self._shelf.store(questions[0].task.workspace, list(kept.values()))

    # --- asking -----------------------------------------------------------------------------------------------------

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """See Analyzer. Somebody else's flight is a NotAnswered that is looked at again about a second later."""
        if not questions:
            return []
        round_ = _Round(questions[0].task.workspace, questions)
        self._look_up(round_)
        try:
            self._fly(round_)
        except BaseException:
            self._shelf.let_go(round_.workspace, [one.key for one in round_.first.values()])
            raise
        self._ask_again(round_)
        return [round_.said[place] for place in range(len(questions))]

    def _look_up(self, round_: _Round) -> None:
        """Hits are answered, first ones take a flight, the rest is to be asked, or waits for others."""
        questions = round_.questions
        asking = {n: self._shelf.asking(question) for n, question in enumerate(questions) if may_share(question)}
        round_.ask = [n for n in range(len(questions)) if n not in asking]
        if not asking:
            return
        taken = self._shelf.take(round_.workspace, list({one.key: one for one in asking.values()}.values()))
        firsts: dict[str, int] = {}
        hits: list[str] = []
        for place, one in asking.items():
            found = taken[one.key]
            if isinstance(found, Remembered):
                if self._is_hit(round_, place, found):
                    hits.append(one.key)
            elif not found.mine:
                round_.said[place] = _asked_by_others(found)
            elif one.key in firsts:
                round_.like[firsts[one.key]].append(place)
            else:
                firsts[one.key] = place
                round_.first[place], round_.like[place] = one, []
        self._shelf.count(round_.workspace, "postgres", hits, len(asking) - len(round_.check))

    def _is_hit(self, round_: _Round, place: int, found: Remembered) -> bool:
        answer = self._shelf.hit(round_.questions[place], found)
        if answer is None:
            round_.ask.append(place)
        elif self.has_model and self._to_check(round_.questions[place]):
            round_.check[place] = (found.key, answer)
        else:
            round_.said[place] = answer
            return True
        return False

    def _fly(self, round_: _Round) -> None:
        """Ask what nobody knows; keep it, and share it with those that ask for the same."""
        self._ask(round_, sorted([*round_.ask, *round_.first]))
        learned: list[Learned] = []
        alone: list[int] = []
        shared: list[str] = []
        for place, asking in round_.first.items():
            said = round_.said[place]
            kept = self._shelf.learned(round_.questions[place], asking, said) if isinstance(said, Answer) else None
            if kept is not None:
                learned.append(kept)
            for other in round_.like[place]:
                if isinstance(said, NotAnswered):
                    round_.said[other] = replace(said, cost=0)
                elif kept is not None and self._shelf.fits(round_.questions[other], said):
                    round_.said[other] = replace(said, source=SOURCE, cost=0)
                    shared.append(asking.key)
                else:  # what may not serve another later may not serve another now
                    alone.append(other)
        self._shelf.store(round_.workspace, learned)
        kept_keys = {one.key for one in learned}
        self._shelf.let_go(round_.workspace, [o.key for o in round_.first.values() if o.key not in kept_keys])
        self._shelf.count(round_.workspace, "claim", shared, len(shared) + len(alone))
        self._ask(round_, alone)

    def _ask(self, round_: _Round, places: Sequence[int]) -> None:
        if places:
            said = self._inner.analyze([round_.questions[place] for place in places])
            round_.said.update(zip(places, said, strict=True))

    def _ask_again(self, round_: _Round) -> None:
        """The share of hits by which wrong ones are measured. Whatever cannot be asked now is a hit like any other."""
        if not round_.check:
            return
        again = [replace(round_.questions[place], reason=CallReason.CACHE_CHECK) for place in round_.check]
        try:
            said = self._inner.analyze(again)
        except Unavailable as exc:
            said = [NotAnswered(failure=Failure(code=exc.code))] * len(again)
        wrong: dict[UUID | None, int] = {}
        for (place, (key, hit)), question, fresh in zip(round_.check.items(), again, said, strict=True):
            if isinstance(fresh, NotAnswered) and fresh.failure.code != "needs_person":
                round_.said[place] = replace(hit, cost=fresh.cost)
                self._shelf.count(round_.workspace, "postgres", [key], 1)
                continue
            risk = compared(fresh, hit, question, self._catalogue)
            differs = risk is not None
            round_.said[place] = replace(fresh, risk=risk) if differs and isinstance(fresh, Answer) else fresh
            metrics().cache_checked(agreed=not differs)
            self._shelf.checked(Use(workspace=round_.workspace, key=key, hits=1, checks=1, disagreements=int(differs)))
            if differs:
                note("cache_disagrees", logging.WARNING, key=key, task=str(question.task.id))
                self._shelf.drop(round_.workspace, key)
                wrong[fresh.call] = wrong.get(fresh.call, 0) + 1
        self._told(wrong)

    def _told(self, wrong: Mapping[UUID | None, int]) -> None:
        for call, tasks in wrong.items():
            if call is not None:
                try:
                    self._differed(call, tasks)
                except Unavailable as exc:
                    note("cache_not_kept", logging.WARNING, error=code_of(exc))

    def _to_check(self, question: Question) -> bool:
        """A preview is never asked again: it is for somebody who only looks."""
        return question.purpose == "analysis" and task_chosen(question.task.id, self._checks)


def _is_claimed(question: Question) -> bool:
    return question.task.state is State.ANALYZING and question.purpose == "analysis"


def _asked_by_others(flight: Flight) -> NotAnswered:
    """Looked at again in about a second, and ever more seldom: whoever waits costs an event each time."""
    again_in = min(max(flight.age / 2, SOONEST), LATEST)
    return NotAnswered(failure=Failure(code="asked_already"), again_in=again_in, waiting_for="analysis")
