"""The fast side of the remembered answers in memory: it keeps what it is given, and forgets when it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from uuid import UUID

from common.ports import Learned


class MemoryFront:
    """See `common.ports.Front`. `wipe` is what Redis may do at any time."""

    def __init__(self) -> None:
        """Empty."""
        self._lock = Lock()
        self._entries: dict[tuple[UUID, str], Learned] = {}

    def recall(self, workspace: UUID, keys: Sequence[str], prompt_version: str) -> dict[str, Learned]:
        """See Front."""
        with self._lock:
            found = {key: self._entries.get((workspace, key)) for key in keys}
        return {key: one for key, one in found.items() if one is not None and one.prompt_version == prompt_version}

    def put(self, workspace: UUID, learned: Sequence[Learned]) -> None:
        """See Front."""
        with self._lock:
            self._entries.update({(workspace, one.key): one for one in learned})

    def drop(self, workspace: UUID, keys: Sequence[str]) -> bool:
        """See Front."""
        with self._lock:
            for key in keys:
                self._entries.pop((workspace, key), None)
        return True

    def wipe(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def close(self) -> None:
        """Nothing to close."""
