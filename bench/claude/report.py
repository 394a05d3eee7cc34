"""What was measured, as a Markdown table for the docs and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.claude.run import Measured
from bench.claude.ways import WAYS

HEAD = "| way | calls | of the strong model | dollars | of naive |\n|---|---:|---:|---:|---:|"
GOALS = {way.name: way.goal for way in WAYS if way.goal is not None}


def table(measured: Sequence[Measured]) -> str:
    """A row a way, compared with the first naive one where that was measured. Goals below."""
    naive = next((one.nanodollars for one in measured if one.way == WAYS[0].name), None)
    rows = [
        f"| {one.way} | {one.calls:,} | {one.strong_calls:,} | {one.usd:.3f} | "
        f"{'-' if naive is None else f'{one.nanodollars / naive:.1%}'} |"
        for one in measured
    ]
    goals = [line for one in measured if (line := _goal(one)) is not None]
    return "\n".join([HEAD, *rows, *(["", *goals] if goals else [])])


def missed(measured: Sequence[Measured]) -> list[str]:
    """The ways whose goal was not reached."""
    return [one.way for one in measured if one.way in GOALS and not _met(one)]


def document(measured: Sequence[Measured]) -> str:
    """Everything, as JSON."""
    return json.dumps({"ways": [one.document() for one in measured], "missed": missed(measured)}, indent=1)


def _met(one: Measured) -> bool:
    goal = GOALS[one.way]
    return one.usd <= goal.usd and (goal.calls is None or one.calls <= goal.calls)


def _goal(one: Measured) -> str | None:
    goal = GOALS.get(one.way)
    if goal is None:
        return None
    calls = "" if goal.calls is None else f" and {goal.calls} calls"
    return f"{one.way}: {'reached' if _met(one) else 'MISSED'}: at most ${goal.usd:.2f}{calls}"
