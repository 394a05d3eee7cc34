"""What a supervisor that was killed left behind, and how the next one ends it."""

from __future__ import annotations

import signal
from typing import Final

from infra.local.folder import DataFolder, read_server
from infra.local.process import Identity, members, wait_gone

# They were told by the kernel when their supervisor died, and are draining without a database: no need to wait long.
SECONDS_TO_END: Final = 3.0


def end_leftovers(folder: DataFolder) -> int:
    """End the recorded parts of an earlier run that still live; returns how many. The caller holds the folder's lock.

    PostgreSQL is not among them: it is ended by `infra.local.postgres`, which knows how.
    """
    recorded = read_server(folder).get("parts")
    if not isinstance(recorded, dict):
        return 0
    left = [Identity(int(part["pid"]), str(part["started"])) for name, part in recorded.items() if name != "postgres"]
    alive = [process for leader in left for process in members(leader)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in alive:
            process.send(number)
        if not wait_gone(alive, SECONDS_TO_END):
            break
    return len(alive)
