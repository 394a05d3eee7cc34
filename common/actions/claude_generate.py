"""`claude.generate`: a text, or JSON of a given shape, from the model; behind the one budget door (I7)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, ClassVar, Final

from pydantic import Field, field_validator

from common.actions.contract import (
    Action,
    Args,
    Context,
    Done,
    Effect,
    Generated,
    Json,
    Known,
    Lang,
    Outcome,
    Policy,
    Reason,
    Writing,
    control,
    data,
    is_ref,
    t,
)  # fmt: skip
from common.actions.words import joined, shown, shown_text

TOKENS_MAX: Final = 8000  # of one answer; more is a sign of a loop, and of a bill
REF_BYTES: Final = 64_000  # a result of which the size is not known yet: as large as one that is kept inline
TIMEOUT: Final = timedelta(seconds=120)  # that many tokens take about a minute


class ClaudeGenerateArgs(Args):
    """Control: max_tokens, schema. Data: prompt."""

    prompt: Json = data(description="text; the parts of a list are put one after another, anything else as JSON")
    max_tokens: Annotated[int, Field(strict=True)] = control(1000, ge=1, le=TOKENS_MAX, description="of the answer")
    schema_: dict[str, Json] | None = control(
        None, alias="schema", description="a JSON Schema: the answer is then `json`"
    )

    @field_validator("prompt")
    @classmethod
    def _something(cls, value: Json) -> Json:
        if value is None or value in ("", []):
            msg = "must not be empty"
            raise ValueError(msg)
        return value


class ClaudeGenerate(Action[ClaudeGenerateArgs]):
    """Nothing but the question leaves, and asking twice only costs twice: it may be repeated."""

    name: ClassVar[str] = "claude.generate"
    args_model: ClassVar[type[Args]] = ClaudeGenerateArgs

    def effect(self, args: ClaudeGenerateArgs, policy: Policy) -> Effect:  # noqa: ARG002 - the same for all
        """See the class."""
        return Effect.IDEMPOTENT

    def floors(self, args: ClaudeGenerateArgs, known: Known) -> tuple[Reason, ...]:  # noqa: ARG002 - the same for all
        """Low: its cost is the budget's business."""
        return ()

    def essence(self, args: ClaudeGenerateArgs) -> Json:
        """The question."""
        return {"prompt": args.prompt, "schema": args.schema_}

    def writes(self, args: ClaudeGenerateArgs) -> Writing:
        """The question as far as it is known, results to come taken for 64 KB each."""
        known, results = _without_results(args.prompt)
        size = len(joined(known).encode("utf-8", "surrogatepass")) + results * REF_BYTES
        schema = "" if args.schema_ is None else json.dumps(args.schema_, ensure_ascii=False)
        return Writing(size, len(schema.encode("utf-8", "surrogatepass")), args.max_tokens)

    def timeout(self, args: ClaudeGenerateArgs) -> timedelta:  # noqa: ARG002 - the same for all
        """See TIMEOUT."""
        return TIMEOUT

    def summary(self, args: ClaudeGenerateArgs, lang: Lang) -> str:
        """The question and the longest answer."""
        extra = t("say.claude_schema", lang, schema=shown(dict(args.schema_), lang)) if args.schema_ is not None else ""
        return (
            t("say.claude_generate", lang, prompt=shown_text(args.prompt, lang), tokens=f"{args.max_tokens:,}") + extra
        )

    def run(self, args: ClaudeGenerateArgs, ctx: Context) -> Outcome:
        """Ask."""
        answer = ctx.generate(joined(args.prompt), args.max_tokens, args.schema_)
        if not isinstance(answer, Generated):
            return answer
        return Done({"text": answer.text} if args.schema_ is None else {"json": answer.json})


def _without_results(value: Json) -> tuple[Json, int]:
    """What is known of a value, and how many results are still to come into it."""
    if is_ref(value):
        return "", 1
    if isinstance(value, list):
        parts = [_without_results(part) for part in value]
        return [part for part, _ in parts], sum(count for _, count in parts)
    if isinstance(value, dict):
        fields = {name: _without_results(field) for name, field in value.items()}
        return {name: field for name, (field, _) in fields.items()}, sum(count for _, count in fields.values())
    return value, 0
