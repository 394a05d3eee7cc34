"""A provider's key: from the environment, or from a file that `./aiw key` writes, read again when it changes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pydantic import SecretStr

ANTHROPIC: Final = "anthropic.key"
OPENAI: Final = "openai.key"
_PLAUSIBLE: Final = re.compile(r"[\x21-\x7e]{1,512}")  # what an HTTP header can carry


class Key:
    """Looked at before each call, so that a key takes effect without a restart. Never shown (I11)."""

    def __init__(self, given: SecretStr | None, folder: Path, file: str = ANTHROPIC) -> None:
        """`given`: from the environment; it wins. `folder`, `file`: where it is kept else."""
        self._given = _plausible(given.get_secret_value()) if given is not None else None
        self._path = folder / file
        self._seen: tuple[int, int, int] | None = None
        self._read: str | None = None

    def __repr__(self) -> str:
        """Whether there is one, and nothing else."""
        return f"Key({'set' if self.value() else 'none'})"

    def value(self) -> str | None:
        """The key; None if there is none."""
        if self._given is not None:
            return self._given
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen != self._seen:
                self._read, self._seen = _plausible(self._path.read_text("utf-8")), seen
        except (OSError, UnicodeDecodeError):
            self._read, self._seen = None, None
        return self._read


def _plausible(text: str) -> str | None:
    text = text.strip()
    return text if _PLAUSIBLE.fullmatch(text) else None
