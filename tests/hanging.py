"""A PostgreSQL that hangs: not dead, it just does not answer. And a network between us and it that swallows packets."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from infra.local.process import Identity, processes_in

ALL_STOPPED: Final = 10.0


@contextlib.contextmanager
def hanging(data: Path) -> Iterator[None]:
    """Every process of the cluster in `data` is stopped meanwhile, and goes on afterwards where it was."""
    stopped: set[Identity] = set()
    try:
        stop_all(data, stopped)
        yield
    finally:
        for process in stopped:
            process.send(signal.SIGCONT)


def stop_all(data: Path, stopped: set[Identity]) -> None:
    """SIGSTOP until nobody new is found: a backend may be made while the first ones are stopped."""
    until = time.monotonic() + ALL_STOPPED
    while new := set(processes_in(data.resolve())) - stopped:
        for process in new:
            process.send(signal.SIGSTOP)
        stopped |= new
        assert time.monotonic() < until, f"{data} makes processes faster than they are stopped"


class Swallowing:
    """A TCP port in front of a Unix socket; once `swallows` is set, nothing comes through and nobody is told."""

    def __init__(self, target: Path) -> None:
        """It listens."""
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self._passes = threading.Event()
        self._passes.set()
        self._ends = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        found: int = self._listener.getsockname()[1]
        return found

    def swallow(self) -> None:
        """From now on."""
        self._passes.clear()

    def let_through(self) -> None:
        """Again, and what was on its way, too."""
        self._passes.set()

    def close(self) -> None:
        """End all of it."""
        self._ends = True
        self._passes.set()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(self._target))
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                self._passes.wait()
                if self._ends:
                    return
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
