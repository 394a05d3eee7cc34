"""What a model answered, read with distrust. Pure.

The provider promises the schema; nothing here relies on it. What cannot be read at all is no plan; a risk that cannot
be read is high (I5). The answer proposes steps, a risk and a priority; it has no say in hosts, floors or approvals.
Of several tasks each is read by itself: what is wrong with one takes nothing from its neighbours (I12).
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from common.core.task import STEPS_MAX, Json, Risk, Step

LONGEST: Final = 200_000  # characters; the longest plan is a tenth of that
SUMMARY_MAX: Final = 500  # characters: one sentence is asked for
_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class PlannedStep(BaseModel):
    """A step as the model writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(description="[a-z][a-z0-9_]{0,31}")
    action: str = Field(description="name of an action")
    # Argument schemas differ by action and are open, which structured answers do not allow: so JSON inside a string.
    args: str = Field(description="the arguments, a JSON object written as a string")


class WantedItem(BaseModel):
    """What is asked for of each task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nonce: str = Field(description="the task's own")
    kind: str = Field(description="snake_case")
    summary: str = Field(description="one sentence")
    risk: Literal["low", "medium", "high", "critical"]
    confidence: float = Field(description="0 to 1")
    priority: int = Field(description="0 to 9")
    steps: list[PlannedStep]


class Wanted(BaseModel):
    """The form of the answer that is asked for; its JSON Schema goes to the provider."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answers: list[WantedItem] = Field(description="one for each task")


def _risk(value: object) -> Risk:
    return Risk(value) if isinstance(value, str) and value in set(Risk) else Risk.HIGH


def _kind(value: object) -> str:
    return value if isinstance(value, str) and _KIND.fullmatch(value) else "other"


def _summary(value: object) -> str:
    return _CONTROL.sub(" ", value)[:SUMMARY_MAX].strip() if isinstance(value, str) else ""


def _priority(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 9 else None  # noqa: PLR2004 - the API's range


def _confidence(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 <= value <= 1 else 0.0


class _ReadStep(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    action: str = Field(min_length=1, max_length=64)
    args: str | dict[str, Json] = "{}"


class Proposal(BaseModel):
    """What it says of one task, as far as it can be read. What decides nothing is mended; a wrong step is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nonce: str
    kind: Annotated[str, BeforeValidator(_kind)] = "other"
    summary: Annotated[str, BeforeValidator(_summary)] = ""
    risk: Annotated[Risk, BeforeValidator(_risk)] = Risk.HIGH
    confidence: Annotated[float, BeforeValidator(_confidence)] = 0.0
    priority: Annotated[int | None, BeforeValidator(_priority)] = None
    steps: list[_ReadStep] = Field(max_length=STEPS_MAX)

    def planned(self) -> tuple[Step, ...]:
        """The steps, their arguments read. UnusableError."""
        try:
            return tuple(Step(id=step.id, action=step.action, args=_arguments(step.args)) for step in self.steps)
        except (ValueError, RecursionError) as exc:
            raise UnusableError("a step cannot be read") from exc


def ended_badly(stop: str) -> str | None:
    """The failure's code if a model did not say all that it had to say."""
    if stop == "refusal":
        return "refused_by_model"
    if stop in {"max_tokens", "model_context_window_exceeded"}:
        return "answer_truncated"
    return None if stop in {"end_turn", "stop_sequence"} else "unusable_answer"


class UnusableError(Exception):
    """The answer is none. The message never quotes it."""


def read_items(text: str, *, cut_off: bool = False) -> list[Json]:
    """What an answer says, task by task, each still to be read. UnusableError if they cannot be told apart.

    Args:
        text: the whole answer.
        cut_off: it ended before its end; then what was said in full is found.
    """
    if len(text) > LONGEST:
        raise UnusableError(f"longer than {LONGEST:,} characters")
    try:
        found = _complete(text) if cut_off else _DECODER.decode(text)
    except (ValueError, RecursionError) as exc:
        raise UnusableError("not JSON") from exc
    items = found.get("answers") if isinstance(found, dict) and set(found) == {"answers"} else None
    if not isinstance(items, list):
        raise UnusableError("not an object with `answers` and nothing else")
    return items


def read_item(item: Json) -> Proposal:
    """The proposal in one of the items. UnusableError."""
    try:
        if _ambiguous(item):
            raise UnusableError("a key stands twice, or a number is none")
        return Proposal.model_validate(item, strict=False)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        where = "/".join(str(part)[:40] for part in first["loc"][:4])
        raise UnusableError(f"{where}: {first['type']}") from exc
    except RecursionError as exc:
        raise UnusableError("nested too deep") from exc


_FRONT: Final = re.compile(r'\s*\{\s*"answers"\s*:\s*\[')
_BETWEEN: Final = re.compile(r"[\s,]*")


def _complete(text: str) -> Json:
    """The items that stand in full before the end. ValueError if it does not even begin like an answer."""
    front = _FRONT.match(text)
    if front is None:
        raise ValueError("no answers")
    items: list[Json] = []
    at = front.end()
    while text[at : at + 1] == "{":
        try:
            item, at = _DECODER.raw_decode(text, at)
        except ValueError:
            break
        items.append(item)
        between = _BETWEEN.match(text, at)
        at = at if between is None else between.end()
    return {"answers": items}


# Of a key that stands twice, and of NaN, two readers would see different things. Where such stands, its item is
# unusable, and no other.
_AMBIGUOUS: Final = "\x00ambiguous"


def _marked(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    return made if len(made) == len(pairs) else {**made, _AMBIGUOUS: True}


_DECODER: Final = json.JSONDecoder(parse_constant=lambda _: {_AMBIGUOUS: True}, object_pairs_hook=_marked)


def _ambiguous(value: Json) -> bool:
    if isinstance(value, dict):
        return _AMBIGUOUS in value or any(map(_ambiguous, value.values()))
    return isinstance(value, list) and any(map(_ambiguous, value))


def _arguments(args: str | dict[str, Json]) -> dict[str, Json]:
    found = _DECODER.decode(args) if isinstance(args, str) else args
    if not isinstance(found, dict) or _ambiguous(found):
        raise ValueError("arguments are an object")
    return found
