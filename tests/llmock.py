"""`llmock`, a provider's fake that was not written here, as a server of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from common.core.task import Json

Behaviour = dict[str, Json]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(log: Path) -> Iterator[str]:
    """Its address, while it runs. `log`: where its output goes."""
    port = free_port()
    program = Path(sys.executable).with_name("llmock")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [program, "serve", "--port", str(port), "--log-level", "warning"], stdout=out, stderr=out
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            if process.poll() is not None:
                raise RuntimeError(log.read_text())
            try:
                httpx2.get(f"{url}/_llmock/scenario", timeout=1)
                break
            except httpx2.TransportError:
                time.sleep(0.1)
        else:
            raise RuntimeError(f"llmock did not start: {log.read_text()}")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def plays(url: str, *behaviours: Behaviour) -> None:
    """What it does next."""
    httpx2.post(f"{url}/_llmock/scenario", json={"behaviors": list(behaviours)}).raise_for_status()


def served(url: str) -> int:
    """How many requests it has had."""
    return int(httpx2.get(f"{url}/_llmock/requests").json()["count"])


def forget(url: str) -> None:
    """As if it had just started."""
    httpx2.post(f"{url}/_llmock/reset").raise_for_status()
