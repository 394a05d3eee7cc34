"""The Analyzer that asks Claude: one structured call a task, behind the budget door.

What goes out: the task's text, the names and types of its inputs, the actions, the names of functions and channels, and
after a failure what was begun and why it stopped. Never: values of inputs, results, secrets, who asked, other tasks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Final

from common.actions.catalogue import Catalogue
from common.analysis import answer
from common.analysis.call import Asker, Call, Fault, Reply
from common.analysis.history import kept_steps
from common.analysis.key import Key
from common.analysis.prompts import ANALYSIS, prompt
from common.analysis.question import content_of
from common.core.errors import Invalid
from common.core.task import Failure, Task
from common.ports import Answer, NotAnswered, Question

SOURCE: Final = "claude"
ANSWER_TOKENS: Final = 4000  # a plan of ten steps takes 600; what is longer is cut off and goes to a person


class Claude:
    """An Analyzer with a model, as long as there is a key."""

    def __init__(self, asker: Asker, key: Key, model: str, catalogue: Catalogue, now: Callable[[], datetime]) -> None:
        """`asker`: the budget door, or what is wrapped around it. `now`: aware, for times that a text speaks of."""
        self._asker = asker
        self._key = key
        self._model = model
        self._catalogue = catalogue
        self._now = now

    @property
    def has_model(self) -> bool:
        """Whether there is a key now."""
        return self._key.value() is not None

    @cached_property
    def _system(self) -> str:
        """The system text, made at the first question: most processes never ask one."""
        actions = json.dumps(self._catalogue.schemas(), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return prompt(ANALYSIS).filled(actions=actions)

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """Nothing is known without asking."""
        return [None] * len(questions)

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """Ask once for each."""
        return [self._ask(question) for question in questions]

    def _ask(self, question: Question) -> Answer | NotAnswered:
        task = question.task
        said = self._asker.ask(
            Call(
                workspace=task.workspace,
                purpose=question.purpose,
                model=self._model,
                prompt_version=ANALYSIS,
                system=self._system,
                content=content_of(question, self._now()),
                max_tokens=ANSWER_TOKENS,
                schema=answer.Wanted.model_json_schema(),
                # A preview has no task row that a call could belong to.
                task_ids=(task.id,) if question.purpose == "analysis" else (),
            )
        )
        if isinstance(said, Fault):
            return said.as_not_answered()
        ended = answer.ended_badly(said.stop)
        if ended is not None:
            return NotAnswered(failure=Failure(code=ended), cost=said.cost)
        return self._read(task, said)

    def _read(self, task: Task, said: Reply) -> Answer | NotAnswered:
        """The reply as an Answer, its steps as the catalogue takes them; what is unusable goes to a person."""
        try:
            self._refuse_key(said.text)
            proposal = answer.read(said.text)
            if not proposal.steps:
                why = Failure(code="needs_person", detail=proposal.summary or None)
                return NotAnswered(failure=why, cost=said.cost)
            steps = proposal.planned()
            self._catalogue.read([*kept_steps(task), *steps], task.request.inputs, self._now())
        except answer.UnusableError as exc:
            return NotAnswered(failure=Failure(code="unusable_answer", detail=str(exc)), cost=said.cost)
        except Invalid as exc:
            first = exc.errors[0]
            detail = f"{first.pointer}: {first.detail}"[:500]
            return NotAnswered(failure=Failure(code="unusable_answer", detail=detail), cost=said.cost)
        return Answer(
            kind=proposal.kind,
            steps=steps,
            source=SOURCE,
            risk=proposal.risk,
            priority=proposal.priority,
            summary=proposal.summary,
            cost=said.cost,
        )

    def _refuse_key(self, text: str) -> None:
        """An answer that holds our own key came from someone who should not have it (I11)."""
        key = self._key.value()
        if key is not None and key in text:
            raise answer.UnusableError("holds a secret")
