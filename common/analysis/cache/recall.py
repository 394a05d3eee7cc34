"""What is remembered of requests, looked up without asking anybody; and what is learned otherwise than by asking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from common.analysis.cache.cacheable import may_share
from common.analysis.cache.entry import answer_from
from common.analysis.cache.shelf import Shelf
from common.core.errors import Unavailable
from common.core.task import State
from common.ports import Answer, Learned, NotAnswered, Question


class Recall:
    """Looks at the shelf. Thread-safe."""

    def __init__(self, shelf: Shelf, is_check: Callable[[Question], bool]) -> None:
        """`is_check`: whether a hit of this task is to be asked again."""
        self._shelf = shelf
        self._is_check = is_check

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """See Analyzer: the fast side, once for all of a workspace; for tasks that were claimed also the database.

        While they are handed in, hits that are to be asked again are left to the analysis. A claimed task that is only
        recalled cannot be asked now: then every hit serves.
        """
        found: list[Answer | None] = [None] * len(questions)
        places: dict[UUID, dict[str, list[int]]] = {}
        for place, question in enumerate(questions):
            if may_share(question) and (_is_claimed(question) or not self._is_check(question)):
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


def _is_claimed(question: Question) -> bool:
    return question.task.state is State.ANALYZING and question.purpose == "analysis"
