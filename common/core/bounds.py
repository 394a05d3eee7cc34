"""`must`: what the plan says of a result before it exists, so that a person can approve it. Pure.

JSON Schema 2020-12, and of that only what is plain to read and cheap to check: no `$ref` (nothing is fetched, nothing
loops), and no `pattern` (a hostile one stops the whole process).
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from common.core.digest import canonical
from common.core.errors import FieldError
from common.core.json_limits import walk
from common.core.task import Json

KEYWORDS: Final = frozenset({
    "additionalProperties", "allOf", "anyOf", "const", "description", "enum", "exclusiveMaximum", "exclusiveMinimum",
    "items", "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum",
    "multipleOf", "not", "oneOf", "prefixItems", "properties", "required", "title", "type",
})  # fmt: skip
_ONE: Final = frozenset({"items", "additionalProperties", "not"})  # keywords that hold a schema
_MANY: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})  # … or a list of them
# Parts of the schema times parts of the value: each is held against each at worst, at a few microseconds a pair, in the
# one thread that claims. A schema of 12,000 alternatives over as many items stopped all execution for half an hour.
MUST_MAX: Final = 300  # parts; checking one costs 0.15 ms each, and one of 17,000 stopped all intake for a minute
WORK_MAX: Final = 500_000
TEXT_PART: Final = 32  # characters that count as one part: a complaint quotes the whole value
_SILENT: Final = frozenset({"title", "description"})  # … or say nothing


def check(must: Json) -> None:
    """ValueError, with the reason, if it is no bound."""
    if not isinstance(must, dict) or not set(must) - _SILENT:
        msg = '`must` must be a JSON Schema that says something, e.g. {"type": "number", "maximum": 50000}'
        raise ValueError(msg)
    faults: list[FieldError] = []
    if any(True for _ in walk(must, "", faults)):
        msg = "`must` may not hold a `$ref`"
        raise ValueError(msg)
    if faults:
        msg = f"`must`{faults[0].pointer} {faults[0].detail}"
        raise ValueError(msg)
    if _weight(must) > MUST_MAX:
        msg = f"`must` says too much: at most {MUST_MAX} parts"
        raise ValueError(msg)
    _check_schema(canonical(must))


@lru_cache(maxsize=1024)  # a plan's bounds are read several times between intake and the step
def _check_schema(text: bytes) -> None:
    must: dict[str, Json] = json.loads(text)
    _check_keywords(must)
    try:
        Draft202012Validator.check_schema(must)
    except SchemaError as exc:
        msg = f"`must` is not a JSON Schema: {exc.message[:200]}"
        raise ValueError(msg) from exc


def _check_keywords(must: Json) -> None:
    schemas: list[Json] = [must]
    while schemas:
        schema = schemas.pop()
        if not isinstance(schema, dict):
            continue  # true and false are schemas, and check_schema refuses the rest
        unknown = sorted(set(schema) - KEYWORDS)
        if unknown:
            msg = f"`must` may not use {', '.join(unknown)[:100]}"
            raise ValueError(msg)
        for key, inner in schema.items():
            if key in _ONE:
                schemas.append(inner)
            elif key in _MANY and isinstance(inner, list):
                schemas += inner
            elif key == "properties" and isinstance(inner, dict):
                schemas += inner.values()


def within(must: Json, value: Json) -> bool:
    """Whether a value keeps within checked bounds; what cannot be judged does not."""
    if not isinstance(must, dict) or _weight(must) * _weight(value) > WORK_MAX:
        return False
    try:
        return bool(Draft202012Validator(must).is_valid(value))
    except (ArithmeticError, RecursionError):  # multipleOf of a huge number overflows
        return False


def _weight(value: Json) -> int:
    """How many parts a value has, long texts counted by their length."""
    parts, nodes = 0, [value]
    while nodes:
        node = nodes.pop()
        parts += 1
        if isinstance(node, str):
            parts += len(node) // TEXT_PART
        elif isinstance(node, dict):
            parts += len(node)
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node
    return parts
