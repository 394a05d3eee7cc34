"""What /proc says of processes, asked of `ps` and `lsof`, for a system that has no /proc (macOS has both programs)."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Final

# Dates in the form that is read below.
_ENVIRONMENT: Final = {"LC_ALL": "C"}
_STARTED: Final = "%a %b %d %H:%M:%S %Y"


def started(pid: int) -> str | None:
    """When a process started, as digits that grow with time; None if there is none, or only its remains."""
    state, _, date = _said("ps", "-o", "stat=,lstart=", "-p", str(pid)).strip().partition(" ")
    if not date or state.startswith("Z"):
        return None
    return str(int(time.mktime(time.strptime(" ".join(date.split()), _STARTED))))


def pids() -> list[int]:
    """Everything that runs now."""
    return [int(word) for word in _said("ps", "-axo", "pid=").split()]


def pids_in(folder: Path) -> list[int]:
    """Whose working folder is exactly `folder`."""
    return [int(word) for word in _said("lsof", "-a", "-d", "cwd", "-t", "--", str(folder)).split()]


def program(pid: int) -> str:
    """The name of the program that a process runs; "" if it is gone."""
    return Path(_said("ps", "-o", "comm=", "-p", str(pid)).strip()).name


def _said(*words: str) -> str:
    # Both end with 1 if nothing matches, which is an answer.
    return subprocess.run(
        words, env=dict(os.environ) | _ENVIRONMENT, capture_output=True, text=True, check=False
    ).stdout
