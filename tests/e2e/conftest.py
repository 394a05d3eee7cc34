"""One running product for the tests of this folder, with a far side that counts."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.client import Options
from cli.demo_stack import DemoStack
from cli.demo_target import CountingTarget


@dataclass(frozen=True)
class Stack:
    """An `./aiw up` of its own: where it is, its admin's token, its data folder, and the counting far side."""

    url: str
    token: str
    data: Path
    target: CountingTarget

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - any JSON
        """A request through the front door, as the admin."""
        request = urllib.request.Request(  # noqa: S310 - our own address
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=70) as answer:  # noqa: S310 - our own address
            return json.loads(answer.read() or b"null")

    def submit(self, body: dict[str, object]) -> str:
        """The id of a new task, once it has settled or waits for somebody."""
        return str(self.ask("POST", "/api/v1/tasks?wait=20", body)["id"])

    def state(self, task: str, wait: int = 20) -> str:
        """A task's state, once it has settled."""
        return str(self.ask("GET", f"/api/v1/tasks/{task}?wait={wait}")["state"])


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole product, real servers and processes, stopped at the end."""
    target = CountingTarget()
    running = DemoStack(Options(data=Path(), port=0, json=False, lang="en"))
    try:
        running.start({"AIW_HOSTS": f"{target.idempotent};idempotent, {target.strict}"})
        data = running.options.data
        token = (data / "secrets" / "admin.token").read_text().strip()
        yield Stack(f"http://127.0.0.1:{running.options.port}", token, data, target)
    finally:
        running.stop()
        target.close()
