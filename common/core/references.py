"""References in a step's arguments: `{"$ref": "steps.page.json.price"}`, `{"$ref": "inputs.order"}`, `{"$ref": "now"}`. Pure.

After the root stands JMESPath, nothing else: no code of users is ever run. `inputs` and `now` are bound once, before
the digest; results of steps are filled in when the step runs, and `"must"` (a JSON Schema) bounds what they may be.
Foreign JSON is never read as a reference: an input or a result that holds a `$ref` of its own is refused, not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import quote

import jmespath
from jmespath.exceptions import JMESPathError
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from common.core.digest import canonical
from common.core.errors import FieldError, Invalid
from common.core.task import Json

REF: Final = "$ref"
MUST: Final = "must"
DEPTH_MAX: Final = 64  # of nesting; far above any plan, far below what recursion in Python or PostgreSQL allows
NODES_MAX: Final = 50_000  # values in one step's arguments
TEXT_MAX: Final = 2_000_000  # characters in one step's arguments, once filled in: a result (1 MB) and its surroundings
INTEGER_MAX: Final = 2**53 - 1  # beyond it canonical JSON cannot tell two numbers apart (RFC 8785 section 3.2.2.3)
EXPRESSION_MAX: Final = 300  # characters; bounds the parser's recursion
COPIES_MAX: Final = 64  # how often one expression may repeat its input; `[@,@]|[@,@]|…` would double it without end

_STEP: Final = re.compile(r"steps\.([a-z][a-z0-9_]{0,31})(?:\.(?P<field>.+)|(?P<index>\[.+)|\s*\|(?P<pipe>.+))?", re.DOTALL)
_INPUT: Final = re.compile(r"inputs(?:\.(?P<field>.+)|(?P<index>\[.+)|\s*\|(?P<pipe>.+))?", re.DOTALL)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

# What a bound may say. No `$ref` (nothing is fetched, nothing loops) and no `pattern` (a hostile one stops the process).
MUST_KEYWORDS: Final = frozenset({
    "type", "const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "minItems", "maxItems", "items", "prefixItems", "properties", "required", "additionalProperties", "minProperties",
    "maxProperties", "allOf", "anyOf", "oneOf", "not", "title", "description",
})  # fmt: skip
_SCHEMA_MAPS: Final = frozenset({"properties"})
_SCHEMA_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMAS: Final = frozenset({"items", "additionalProperties", "not"})


class Unresolvable(Exception):  # noqa: N818 - a value that execute turns into a failure of the step
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
    """A reference found in arguments. `expression` empty: the whole root."""

    pointer: str
    root: Literal["steps", "inputs", "now"]
    step: str | None = None
    expression: str = ""
    must: Json = None
    bounded: bool = False

    @property
    def field(self) -> str:
        """The top-level argument that holds it."""
        return unescape(self.pointer.split("/", 2)[1]) if "/" in self.pointer else ""


def escape(key: str) -> str:
    """A key as a token of a JSON pointer in a URI fragment (RFC 6901 section 6)."""
    return quote(key.replace("~", "~0").replace("/", "~1"), safe="~!$&'()*+,;=:@", errors="replace")


def unescape(token: str) -> str:
    """A token of a pointer made by `escape`, for the keys that arguments have (ASCII)."""
    return token.replace("~1", "/").replace("~0", "~")


def is_ref(value: Json) -> bool:
    """Whether a value is meant as a reference."""
    return isinstance(value, dict) and REF in value


# --- finding ------------------------------------------------------------------------------------------------------------


def find(args: Mapping[str, Json], pointer: str = "") -> tuple[Ref, ...]:
    """Every reference in the arguments, in order.

    Raises:
        Invalid: a reference is not one, or the arguments are nested too deep, too large, or hold what canonical JSON
            cannot (NaN, integers beyond 2**53 - 1, lone surrogates) or PostgreSQL does not store (NUL). All are listed.
    """
    errors: list[FieldError] = []
    found: list[Ref] = []
    for where, value in _walk(dict(args), pointer, errors):
        try:
            found.append(_parse(value, where, len(pointer)))
        except ValueError as exc:
            errors.append(FieldError(where, str(exc), "e.g. {\"$ref\": \"steps.page.json.price\"}"))
    if errors:
        raise Invalid(tuple(errors))
    return tuple(found)


def step_fields(args: Mapping[str, Json]) -> frozenset[str]:
    """The top-level arguments that hold a reference to a result. Invalid as `find`."""
    return frozenset(ref.field for ref in find(args) if ref.root == "steps")


def unbounded(args: Mapping[str, Json]) -> bool:
    """Whether any reference to a result says nothing of what it must be. Invalid as `find`."""
    return any(ref.root == "steps" and not ref.bounded for ref in find(args))


def faults(value: Json, pointer: str) -> tuple[FieldError, ...]:
    """What in a value cannot be an argument, references included: inputs and results must not bring their own."""
    errors: list[FieldError] = []
    errors += [FieldError(where, "holds a `$ref`; only a plan's arguments may") for where, _ in _walk(value, pointer, errors)]
    return tuple(errors)


def _walk(value: Json, pointer: str, errors: list[FieldError]) -> Iterator[tuple[str, dict[str, Json]]]:
    """References with their pointers, in order; faults are added to `errors`. Not recursive: depth is bounded here."""
    stack: list[tuple[str, Json, int]] = [(pointer, value, 0)]
    nodes = 0
    characters = 0
    while stack:
        where, node, depth = stack.pop()
        nodes += 1
        if nodes > NODES_MAX or characters > TEXT_MAX:
            errors.append(FieldError(pointer, f"is too large: at most {NODES_MAX} values and {TEXT_MAX} characters"))
            return
        if isinstance(node, str):
            characters += len(node)
            _check_text(node, where, errors)
        elif isinstance(node, bool) or node is None:
            continue
        elif isinstance(node, int | float):
            _check_number(node, where, errors)
        elif depth >= DEPTH_MAX:
            errors.append(FieldError(where, f"is nested deeper than {DEPTH_MAX} levels"))
        elif isinstance(node, dict):
            characters += sum(map(len, node))
            for key in node:
                _check_text(key, where, errors)
            if REF in node:
                yield where, node
            else:
                stack += [(f"{where}/{escape(key)}", node[key], depth + 1) for key in reversed(node)]
        else:
            stack += [(f"{where}/{index}", node[index], depth + 1) for index in range(len(node) - 1, -1, -1)]


def _check_text(text: str, where: str, errors: list[FieldError]) -> None:
    if "\x00" in text:
        errors.append(FieldError(where, "holds a NUL character", "remove it"))
    elif not text.isascii() and _SURROGATE.search(text):
        errors.append(FieldError(where, "holds a lone surrogate, which is no character", "send UTF-8 text"))


def _check_number(number: float, where: str, errors: list[FieldError]) -> None:
    if isinstance(number, int):
        if abs(number) > INTEGER_MAX:
            errors.append(FieldError(where, "is an integer beyond 2**53 - 1, which JSON does not keep exactly", "send a string"))
    elif number != number or number in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN is what differs from itself
        errors.append(FieldError(where, "is not a finite number", "JSON has no NaN and no infinity"))


def _parse(value: dict[str, Json], pointer: str, prefix: int) -> Ref:
    """A reference, understood. ValueError says what is wrong with it."""
    target = value[REF]
    odd = sorted(set(value) - {REF, MUST})
    if odd:
        msg = f"a reference has `$ref` and perhaps `must`, nothing else; found {', '.join(odd)[:100]}"
        raise ValueError(msg)
    if not isinstance(target, str):
        msg = "`$ref` must be a string"
        raise ValueError(msg)  # noqa: TRY004 - one error type, as of every fault of content
    unfit: list[FieldError] = []
    _check_text(target, "", unfit)
    if unfit:
        msg = f"`$ref` {unfit[0].detail}"
        raise ValueError(msg)
    where = pointer[prefix:]
    if target == "now":
        ref = Ref(where, "now")
    elif match := _INPUT.fullmatch(target):
        ref = Ref(where, "inputs", expression=_expression(match))
    elif match := _STEP.fullmatch(target):
        ref = Ref(where, "steps", match[1], _expression(match), value.get(MUST), bounded=_bounds(value))
    else:
        msg = "`$ref` must be `now`, or begin with `steps.ID` or `inputs`"
        raise ValueError(msg)
    if ref.root != "steps" and MUST in value:
        msg = "`must` bounds results of steps only: inputs and `now` are filled in before anybody approves"
        raise ValueError(msg)
    return ref


def _expression(match: re.Match[str]) -> str:
    expression = (match["field"] or match["index"] or match["pipe"] or "").strip()
    if expression or match[0].rstrip().endswith(("|", ".")):
        compiled(expression)
    return expression


# --- expressions and bounds -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def compiled(expression: str) -> jmespath.parser.ParsedResult:
    """The expression, parsed once. ValueError if it is not JMESPath, or could grow without bound."""
    if len(expression) > EXPRESSION_MAX:
        msg = f"the expression is longer than {EXPRESSION_MAX} characters"
        raise ValueError(msg)
    try:
        parsed = jmespath.compile(expression)
    except (JMESPathError, RecursionError, ValueError, KeyError) as exc:
        msg = f"is not JMESPath: {str(exc).splitlines()[0][:200] if str(exc) else 'cannot be read'}"
        raise ValueError(msg) from exc
    copies = 1
    stack: list[Any] = [parsed.parsed]
    while stack:
        node = stack.pop()
        if node["type"] in {"multi_select_list", "multi_select_dict"}:
            copies *= len(node["children"])
        glue = node["children"][0]["type"] if node.get("value") == "join" and node["children"] else "literal"
        if glue != "literal":  # a long one from a result, times a long list, fills the memory
            msg = "the first argument of join() must be a literal, e.g. join(', ', names)"
            raise ValueError(msg)
        stack += [child for child in node["children"] if isinstance(child, dict) and "type" in child]
    if copies > COPIES_MAX:
        msg = f"the expression repeats its input more than {COPIES_MAX} times"
        raise ValueError(msg)
    return parsed


def _bounds(value: dict[str, Json]) -> bool:
    """Whether there are bounds. ValueError if they are no JSON Schema of the kind that is understood here."""
    if MUST not in value:
        return False
    must = value[MUST]
    if not isinstance(must, dict) or not must:
        msg = "`must` must be a JSON Schema that says something, e.g. {\"type\": \"number\", \"maximum\": 50000}"
        raise ValueError(msg)
    _check_must(must)
    try:
        Draft202012Validator.check_schema(must)
    except (SchemaError, RecursionError) as exc:
        msg = f"`must` is not a JSON Schema: {getattr(exc, 'message', 'it is nested too deep')[:200]}"
        raise ValueError(msg) from exc
    return True


def _check_must(must: Json) -> None:
    problems: list[FieldError] = []
    nested = [where for where, _ in _walk(must, "", problems)]
    if problems or nested:
        msg = f"`must`{problems[0].pointer} {problems[0].detail}" if problems else "`must` may not hold a `$ref`"
        raise ValueError(msg)
    schemas: list[Json] = [must]
    while schemas:
        schema = schemas.pop()
        if not isinstance(schema, dict):
            continue  # true and false are schemas, and check_schema refuses the rest
        unknown = sorted(set(schema) - MUST_KEYWORDS)
        if unknown:
            msg = f"`must` may not use {', '.join(unknown)[:100]}"
            raise ValueError(msg)
        for key, inner in schema.items():
            if key in _SCHEMAS:
                schemas.append(inner)
            elif key in _SCHEMA_LISTS and isinstance(inner, list):
                schemas += inner
            elif key in _SCHEMA_MAPS and isinstance(inner, dict):
                schemas += inner.values()


# --- filling in -----------------------------------------------------------------------------------------------------------


def bind(args: Mapping[str, Json], inputs: Mapping[str, Json], now_iso: str, pointer: str = "") -> dict[str, Json]:
    """The arguments with `inputs` and `now` filled in; references to results stay. Invalid: missing, null or unusable."""
    refs = find(args, pointer)
    if all(ref.root == "steps" for ref in refs):
        return dict(args)
    errors: list[FieldError] = []
    values: dict[str, Json] = {}
    for ref in refs:
        if ref.root == "now":
            values[ref.pointer] = now_iso
        elif ref.root == "inputs":
            try:
                value = _search(ref, dict(inputs))
            except Unresolvable as exc:
                errors.append(FieldError(pointer + ref.pointer, exc.detail, "give it under `inputs`"))
                continue
            errors += faults(value, pointer + ref.pointer)
            values[ref.pointer] = value
    if errors:
        raise Invalid(tuple(errors))
    return _filled(args, values)


def resolve(args: Mapping[str, Json], outputs: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments with results of steps filled in.

    Args:
        args: as stored in the plan.
        outputs: results by step id.

    Raises:
        Unresolvable: missing or null, out of its bounds, or not fit to be an argument.
        Invalid: the stored arguments themselves cannot be read.
    """
    values: dict[str, Json] = {}
    for ref in find(args):
        if ref.root != "steps" or ref.step is None:
            continue
        if ref.step not in outputs:
            raise Unresolvable("ref_missing", ref.pointer, f"step {ref.step} has no result")
        value = _search(ref, outputs[ref.step])
        if faulty := faults(value, ref.pointer):
            raise Unresolvable("ref_unusable", faulty[0].pointer, f"the result {faulty[0].detail}")
        if ref.bounded and not within(ref.must, value):
            raise Unresolvable("ref_out_of_bounds", ref.pointer, f"the result of {ref.step} is outside of what the plan allows")
        values[ref.pointer] = value
    filled = _filled(args, values)
    if len(refs_of := values) and (faulty := _size_faults(filled)):
        raise Unresolvable("ref_unusable", next(iter(refs_of)), f"with the results filled in it {faulty[0].detail}")
    return filled


def within(must: Json, value: Json) -> bool:
    """Whether a value keeps within its bounds; what cannot be judged does not."""
    try:
        return bool(Draft202012Validator(must).is_valid(value))  # type: ignore[arg-type] - bool or dict, checked by find
    except (ArithmeticError, RecursionError):  # multipleOf of a huge number overflows
        return False


def same(left: Json, right: Json) -> bool:
    """Whether two values are the same JSON: 1 is not true, and key order does not matter."""
    return canonical(left) == canonical(right)


def _size_faults(filled: dict[str, Json]) -> list[FieldError]:
    errors: list[FieldError] = []
    for _ in _walk(filled, "", errors):
        pass  # only the faults are of interest: what is filled in holds no reference
    return errors


def _search(ref: Ref, root: Json) -> Json:
    try:
        value: Json = compiled(ref.expression).search(root) if ref.expression else root
    except (JMESPathError, ArithmeticError, RecursionError, TypeError, ValueError) as exc:
        raise Unresolvable("ref_missing", ref.pointer, f"{_name(ref)} cannot be read: {type(exc).__name__}") from exc
    if value is None:
        raise Unresolvable("ref_missing", ref.pointer, f"{_name(ref)} is not there, or null")
    return value


def _name(ref: Ref) -> str:
    path = f".{ref.expression}" if ref.expression else ""
    return f"`{ref.root}{'.' + ref.step if ref.step else ''}{path}`"


def _filled(args: Mapping[str, Json], values: Mapping[str, Json]) -> dict[str, Json]:
    def fill(node: Json, where: str) -> Json:
        if where in values:
            return values[where]
        if isinstance(node, dict):
            return node if REF in node else {key: fill(value, f"{where}/{escape(key)}") for key, value in node.items()}
        if isinstance(node, list):
            return [fill(value, f"{where}/{index}") for index, value in enumerate(node)]
        return node

    return {key: fill(value, f"/{escape(key)}") for key, value in args.items()}
