"""`wait`: some seconds, or until a time. The task sleeps in the queue; nothing is held meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final

from pydantic import AwareDatetime, Field, model_validator

from common.actions.contract import (
    Action,
    Args,
    Context,
    Done,
    Effect,
    Known,
    Lang,
    Outcome,
    Policy,
    Reason,
    control,
    t,
)

LONGEST: Final = 366 * 86_400  # seconds; a longer wait is a schedule, and a typing error more often than a wish


class WaitArgs(Args):
    """One of the two."""

    seconds: Annotated[float, Field(strict=True, ge=0, le=LONGEST, allow_inf_nan=False)] | None = control(
        None, description="how long"
    )
    until: AwareDatetime | None = control(None, description="a time with a zone, e.g. 2026-11-25T09:00:00+09:00")

    @model_validator(mode="after")
    def _one_of(self) -> WaitArgs:
        if (self.seconds is None) == (self.until is None):
            msg = "give either `seconds` or `until`"
            raise ValueError(msg)
        return self


class Wait(Action[WaitArgs]):
    """Whoever runs steps lets the task sleep for `delay` first; then the step is done."""

    name: ClassVar[str] = "wait"
    args_model: ClassVar[type[Args]] = WaitArgs

    def effect(self, args: WaitArgs, policy: Policy) -> Effect:  # noqa: ARG002 - the same for all
        """None: nothing leaves."""
        return Effect.NONE

    def floors(self, args: WaitArgs, known: Known) -> tuple[Reason, ...]:  # noqa: ARG002 - the same for all
        """Low."""
        return ()

    def delay(self, args: WaitArgs, now: datetime) -> timedelta | None:
        """From `now`; a time that has passed is no wait."""
        if args.until is not None:
            return min(max(args.until - now, timedelta(0)), timedelta(seconds=LONGEST))
        return timedelta(seconds=args.seconds or 0)

    def summary(self, args: WaitArgs, lang: Lang) -> str:
        """See Action."""
        if args.until is not None:
            return t("say.wait_until", lang, until=args.until.isoformat(sep=" ", timespec="seconds"))
        return t(
            "say.wait",
            lang,
            seconds=f"{args.seconds or 0:g}" if (args.seconds or 0) % 1 else f"{int(args.seconds or 0):,}",
        )

    def run(self, args: WaitArgs, ctx: Context) -> Outcome:  # noqa: ARG002 - the time has passed
        """Done: it is run only once the time has passed."""
        return Done()
