"""`value`: a value, for later steps to refer to and for a result to be made of."""

from __future__ import annotations

from typing import ClassVar

from common.actions.contract import (
    Action,
    Args,
    Context,
    Done,
    Effect,
    Json,
    Known,
    Lang,
    Outcome,
    Policy,
    Reason,
    data,
    t,
)
from common.actions.words import shown


class ValueArgs(Args):
    """Any JSON."""

    value: Json = data(description="any JSON; may hold references to results of earlier steps")


class Value(Action[ValueArgs]):
    """Its result is the value. Nothing leaves the installation."""

    name: ClassVar[str] = "value"
    args_model: ClassVar[type[Args]] = ValueArgs

    def effect(self, args: ValueArgs, policy: Policy) -> Effect:  # noqa: ARG002 - the same for all
        """None: nothing leaves."""
        return Effect.NONE

    def floors(self, args: ValueArgs, known: Known) -> tuple[Reason, ...]:  # noqa: ARG002 - the same for all
        """Low."""
        return ()

    def summary(self, args: ValueArgs, lang: Lang) -> str:
        """See Action."""
        return t("say.value", lang, value=shown(args.value, lang))

    def run(self, args: ValueArgs, ctx: Context) -> Outcome:  # noqa: ARG002 - needs no means
        """Done, always."""
        return Done(args.value)
