"""`must`: what the plan says of a result before it exists, so that a person can approve it. Pure.

JSON Schema 2020-12, and of that only what is plain to read and cheap to check: no `$ref` (nothing is fetched, nothing
loops), and no `pattern` (a hostile one stops the whole process).
"""

from __future__ import annotations

from typing import Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

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
    if not isinstance(must, dict):
        return False
    try:
        return bool(Draft202012Validator(must).is_valid(value))
    except (ArithmeticError, RecursionError):  # multipleOf of a huge number overflows
        return False
