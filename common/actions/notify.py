"""`notify`: a message to a channel that the settings name; a plan never says where it is."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import ClassVar, Final

from pydantic import field_validator

from common.actions.contract import (
    Action,
    Args,
    Context,
    Done,
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
    t,
)  # fmt: skip
from common.actions.exchange import exchange
from common.actions.words import clean, joined, shown_text

TIMEOUT: Final = timedelta(seconds=30)


class NotifyArgs(Args):
    """Control: channel. Data: message, title."""

    channel: str = control(min_length=1, max_length=100, description="a channel that is named in the settings")
    message: Json = data(description="text; the parts of a list are sent one after another, anything else as JSON")
    title: Json = data(None, description="a line above it")

    @field_validator("message")
    @classmethod
    def _something(cls, value: Json) -> Json:
        if value is None or value in ("", []):
            msg = "must not be empty"
            raise ValueError(msg)
        return value


class Notify(Action[NotifyArgs]):
    """A webhook: POST of `{"text": …}`, which Slack, Mattermost and their like read, with `title` where there is one.

    It must not be repeated blindly: of an unknown delivery a person says whether the message arrived.
    """

    name: ClassVar[str] = "notify"
    args_model: ClassVar[type[Args]] = NotifyArgs

    def effect(self, args: NotifyArgs, policy: Policy) -> Effect:  # noqa: ARG002 - no webhook promises more
        """A second message is a second message."""
        return Effect.NON_IDEMPOTENT

    def floors(self, args: NotifyArgs, known: Known) -> tuple[Reason, ...]:
        """Low; what came from results may be anything, and leaves: high."""
        if not known.result_fields:
            return ()
        return (Reason(rule="notify_result", floor=Risk.HIGH, values={"channel": clean(args.channel)}),)

    def refusals(self, args: NotifyArgs, policy: Policy) -> tuple[tuple[str, str], ...]:
        """What the settings do not name."""
        return () if args.channel in policy.channels else (("channel", "refuse.unlisted_channel"),)

    def targets(self, args: NotifyArgs) -> frozenset[str]:
        """The channel."""
        return frozenset({f"channel:{args.channel}"})

    def timeout(self, args: NotifyArgs) -> timedelta:  # noqa: ARG002 - the same for all
        """30 s."""
        return TIMEOUT

    def summary(self, args: NotifyArgs, lang: Lang) -> str:
        """The channel and the message."""
        message = shown_text(args.message, lang)
        if args.title is None:
            return t("say.notify", lang, channel=clean(args.channel), message=message)
        return t(
            "say.notify_titled", lang, channel=clean(args.channel), message=message, title=shown_text(args.title, lang)
        )

    def run(self, args: NotifyArgs, ctx: Context) -> Outcome:
        """Send it within the time that is left."""
        text = joined(args.message)
        payload = (
            {"text": text}
            if args.title is None
            else {"text": f"{joined(args.title)}\n{text}", "title": joined(args.title)}
        )
        request = HttpRequest(
            method="POST",
            url=ctx.policy.channels[args.channel],
            headers={"Content-Type": "application/json"},
            body=json.dumps(payload, ensure_ascii=False).encode(),
            timeout=min(TIMEOUT.total_seconds(), ctx.remaining()),
            from_settings=True,
        )
        outcome = exchange(ctx, request, safe=False)
        # What a webhook answers is of no use to a plan, and its headers may name whom the message reached.
        return Done({"channel": args.channel, "delivered": True}) if isinstance(outcome, Done) else outcome
