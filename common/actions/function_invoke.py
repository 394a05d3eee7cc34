"""`function.invoke`: a function that the settings list, by its name; a plan never says where it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Final

from pydantic import Field, field_validator, model_validator

from common.actions.contract import (
    Action,
    Args,
    Context,
    Effect,
    HttpRequest,
    Json,
    Known,
    Lang,
    Outcome,
    Policy,
    Reason,
    Risk,
    control,
    data,
    is_ref,
    t,
)  # fmt: skip
from common.actions.exchange import encoded, exchange
from common.actions.words import clean, shown

TIMEOUT_MAX: Final = 600  # seconds; gateways end longer calls


class FunctionInvokeArgs(Args):
    """Control: function, timeout. Data: json, body."""

    function: str = control(min_length=1, max_length=100, description="a function that is listed in the settings")
    json_: Json = data(None, alias="json", description="a body, sent as JSON")
    body: Json = data(None, description="a body, sent as text")
    timeout: Annotated[float, Field(strict=True)] = control(30, gt=0, le=TIMEOUT_MAX, description="seconds")

    @field_validator("body")
    @classmethod
    def _text_body(cls, value: Json) -> Json:
        if not isinstance(value, str) and not is_ref(value):
            msg = "must be text; for anything else there is `json`"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _one_body(self) -> FunctionInvokeArgs:
        if len(self.body_fields) > 1:
            msg = "give either `json` or `body`"
            raise ValueError(msg)
        return self

    @property
    def body_fields(self) -> frozenset[str]:
        """Which of `json` and `body` was given."""
        return frozenset({"json_": "json", "body": "body"}[name] for name in self.model_fields_set & {"json_", "body"})


class FunctionInvoke(Action[FunctionInvokeArgs]):
    """A POST to the function; its result is as `http.request`'s."""

    name: ClassVar[str] = "function.invoke"
    args_model: ClassVar[type[Args]] = FunctionInvokeArgs

    def effect(self, args: FunctionInvokeArgs, policy: Policy) -> Effect:
        """Not to be repeated, unless its setting says so."""
        listed = policy.functions.get(args.function)
        return Effect.IDEMPOTENT if listed is not None and listed.idempotent else Effect.NON_IDEMPOTENT

    def floors(self, args: FunctionInvokeArgs, known: Known) -> tuple[Reason, ...]:  # noqa: ARG002 - listed or refused
        """Medium: somebody listed it, nobody knows here what it does."""
        return (Reason(rule="function_invoke", floor=Risk.MEDIUM, values={"function": clean(args.function)}),)

    def refusals(self, args: FunctionInvokeArgs, policy: Policy) -> tuple[tuple[str, str], ...]:
        """What the settings do not list."""
        return () if args.function in policy.functions else (("function", "refuse.unlisted_function"),)

    def targets(self, args: FunctionInvokeArgs) -> frozenset[str]:
        """The function."""
        return frozenset({f"function:{args.function}"})

    def essence(self, args: FunctionInvokeArgs) -> Json:
        """The function and what it is given."""
        return {"function": args.function, "json": args.json_, "body": args.body, "has": [*sorted(args.body_fields)]}

    def timeout(self, args: FunctionInvokeArgs) -> timedelta:
        """As given."""
        return timedelta(seconds=args.timeout)

    def summary(self, args: FunctionInvokeArgs, lang: Lang) -> str:
        """The function and what it is given."""
        given = [value for field, value in (("json", args.json_), ("body", args.body)) if field in args.body_fields]
        extra = t("say.function_body", lang, body=shown(given[0], lang)) if given else ""
        return t("say.function_invoke", lang, function=clean(args.function)) + extra

    def run(self, args: FunctionInvokeArgs, ctx: Context) -> Outcome:
        """Call it within the time that is left."""
        content, headers = encoded(args.body_fields, args.json_, args.body, {})
        if self.effect(args, ctx.policy) is Effect.IDEMPOTENT:
            headers["Idempotency-Key"] = ctx.idempotency_key
        request = HttpRequest(
            method="POST",
            url=ctx.function_url(args.function),
            headers=headers,
            body=content or b"",
            timeout=min(args.timeout, ctx.remaining()),
            from_settings=True,
        )
        return exchange(ctx, request, safe=False)
