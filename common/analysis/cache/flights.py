"""Single flight: of all that ask for the same at once, in one claim or in any process, one does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from common.analysis.cache.cacheable import may_share
from common.analysis.cache.checks import Checks
from common.analysis.cache.entry import SOURCE
from common.analysis.cache.shelf import Shelf
from common.core.task import Failure
from common.ports import Analyzer, Answer, Asking, Flight, Learned, NotAnswered, Question, Remembered

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


class Flights:
    """Asks what nobody remembers, once. Thread-safe."""

    def __init__(self, inner: Analyzer, shelf: Shelf, checks: Checks) -> None:
        """`inner`: whoever is asked and paid. `checks`: which hits are asked again."""
        self._inner = inner
        self._shelf = shelf
        self._checks = checks

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
        if round_.check:
            hits = [(questions[place], key, hit) for place, (key, hit) in round_.check.items()]
            round_.said.update(zip(round_.check, self._checks.asked_again(round_.workspace, hits), strict=True))
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
        elif self._inner.has_model and self._checks.chosen(round_.questions[place]):
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


def _asked_by_others(flight: Flight) -> NotAnswered:
    """Looked at again in about a second, and ever more seldom: whoever waits costs an event each time."""
    again_in = min(max(flight.age / 2, SOONEST), LATEST)
    return NotAnswered(failure=Failure(code="asked_already"), again_in=again_in, waiting_for="analysis")
