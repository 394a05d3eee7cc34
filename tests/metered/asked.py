"""A request for a message, read as the API reads it: what it does not know or has dropped is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MODELS: Final = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5")
# Bounds belong into descriptions (`anthropic.transform_schema` puts them there); an open object is refused.
_REFUSED_KEYWORDS: Final = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems"}
)


class RefusedError(Exception):
    """Refused unread, and not billed."""

    def __init__(self, status: int, kind: str, message: str, code: str | None = None) -> None:
        """`kind`: the API's name of the error. `code`: in its details."""
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CacheControl(_Wire):
    """Up to this block the prompt may be kept."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] = "5m"


class Block(_Wire):
    """A block of text."""

    type: Literal["text"] = "text"
    text: str
    cache_control: CacheControl | None = None


class _Message(_Wire):
    role: Literal["user", "assistant"]
    content: str | list[Block]


class _Thinking(_Wire):
    type: Literal["disabled", "between_tools", "adaptive"]


class _Format(_Wire):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class _OutputConfig(_Wire):
    format: _Format | None = None


class _Body(_Wire):
    model: str
    max_tokens: int = Field(ge=1)
    messages: list[_Message] = Field(min_length=1)
    system: str | list[Block] = []
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, of whom."""

    model: str
    max_tokens: int
    system: tuple[Block, ...]
    content: str
    schema: dict[str, Any] | None
    thinks: bool

    @property
    def system_text(self) -> str:
        """All of it."""
        return "".join(block.text for block in self.system)


def read(body: object) -> Asked:
    """The request. RefusedError."""
    try:
        given = _Body.model_validate(body)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RefusedError(400, "invalid_request_error", f"{where}: {first['msg']}") from exc
    if given.model not in MODELS:
        raise RefusedError(404, "not_found_error", f"model: {given.model}")
    form = given.output_config.format if given.output_config else None
    if form is not None:
        _check(form.schema_)
    system = [Block(text=given.system)] if isinstance(given.system, str) else given.system
    return Asked(
        model=given.model,
        max_tokens=given.max_tokens,
        system=tuple(block for block in system if block.text),
        content="\n".join(_text(message.content) for message in given.messages),
        schema=form.schema_ if form else None,
        thinks=given.thinking is None or given.thinking.type == "adaptive",
    )


def _text(content: str | list[Block]) -> str:
    return content if isinstance(content, str) else "".join(block.text for block in content)


def _check(schema: object) -> None:
    """A schema of an answer, as far as the API takes it. RefusedError."""
    if isinstance(schema, list):
        for part in schema:
            _check(part)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        raise RefusedError(400, "invalid_request_error", "output_config.format.schema: an object must be closed")
    known = {} if schema.get("type") is None else {key for key in _REFUSED_KEYWORDS if key in schema}
    if known:
        raise RefusedError(400, "invalid_request_error", f"output_config.format.schema: {min(known)} is not supported")
    for part in schema.values():
        _check(part)
