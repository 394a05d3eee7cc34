"""The laptop's minute timer, in place of cron-connector: the supervisor wakes `schedule` at the start of each minute.

It needs nothing that could be away with connector or nginx: the supervisor keeps the functions' sockets open itself.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final

MINUTE: Final = 60.0
KNOCK: Final = (
    b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Topic: cron-function\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


def until_next_minute(now: float) -> float:
    """Seconds from `now` (Unix time) to the next full minute, more than 0."""
    return MINUTE - now % MINUTE


def knock(sockets: Iterable[Path]) -> bool:
    """Wake whoever listens on the first of `sockets` that somebody does; whether there was one. Never waits.

    The answer, which may take as long as a wake's time budget, is nobody's: a wake that fails is lost, and the next
    one does its work.
    """
    for path in sockets:
        with socket.socket(socket.AF_UNIX) as door:
            door.setblocking(False)
            try:
                door.connect(str(path))
                door.send(KNOCK)
            except OSError:
                # Shut, or so full of requests that it needs no further wake.
                continue
            return True
    return False
