"""Whose effects begin now: one workspace's slow ones never take all threads of a process."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

# A workspace begins another effect while it holds less than so many times what is free. Of 32 threads the first one has
# 24 at most, the second 6 of the 8 left: whoever comes next finds one. Nobody who is there can be asked to give way, so
# some stay free though others wait.
SHARE: Final = 3


def begin_now(waiting: Sequence[UUID], held: Mapping[UUID, int], free: int) -> list[int]:
    """Which of those that wait begin, as places in `waiting`, in order; who holds least is next.

    Args:
        waiting: the workspaces of effects that wait for a thread, oldest first.
        held: how many threads a workspace has.
        free: how many nobody has.
    """
    places: dict[UUID, deque[int]] = {}
    for place, workspace in enumerate(waiting):
        places.setdefault(workspace, deque()).append(place)
    having = Counter(held)
    begin: list[int] = []
    while free > 0:
        may = [workspace for workspace in places if having[workspace] < SHARE * free]
        if not may:
            break
        least = min(may, key=lambda workspace: having[workspace])
        begin.append(places[least].popleft())
        if not places[least]:
            del places[least]
        having[least] += 1
        free -= 1
    return begin
