"""What is remembered, in the analyzer's words: questions and answers on one side, keys and rows on the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.analysis.cache.cacheable import why_not_kept
from common.analysis.cache.entry import answer_from, document_of
from common.analysis.cache.key import Basis, catalogue_hash, key_of, normalised
from common.analysis.cache.uses import Uses
from common.core.errors import Invalid, Unavailable
from common.ports import Answer, Answers, Asking, Flight, Front, Learned, Question, Remembered, Use
from common.telemetry import code_of, metrics, note

FLIGHT: Final = timedelta(minutes=2)  # that others wait for a call: longer than nearly all, and a dead worker's end


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is remembered where, and by whom."""

    answers: Answers
    front: Front  # the fast side
    worker: str  # this process's name in flights


class Shelf:
    """Remembered answers. What cannot be kept or counted is a line in the log: an answer is paid for, and counts."""

    def __init__(
        self,
        memory: Memory,
        catalogue: Catalogue,
        now: Callable[[], datetime],
        *,
        models: Sequence[str],
        prompt_version: str,
    ) -> None:
        """`models`: that may be asked, each in its part: with prompts and actions, they are in every key."""
        self._answers = memory.answers
        self._front = memory.front
        self._worker = memory.worker
        self._catalogue = catalogue
        self._now = now
        self._models = tuple(models)
        self._prompt_version = prompt_version
        self._uses = Uses(memory.answers)
        self._made: Basis | None = None

    def close(self) -> None:
        """Write what is still to be counted."""
        self._uses.close()

    # --- from questions to keys and back ----------------------------------------------------------------------------

    def key(self, question: Question) -> str:
        """See `key_of`."""
        if self._made is None:  # most processes never ask: the schemas are made at the first question
            self._made = Basis(self._models, self._prompt_version, catalogue_hash(self._catalogue.schemas()))
        return key_of(question, self._made, self._now())

    def asking(self, question: Question) -> Asking:
        """A question about to be asked."""
        return Asking(
            key=self.key(question),
            request=normalised(question.task.request.text or ""),
            prompt_version=self._prompt_version,
            model=" ".join(model for model in self._models if model),
        )

    def learned(self, question: Question, asking: Asking, said: Answer) -> Learned | None:
        """What is to be kept of an answer; None: nothing."""
        policy, request = question.policy, question.task.request
        names = frozenset((*policy.functions, *policy.channels, *request.inputs))
        if why_not_kept(request.text or "", names, said) is not None:
            return None
        return Learned(
            key=asking.key,
            request=asking.request,
            prompt_version=asking.prompt_version,
            model=asking.model,
            answer=document_of(said),
            cost=said.cost,
        )

    def hit(self, question: Question, found: Learned | None) -> Answer | None:
        """The answer in what was found, if it is one, and fits this task."""
        answer = None if found is None else answer_from(found.answer)
        return answer if answer is not None and self.fits(question, answer) else None

    def fits(self, question: Question, said: Answer) -> bool:
        """Whether the plan can be read with this task's own inputs: they may lack what another's had."""
        try:
            self._catalogue.read(said.steps, question.task.request.inputs, self._now())
        except Invalid:
            return False
        return True

    # --- rows -------------------------------------------------------------------------------------------------------

    def recall(self, workspace: UUID, keys: Sequence[str]) -> Mapping[str, Learned]:
        """What the fast side has."""
        return self._front.recall(workspace, keys, self._prompt_version)

    def find(self, workspace: UUID, keys: Sequence[str]) -> Mapping[str, Remembered]:
        """What the database has."""
        return self._answers.find(workspace, keys)

    def take(self, workspace: UUID, wanted: Sequence[Asking]) -> Mapping[str, Remembered | Flight]:
        """The same, or who asks for it. What was found is handed to the fast side."""
        taken = self._answers.take(workspace, wanted, self._worker, FLIGHT)
        self._front.put(workspace, [found for found in taken.values() if isinstance(found, Remembered)])
        return taken

    def store(self, workspace: UUID, learned: Sequence[Learned]) -> None:
        """Keep; the flights end."""
        if learned:
            self._quietly(lambda: self._answers.store(workspace, learned))
            self._front.put(workspace, learned)

    def let_go(self, workspace: UUID, keys: Sequence[str]) -> None:
        """End flights of ours that brought nothing."""
        if keys:
            self._quietly(lambda: self._answers.let_go(workspace, keys, self._worker))

    def drop(self, workspace: UUID, key: str) -> None:
        """Forget an answer."""
        self._quietly(lambda: self._answers.drop(workspace, [key]))
        self._front.drop(workspace, [key])

    def count(self, workspace: UUID, side: str, hits: Sequence[str], looked_up: int) -> None:
        """So many were looked up, and these keys served; a key that served twice stands there twice."""
        metrics().cache(side, len(hits), looked_up - len(hits))
        if hits:
            self._uses.add(workspace, hits)

    def checked(self, use: Use) -> None:
        """A hit was asked again."""
        self._quietly(lambda: self._answers.count([use]))

    def _quietly(self, keep: Callable[[], object]) -> None:
        try:
            keep()
        except Unavailable as exc:
            note("cache_not_kept", logging.WARNING, error=code_of(exc))
