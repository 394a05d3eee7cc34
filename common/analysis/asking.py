"""The Analyzer that asks Claude: one structured call a task, behind the budget door; and `claude.generate`.

What goes out: the task's text, the names and types of its inputs, the actions, the names of functions and channels, and
after a failure what was begun and why it stopped. Never: values of inputs, results, secrets, who asked, other tasks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from common.actions.catalogue import Catalogue
from common.actions.contract import Generated, NotDone, Unknown
from common.analysis import answer
from common.analysis.call import Asker, Billed, Call, Fault, Reply
from common.analysis.history import kept_steps
from common.analysis.key import Key
from common.analysis.prompts import ANALYSIS, GENERATE, prompt
from common.analysis.question import content_of
from common.core.errors import Invalid
from common.core.task import Failure, Json, Task
from common.ports import Answer, NotAnswered, Question

SOURCE: Final = "claude"
ANSWER_TOKENS: Final = 4000  # a plan of ten steps takes 600; what is longer is cut off and goes to a person
GENERATE_SECONDS: Final = 110.0  # just under the action's own time limit


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

    def analyze(self, question: Question) -> Answer | NotAnswered:
        """Ask once. The steps are new ones only: whoever stores the plan puts the kept ones in front (I6)."""
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
        ended = _ended_badly(said)
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

    def generate(
        self, task: Task, prompt_text: str, max_tokens: int, schema: Mapping[str, Json] | None
    ) -> Generated | NotDone | Unknown:
        """For the action `claude.generate`: text, or JSON that keeps to the schema. Through the same door."""
        said = self._asker.ask(
            Call(
                workspace=task.workspace,
                purpose="generate",
                model=self._model,
                prompt_version=GENERATE,
                system=prompt(GENERATE).text,
                content=prompt_text,
                max_tokens=max_tokens,
                schema=schema,
                task_ids=(task.id,),
                timeout=GENERATE_SECONDS,
            )
        )
        if isinstance(said, Fault):
            return _not_generated(said)
        ended = _ended_badly(said)
        if ended is not None:
            return NotDone(ended, transient=False)
        if schema is None:
            return Generated(said.text)
        return _generated_json(said.text, schema)


def _ended_badly(said: Reply) -> str | None:
    """The failure's code if the model did not say all that it had to say."""
    if said.stop == "refusal":
        return "refused_by_model"
    if said.stop in {"max_tokens", "model_context_window_exceeded"}:
        return "answer_truncated"
    return None if said.stop in {"end_turn", "stop_sequence"} else "unusable_answer"


def _not_generated(fault: Fault) -> NotDone | Unknown:
    """A call that may have been billed is unknown, and asked again under the attempt's own limits."""
    if fault.billed is Billed.MAYBE:
        return Unknown(fault.code, fault.status, fault.detail)
    return NotDone(
        fault.code,
        transient=fault.again_in is not None,
        status=fault.status,
        detail=fault.detail,
        again_in=fault.again_in,
        waiting_for=fault.waiting_for,
    )


def _ignored(*_: object) -> None:
    """A keyword that is not looked at: a hostile pattern stops the process."""


_Validator: Final = extend(  # type: ignore[no-untyped-call]  # jsonschema has no types for it
    Draft202012Validator, {"pattern": _ignored, "patternProperties": _ignored}
)


def _generated_json(text: str, schema: Mapping[str, Json]) -> Generated | NotDone:
    """Checked against the whole schema: the provider keeps to its form, not to its bounds."""
    try:
        found: Json = json.loads(text)
        # An empty registry: a schema never makes us fetch anything.
        _Validator(dict(schema), registry=Registry()).validate(found)
    except (ValueError, RecursionError, ArithmeticError):
        return NotDone("unusable_answer", transient=True)
    except ValidationError:
        return NotDone("unusable_answer", transient=True, detail="not as the schema says")
    except (SchemaError, Unresolvable, TypeError, AttributeError):
        return NotDone("schema_unusable", transient=False)
    return Generated(text, found)
