"""A request's body, parsed once and strictly: what could not be stored is refused at its field."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Final

import orjson

from common.core.errors import FieldError, Invalid, Malformed
from common.core.task import Json

LONG_INTEGER: Final = b"0" * 16  # digits of an integer that may not be kept exactly, each written as 0
_DIGITS_AS_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")
INTEGER_MAX: Final = 2**53 - 1  # beyond it canonical JSON cannot tell two numbers apart (RFC 8785 section 3.2.2.3)
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
DEPTH_MAX: Final = 64  # deeper is nobody's honest JSON, and recursion costs stack everywhere below


def read_json(raw: bytes) -> Json:
    """Parse a body.

    Raises:
        Malformed: not JSON, or not UTF-8.
        Invalid: NaN or an infinity, an inexact integer, a lone surrogate, a NUL, or too deep; each with a pointer.
    """
    try:
        value: Json = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        value = _explained(raw, exc)
    # Only a body that holds such signs can hold such values: the walk is spared for all others.
    if LONG_INTEGER in raw.translate(_DIGITS_AS_ZEROS):
        _refuse(json.loads(raw))  # orjson makes a float of what is over 64 bits; an amount must not change silently
    elif b"\\u0000" in raw or _deep(raw):
        _refuse(value)
    return value


def _explained(raw: bytes, cause: orjson.JSONDecodeError) -> Json:
    """orjson is strict but does not say where; the lenient parser lets the fault be pointed at."""
    try:
        value: Json = json.loads(raw.decode())
    except (UnicodeDecodeError, RecursionError):
        msg = "the body is not UTF-8 JSON"
        raise Malformed(msg) from cause
    except json.JSONDecodeError as exc:
        msg = f"line {exc.lineno}, column {exc.colno}: {exc.msg}"
        raise Malformed(msg) from cause
    except ValueError as exc:
        # Python reads no integer of more than 4,300 digits.
        raise Malformed(str(cause)) from exc
    _refuse(value)
    raise Malformed(str(cause)) from cause


def _deep(raw: bytes) -> bool:
    """Whether it is nested too deep; told from the brackets alone, since walking a thousand tasks costs 7 us each."""
    if raw.count(b"[") + raw.count(b"{") <= DEPTH_MAX:
        return False
    # What stands between two quotation marks is text, unless one of them is escaped: then it takes six times as long.
    bare = _STRING.sub(b"", raw) if b"\\" in raw else b"".join(raw.split(b'"')[::2])
    left = bare.translate(None, _NO_BRACKETS)
    # Each round takes the innermost pairs away.
    for _ in range(DEPTH_MAX):
        left = left.replace(b"[]", b"").replace(b"{}", b"")
        if not left:
            return False
    return True


def _refuse(value: Json) -> None:
    errors = tuple(_faults(value, "#", 0))
    if errors:
        raise Invalid(errors)


def _faults(value: Json, at: str, depth: int) -> Iterator[FieldError]:
    if depth > DEPTH_MAX:
        yield FieldError(at, f"nested deeper than {DEPTH_MAX} levels", "flatten it")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, f"{at}/{index}", depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            fault = text_fault(key)
            place = f"{at}/{pointer_token(key)}"
            if fault:
                yield FieldError(place.encode(errors="replace").decode(), f"the name: {fault}", "rename the field")
            yield from _faults(item, place, depth + 1)
    elif (said := _fault_of(value)) is not None:
        yield FieldError(at, *said)


def _fault_of(value: Json) -> tuple[str, str] | None:
    """Why a single value cannot be stored, and the mend; None if it can."""
    if isinstance(value, str):
        fault = text_fault(value)
        return (fault, "leave that character out") if fault else None
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        return "an integer that JSON readers do not keep exactly", "send it as a string"
    if isinstance(value, float) and not math.isfinite(value):
        return "not a finite number", "JSON has no NaN and no infinity; use null or a string"
    return None


def text_fault(text: str) -> str | None:
    """Why a text cannot be stored; None if it can."""
    if "\x00" in text:
        return "holds a NUL character"
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        return "holds a lone surrogate, which is not Unicode text"
    return None


def pointer_token(key: object) -> str:
    """One token of a JSON pointer (RFC 6901)."""
    return str(key).replace("~", "~0").replace("/", "~1")
