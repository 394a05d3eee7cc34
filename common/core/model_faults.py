"""What is wrong with a value, in our words: pydantic's errors name Python's classes and its own steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from common.core.task import STEP_ID

# One line that a screen can show: no control characters (a newline, ESC), no other separators of lines.
ONE_LINE: Final = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"

TIME_HINT: Final = "RFC 3339 with a zone, e.g. 2026-11-24T09:00:00+09:00"
OBJECT: Final = ("must be an object", "write it in curly brackets, with names")
LIST: Final = ("must be a list", "write it in square brackets")
WHOLE: Final = ("must be a whole number", "without a fraction and without quotation marks")
NUMBER: Final = ("must be a number", "without quotation marks")
BOOLEAN: Final = ("must be true or false", "without quotation marks")
TIME: Final = ("must be a time", TIME_HINT)
UUID: Final = ("must be a UUID", "")

# By pydantic's type: what is wrong, and the mend. Places are filled from the error's context.
WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "model_type": OBJECT,
    "model_attributes_type": OBJECT,
    "dict_type": OBJECT,
    "list_type": LIST,
    "tuple_type": LIST,
    "string_type": ("must be text", "write it between quotation marks"),
    "int_type": WHOLE,
    "int_parsing": WHOLE,
    "int_from_float": WHOLE,
    "int_parsing_size": WHOLE,
    "float_type": NUMBER,
    "float_parsing": NUMBER,
    "finite_number": ("must be a finite number", ""),
    "bool_type": BOOLEAN,
    "bool_parsing": BOOLEAN,
    "uuid_type": UUID,
    "uuid_parsing": UUID,
    "datetime_type": TIME,
    "datetime_parsing": TIME,
    "datetime_from_date_parsing": TIME,
    "timezone_aware": ("must say its zone", TIME_HINT),
    "literal_error": ("must be {expected}", ""),
    "enum": ("must be {expected}", ""),
    "greater_than_equal": ("must be at least {ge}", ""),
    "greater_than": ("must be more than {gt}", ""),
    "less_than_equal": ("must be at most {le}", ""),
    "less_than": ("must be less than {lt}", ""),
    "string_too_short": ("must have at least {min_length} characters", ""),
    "string_too_long": ("must have at most {max_length} characters", ""),
    "too_short": ("must have at least {min_length} items", ""),
    "too_long": ("must have at most {max_length} items, not {actual_length}", ""),
    "extra_forbidden": ("unknown field", "leave it out, or look for a typing error"),
    "missing": ("is missing", "it is required"),
}
PATTERNS: Final[Mapping[str, tuple[str, str]]] = {
    STEP_ID: ("must be a short name", "a-z first, then a-z, 0-9 and _, at most 32"),
    ONE_LINE: ("must be one line without control characters", "leave them out"),
}
EMPTY: Final = ("must not be empty", "")


def worded(error: Mapping[str, Any]) -> tuple[str, str]:
    """Detail and hint of one of pydantic's errors (with its context); the value itself is not quoted."""
    kind, context = str(error["type"]), error.get("ctx") or {}
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(context.get("pattern", ""), ("must be written in another way", ""))
    if kind in {"string_too_short", "too_short"} and context.get("min_length") == 1:
        return EMPTY
    if kind in WORDS:
        detail, hint = WORDS[kind]
        return detail.format_map({name: _said(value) for name, value in context.items()}), hint
    # A validator of ours speaks for itself; of pydantic's others no more than their subject changes.
    return str(error["msg"]).removeprefix("Value error, ").replace("Input should ", "must ", 1), ""


def _said(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
