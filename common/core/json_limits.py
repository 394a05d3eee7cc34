"""What JSON may be where steps hand it on: canonical (RFC 8785), storable in PostgreSQL, and of bounded size. Pure.

One walk finds the faults and the references: foreign JSON is walked before anything is done with it, without recursion.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

import orjson

from common.core.digest import canonical
from common.core.errors import FieldError
from common.core.task import Json

REF: Final = "$ref"
DEPTH_MAX: Final = 64  # of nesting; far above any plan, far below what recursion in Python or PostgreSQL allows
NODES_MAX: Final = 50_000  # values in one step's arguments
TEXT_MAX: Final = 2_000_000  # characters in one step's arguments: a whole result (1 MB) and its surroundings
INTEGER_MAX: Final = 2**53 - 1  # beyond it canonical JSON cannot tell two numbers apart (RFC 8785 section 3.2.2.3)
PLAIN_BYTES: Final = NODES_MAX  # of the text that `plain` passes: no value takes less than one
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def escape(key: str) -> str:
    """A key as a token of a JSON pointer in a URI fragment (RFC 6901 section 6)."""
    if key.isidentifier() and key.isascii():  # what most keys are: nothing in it needs it
        return key
    return quote(key.replace("~", "~0").replace("/", "~1"), safe="~!$&'()*+,;=:@", errors="replace")


def same(left: Json, right: Json) -> bool:
    """Whether two values are the same JSON: 1 is not true, and key order does not matter. ValueError as `canonical`."""
    return canonical(left) == canonical(right)


def text_fault(text: str) -> str | None:
    """Why a string can be no part of an argument or a stored result; None: it can."""
    if "\x00" in text:
        return "holds a NUL character"
    if not text.isascii() and _SURROGATE.search(text):
        return "holds a lone surrogate, which is no character"
    return None


def number_fault(number: float) -> str | None:
    """Why a number cannot be kept exactly; None: it can."""
    if isinstance(number, int):
        return "is an integer beyond 2**53 - 1, which JSON does not keep exactly" if abs(number) > INTEGER_MAX else None
    return None if math.isfinite(number) else "is not a finite number"


def plain(value: Json | Mapping[str, Json]) -> bool:
    """Whether a value surely holds neither a fault nor a `$ref`, as its JSON text shows: what most arguments are.

    It only saves a `walk`, which takes many times as long.
    """
    try:
        text = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except TypeError:  # a lone surrogate, an integer that is too large, a key that is no text, or too deep
        return False
    return (
        len(text) <= PLAIN_BYTES
        and text.count(b"{") + text.count(b"[") <= DEPTH_MAX
        and b'"$ref"' not in text
        and b"\\u0000" not in text
        and b"null" not in text  # what is no finite number is written so, too
    )


def walk(value: Json, pointer: str, errors: list[FieldError]) -> Iterator[tuple[str, dict[str, Json]]]:
    """Objects with a `$ref`, with their pointers, in order. What does not fit is added to `errors` on the way.

    It does not look into what it yields: of a reference its reader decides what it may hold.
    """
    stack: list[tuple[str, Json, int]] = [(pointer, value, 0)]
    nodes = characters = 0
    while stack:
        where, node, depth = stack.pop()
        nodes += 1
        if isinstance(node, dict | list):
            if depth >= DEPTH_MAX:
                errors.append(FieldError(where, f"is nested deeper than {DEPTH_MAX} levels"))
            elif isinstance(node, list):
                stack += [(f"{where}/{index}", node[index], depth + 1) for index in range(len(node) - 1, -1, -1)]
            else:
                characters += sum(map(len, node))
                errors += [FieldError(where, f"has a key that {fault}") for key in node if (fault := text_fault(key))]
                if REF in node:
                    yield where, node
                else:
                    stack += [(f"{where}/{escape(key)}", node[key], depth + 1) for key in reversed(node)]
        elif fault := _leaf_fault(node):
            errors.append(FieldError(where, fault))
        characters += len(node) if isinstance(node, str) else 0
        if nodes > NODES_MAX or characters > TEXT_MAX:
            errors.append(
                FieldError(pointer, f"is too large: at most {NODES_MAX:,} values and {TEXT_MAX:,} characters")
            )
            return


def _leaf_fault(node: Json) -> str | None:
    if isinstance(node, str):
        return text_fault(node)
    if isinstance(node, int | float) and not isinstance(node, bool):
        return number_fault(node)
    return None
