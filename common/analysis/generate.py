"""Words on request: what the action `claude.generate` asks for, through the same paid door."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from common.actions.contract import Generated, NotDone, Unknown
from common.analysis.call import Asker, Billed, Call, Fault
from common.analysis.packs.answer import ended_badly
from common.analysis.prompts import GENERATE, prompt
from common.core.task import Json, Task

GENERATE_SECONDS: Final = 110.0  # just under the action's own time limit


class Writer:
    """Writes what a step asks for: it sends that step's prompt and nothing else."""

    def __init__(self, asker: Asker, model: str) -> None:
        """`asker`: the budget door, or what is around it (I7)."""
        self._asker = asker
        self._model = model

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
                cap=task.plan.cost_cap if task.plan is not None else None,
                timeout=GENERATE_SECONDS,
            )
        )
        if isinstance(said, Fault):
            return _not_generated(said)
        ended = ended_badly(said.stop)
        if ended is not None:
            return NotDone(ended, transient=False)
        if schema is None:
            return Generated(said.text)
        return _generated_json(said.text, schema)


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
