"""Our own Valkey: wakes and signed cache entries, on one Unix socket, kept nowhere. Losing it loses no task."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import quote

from infra.local import binaries
from infra.local.folder import DataFolder
from infra.local.postgres import CLEAN_ENVIRONMENT
from infra.local.process import Start, run_program

# Wakes are trimmed by their writers; this is where a mistake ends, long before the machine does.
MOST_MEMORY: Final = "128mb"


def socket_path(folder: DataFolder) -> Path:
    """Where it listens."""
    return folder.sockets / "valkey.sock"


def url(folder: DataFolder) -> str:
    """What functions and connector connect to."""
    return f"unix://{quote(str(socket_path(folder)), safe='/')}"


def start(folder: DataFolder) -> int:
    """Start it; returns its process id. The data folder's lock keeps a second server from taking the path over."""
    return run_program(
        [
            binaries.valkey_server(), "--port", "0", "--unixsocket", socket_path(folder), "--unixsocketperm", "700",
            "--dir", folder.run, "--save", "", "--appendonly", "no", "--maxmemory", MOST_MEMORY,
            # Remembered answers expire and may go early; a full server would take no wakes.
            "--maxmemory-policy", "volatile-lru",
            # Idle it would look around ten times a second.
            "--hz", "2", "--loglevel", "warning",
        ],
        Start(log=folder.log / "valkey.log", cwd=folder.run, environment=CLEAN_ENVIRONMENT),
    )  # fmt: skip
