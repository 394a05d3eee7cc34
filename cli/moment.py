"""Times as people type them in a terminal."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from cli.command import language_of
from cli.screen import Screen

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Moment(click.ParamType[str, str]):
    """A time: RFC 3339 with its zone, or so long from now, or ago (`90s`, `15m`, `2h`, `1d`)."""

    name = "when"

    def __init__(self, *, ago: bool = False) -> None:
        """`ago`: a span counts back from now."""
        self._sign = -1 if ago else 1

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The time as the API takes it."""
        span = re.fullmatch(r"\+?(\d{1,6})([smhd])", value)
        if span:
            return (datetime.now(UTC) + self._sign * timedelta(seconds=int(span[1]) * UNITS[span[2]])).isoformat()
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.fail(Screen(language_of(ctx)).say("cli.usage.when", value=value), param, ctx)
        return moment.isoformat()
