"""Somebody waits for an answer (`?wait=`): then a text does not wait for company."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from common.core.errors import Unavailable
from common.core.task import State
from common.ports import wakes_of
from common.wiring import Container


def read_soon(container: Container, workspace: UUID, tasks: Sequence[UUID]) -> None:
    """Have these texts read without waiting for others to share their calls. Never raises: they are read anyway."""
    linger = timedelta(seconds=container.settings.pack_linger)
    try:
        if linger and container.queue.awaited(workspace, tasks, linger):
            container.notifier.publish(wakes_of([State.RECEIVED]))
    except Unavailable:  # whoever waits learns of it when it is looked for
        return
