"""The share of hits that is asked again, by which wrong ones are measured and dropped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.analysis.cache.shelf import Shelf
from common.analysis.packs.sample import compared, task_chosen
from common.core.errors import Unavailable
from common.core.task import Failure
from common.ports import Analyzer, Answer, CallReason, NotAnswered, Question, Use
from common.telemetry import code_of, metrics, note


class Checks:
    """Asks again what was remembered. Thread-safe."""

    def __init__(
        self,
        inner: Analyzer,
        shelf: Shelf,
        catalogue: Catalogue,
        share: float,
        differed: Callable[[UUID, int], None],
    ) -> None:
        """See Cached."""
        self._inner = inner
        self._shelf = shelf
        self._catalogue = catalogue
        self._share = share
        self._differed = differed

    def chosen(self, question: Question) -> bool:
        """Whether a hit is to be asked again. A preview never is: it is for somebody who only looks."""
        return question.purpose == "analysis" and task_chosen(question.task.id, self._share)

    def asked_again(self, workspace: UUID, hits: Sequence[tuple[Question, str, Answer]]) -> list[Answer | NotAnswered]:
        """What each is answered now, by key and hit. Whatever cannot be asked now is a hit like any other."""
        again = [replace(question, reason=CallReason.CACHE_CHECK) for question, _, _ in hits]
        try:
            said = self._inner.analyze(again)
        except Unavailable as exc:
            said = [NotAnswered(failure=Failure(code=exc.code))] * len(again)
        wrong: dict[UUID | None, int] = {}
        found: list[Answer | NotAnswered] = []
        for (question, key, hit), fresh in zip(hits, said, strict=True):
            if isinstance(fresh, NotAnswered) and fresh.failure.code != "needs_person":
                found.append(replace(hit, cost=fresh.cost))
                self._shelf.count(workspace, "postgres", [key], 1)
                continue
            risk = compared(fresh, hit, question, self._catalogue)
            differs = risk is not None
            found.append(replace(fresh, risk=risk) if differs and isinstance(fresh, Answer) else fresh)
            metrics().cache_checked(agreed=not differs)
            self._shelf.checked(Use(workspace=workspace, key=key, hits=1, checks=1, disagreements=int(differs)))
            if differs:
                note("cache_disagrees", logging.WARNING, key=key, task=str(question.task.id))
                self._shelf.drop(workspace, key)
                wrong[fresh.call] = wrong.get(fresh.call, 0) + 1
        self._told(wrong)
        return found

    def _told(self, wrong: Mapping[UUID | None, int]) -> None:
        for call, tasks in wrong.items():
            if call is not None:
                try:
                    self._differed(call, tasks)
                except Unavailable as exc:
                    note("cache_not_kept", logging.WARNING, error=code_of(exc))
