"""References in arguments: `{"$ref": "steps.page.json.price"}`, `{"$ref": "inputs.order"}`, `{"$ref": "now"}`. Pure.

After the root stands JMESPath, nothing else: no code of users is ever run. `inputs` and `now` are bound once, before
the digest; results of steps are filled in when the step runs, and `"must"` (a JSON Schema) bounds what they may be.
Foreign JSON is never read as a reference: an input or a result that holds a `$ref` of its own is refused, not followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult

from common.core import bounds
from common.core.errors import FieldError, Invalid
from common.core.json_limits import REF, escape, plain, text_fault, walk
from common.core.task import Json

MUST: Final = "must"
EXPRESSION_MAX: Final = 300  # characters; bounds the parser's recursion
COPIES_MAX: Final = 64  # how often one expression may repeat its input; `[@,@]|[@,@]|…` would double it without end
NO_FIELDS: Final = frozenset[str]()
EXAMPLE: Final = 'e.g. {"$ref": "steps.page.json.price"}'

_STEP: Final = re.compile(
    r"steps\.([a-z][a-z0-9_]{0,31})(?:\.(?P<field>.+)|(?P<index>\[.+)|\s*\|(?P<pipe>.+))?", re.DOTALL
)
_INPUT: Final = re.compile(r"inputs(?:\.(?P<field>.+)|(?P<index>\[.+)|\s*\|(?P<pipe>.+))?", re.DOTALL)


class Unresolvable(Exception):
    """A reference cannot be filled in now, and never will be: a permanent failure of the step.

    `code`: ref_missing, ref_out_of_bounds, ref_unusable (the value cannot be an argument).
    """

    def __init__(self, code: str, pointer: str, detail: str) -> None:
        """`pointer`: into the step's args; `detail` never quotes the value."""
        super().__init__(f"{pointer}: {detail}")
        self.code = code
        self.pointer = pointer
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference found in arguments; `field`: the top-level one that holds it. `expression` empty: the whole root."""

    pointer: str
    field: str
    root: Literal["steps", "inputs", "now"]
    step: str = ""
    expression: str = ""
    must: Json = None

    @property
    def bounded(self) -> bool:
        """Whether the plan says what the value must be."""
        return self.must is not None


# --- finding --------------------------------------------------------------------------------------------------------


def find(args: Mapping[str, Json], pointer: str = "") -> tuple[Ref, ...]:
    """Every reference in the arguments, in order; their pointers are into the arguments.

    Args:
        args: a step's arguments.
        pointer: where they stand in the request, for the pointers of faults.

    Raises:
        Invalid: every fault: what is meant as a reference and is none, and what no argument may hold (json_limits).
    """
    if plain(args):
        return ()
    errors: list[FieldError] = []
    found: list[Ref] = []
    if REF in args:
        raise Invalid((FieldError(pointer, "are arguments by name, and cannot be a reference as a whole"),))
    for name, value in args.items():
        if fault := text_fault(name):
            errors.append(FieldError(pointer, f"has a key that {fault}"))
        if plain(value):
            continue
        top = f"/{escape(name)}"
        for where, node in walk(value, pointer + top, errors):
            try:
                found.append(_parse(node, where[len(pointer) :], name))
            except ValueError as exc:
                errors.append(FieldError(where, str(exc), EXAMPLE))
    if errors:
        raise Invalid(tuple(errors))
    return tuple(found)


def step_fields(args: Mapping[str, Json]) -> frozenset[str]:
    """The top-level arguments that hold a reference to a result. Invalid as `find`."""
    return fields_of(find(args))


def fields_of(found: Sequence[Ref]) -> frozenset[str]:
    """The top-level arguments that hold one of these references to results."""
    return frozenset([ref.field for ref in found if ref.root == "steps"]) if found else NO_FIELDS


def unbounded(args: Mapping[str, Json]) -> bool:
    """Whether any reference to a result says nothing of what it must be. Invalid as `find`."""
    return any(ref.root == "steps" and not ref.bounded for ref in find(args))


def faults(value: Json, pointer: str) -> list[FieldError]:
    """What in a value cannot be an argument, references included: inputs and results must not bring their own."""
    errors: list[FieldError] = []
    if plain(value):
        return errors
    for where, _ in walk(value, pointer, errors):
        errors.append(FieldError(where, "holds a `$ref` of its own; only a plan's arguments may"))
    return errors


def _parse(value: dict[str, Json], pointer: str, field: str) -> Ref:
    """A reference, understood. ValueError says what is wrong with it."""
    target = value[REF]
    odd = sorted(set(value) - {REF, MUST})
    if odd:
        msg = f"a reference has `$ref` and perhaps `must`, nothing else; found {', '.join(odd)[:100]!a}"
        raise ValueError(msg)
    if not isinstance(target, str):
        msg = "`$ref` must be a string"
        raise ValueError(msg)  # noqa: TRY004 - a fault of content, like the others here
    if fault := text_fault(target):
        msg = f"`$ref` {fault}"
        raise ValueError(msg)
    if match := _STEP.fullmatch(target):
        if MUST in value:
            bounds.check(value[MUST])
        return Ref(pointer, field, "steps", match[1], _expression(match), value.get(MUST))
    if MUST in value:
        msg = "`must` bounds results of steps only: inputs and `now` are filled in before anybody approves"
        raise ValueError(msg)
    if target == "now":
        return Ref(pointer, field, "now")
    if match := _INPUT.fullmatch(target):
        return Ref(pointer, field, "inputs", "", _expression(match))
    msg = "`$ref` must be `now`, or begin with `steps.ID` or `inputs`"
    raise ValueError(msg)


def _expression(match: re.Match[str]) -> str:
    expression = match["field"] or match["index"] or match["pipe"]
    if expression is None:
        return ""
    compiled(expression)
    return expression


@lru_cache(maxsize=4096)
def compiled(expression: str) -> ParsedResult:
    """The expression, parsed once. ValueError if it is not JMESPath, or could grow without bound."""
    if len(expression) > EXPRESSION_MAX:
        msg = f"the expression is longer than {EXPRESSION_MAX} characters"
        raise ValueError(msg)
    try:
        parsed = jmespath.compile(expression)
    except (JMESPathError, RecursionError, ValueError, LookupError) as exc:
        msg = f"is not JMESPath: {str(exc).splitlines()[0][:200] if str(exc) else 'it cannot be read'}"
        raise ValueError(msg) from exc
    copies = 1
    nodes: list[Any] = [parsed.parsed]
    while nodes:
        node = nodes.pop()
        if node["type"] in {"multi_select_list", "multi_select_dict"}:
            copies *= len(node["children"])
        glue = node["children"][0]["type"] if node.get("value") == "join" and node["children"] else "literal"
        if glue != "literal":  # a long one from a result, times a long list, fills the memory
            msg = "the first argument of join() must be a literal, e.g. join(', ', names)"
            raise ValueError(msg)
        nodes += [child for child in node["children"] if isinstance(child, dict)]
    if copies > COPIES_MAX:
        msg = f"the expression repeats its input more than {COPIES_MAX} times"
        raise ValueError(msg)
    return parsed


# --- filling in -----------------------------------------------------------------------------------------------------


def bind(
    args: Mapping[str, Json], found: Sequence[Ref], inputs: Mapping[str, Json], now_iso: str, pointer: str = ""
) -> dict[str, Json]:
    """The arguments with `inputs` and `now` filled in; references to results stay, at their pointers.

    Args:
        args: a step's arguments.
        found: the references in them.
        inputs: of the request.
        now_iso: what `now` becomes.
        pointer: where the arguments stand in the request, for the pointers of faults.

    Raises:
        Invalid: an input that is missing, null, or cannot be an argument.
    """
    errors: list[FieldError] = []
    values: dict[str, Json] = {}
    for ref in found:
        if ref.root == "now":
            values[ref.pointer] = now_iso
        elif ref.root == "inputs":
            try:
                values[ref.pointer] = value = _search(ref, dict(inputs))
            except Unresolvable as exc:
                errors.append(FieldError(pointer + ref.pointer, exc.detail, "give it under `inputs`"))
            else:
                errors += faults(value, pointer + ref.pointer)
    if errors:
        raise Invalid(tuple(errors))
    return _filled(args, values)


def resolve(args: Mapping[str, Json], found: Sequence[Ref], outputs: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments with results of steps filled in.

    Args:
        args: as stored in the plan.
        found: the references in them.
        outputs: results by step id.

    Raises:
        Unresolvable: missing or null, out of its bounds, or not fit to be an argument.
    """
    values: dict[str, Json] = {}
    for ref in found:
        if ref.root != "steps":
            raise Unresolvable("ref_unusable", ref.pointer, f"{_name(ref)} was not filled in when the plan was stored")
        if ref.step not in outputs:
            raise Unresolvable("ref_missing", ref.pointer, f"step {ref.step} has no result")
        value = _search(ref, outputs[ref.step])
        if faulty := faults(value, ref.pointer):
            raise Unresolvable("ref_unusable", faulty[0].pointer, f"the result {faulty[0].detail}")
        if ref.bounded and not bounds.within(ref.must, value):
            raise Unresolvable("ref_out_of_bounds", ref.pointer, f"{_name(ref)} is outside of what the plan allows")
        values[ref.pointer] = value
    filled = _filled(args, values)
    if values and (faulty := faults(filled, "")):
        raise Unresolvable(
            "ref_unusable", "", f"with results filled in, {faulty[0].pointer or 'it'} {faulty[0].detail}"
        )
    return filled


def _search(ref: Ref, root: Json) -> Json:
    try:
        value: Json = compiled(ref.expression).search(root) if ref.expression else root
    except (JMESPathError, ArithmeticError, RecursionError, TypeError, ValueError, AttributeError) as exc:
        raise Unresolvable("ref_missing", ref.pointer, f"{_name(ref)} cannot be read: {type(exc).__name__}") from exc
    if value is None:
        raise Unresolvable("ref_missing", ref.pointer, f"{_name(ref)} is not there, or null")
    return value


def _name(ref: Ref) -> str:
    return ".".join(part for part in (ref.root, ref.step, ref.expression.lstrip()) if part)


def _filled(args: Mapping[str, Json], values: Mapping[str, Json]) -> dict[str, Json]:
    """A copy with values in place of the references at these pointers."""

    def fill(node: Json, where: str) -> Json:
        if where in values:
            return values[where]
        if isinstance(node, dict):
            return node if REF in node else {key: fill(inner, f"{where}/{escape(key)}") for key, inner in node.items()}
        if isinstance(node, list):
            return [fill(inner, f"{where}/{index}") for index, inner in enumerate(node)]
        return node

    return {key: fill(inner, f"/{escape(key)}") for key, inner in args.items()} if values else dict(args)
