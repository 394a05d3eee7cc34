"""What wakes say, who is woken by what, and what is only told: ARCHITECTURE's table of functions, "woken by"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from common.routes import FunctionName

# `finished` and what goes to a person end a `?wait=` in analyze and dashboard.
TARGETS: Final[Mapping[str, tuple[FunctionName, ...]]] = {
    "aiw.task.received": ("analyze",),
    "aiw.task.queued": ("execute",),
    "aiw.approval.requested": ("approve", "analyze", "dashboard"),
    "aiw.task.manual": ("approve", "analyze", "dashboard"),
    "aiw.task.finished": ("analyze", "dashboard"),
}

ANY: Final = "aiw.wake"  # an event type that says nothing: look at everything

_OF_OTHERS: Final = frozenset({"aiw.task.finished", "aiw.task.manual", "aiw.approval.requested"})
# What these say is only for requests and streams that wait here: nothing that is claimed here came to be.
TOLD: Final[Mapping[FunctionName, frozenset[str]]] = {"analyze": _OF_OTHERS, "dashboard": _OF_OTHERS}
