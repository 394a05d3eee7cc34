"""The parts' logs: kept short while they are being written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

# A log and its predecessor: at most 2 * 32 MB a part, some days of a busy laptop.
LONGEST_LOG: Final = 32 * 1024 * 1024


def trim(folder: Path) -> None:
    """Move what is too long to `NAME.log.1`. The writers append, so the file is emptied and not replaced."""
    for log in folder.glob("*.log"):
        if log.stat().st_size > LONGEST_LOG:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            # What is written between these two lines is lost: a few lines of a log, and no fact.
            with log.open("r+b") as file:
                file.truncate()
