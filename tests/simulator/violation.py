"""An invariant that does not hold, by its name."""

from __future__ import annotations

from common.adapters.memory.rows import TaskRow


class Violation(BaseException):
    """An invariant does not hold. No `Exception`: the product may swallow those of its plug-ins."""


def hold(truth: bool, name: str, row: TaskRow, why: str) -> None:  # noqa: FBT001 - the thing itself
    """Of this task it holds, or a Violation says what does not."""
    if not truth:
        raise Violation(f"{name}: {row.id.hex[-6:]}: {why}")
