"""Steady load on a stack that is being killed: mixed tasks, each sent until it is acknowledged, and an approver."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from cli.demo_target import CountingTarget
from tests.stack import API, Product

Kind = Literal["value", "text", "get", "idempotent", "strict"]
KINDS: Final[tuple[Kind, ...]] = ("value", "text", "idempotent", "value", "get", "strict")
TAG: Final = "storm"
# While parts are restarted, a door may be shut for as long as the supervisor's backoff is.
PATIENCE: Final = 60.0
AGAIN: Final = 0.1
EXPECTED: Final = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Sent:
    """A task that was acknowledged. `path`: where it goes on the far side, its own alone."""

    id: str
    kind: Kind
    path: str


def request(kind: Kind, path: str, target: CountingTarget) -> dict[str, Any]:
    """The request of one task; a held one may take longer."""
    timeout = 6 if path.startswith("/held/") else 3
    host = target.strict if kind in {"strict", "text"} else target.idempotent
    url = f"http://{host}{path}"
    if kind == "text":
        return {"text": f"fetch {url}"}
    if kind == "value":
        first: dict[str, Any] = {"id": "first", "action": "value", "args": {"value": {"path": path}}}
        second = {"id": "second", "action": "value", "args": {"value": {"$ref": "steps.first.path"}}}
        return {"plan": {"steps": [first, second]}}
    if kind == "get":
        return {"plan": {"steps": [{"id": "get", "action": "http.request", "args": {"url": url, "timeout": timeout}}]}}
    args = {"method": "POST", "url": url, "json": {"path": path}, "timeout": timeout}
    return {"plan": {"steps": [{"id": "send", "action": "http.request", "args": args}]}}


class Load:
    """Threads that hand tasks in, and one that approves what waits. What was acknowledged is kept."""

    def __init__(self, product: Product, target: CountingTarget) -> None:
        """Nothing is sent yet."""
        self._product = product
        self._target = target
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sent: list[Sent] = []
        self.faults: list[str] = []
        self.tries = 0

    def sent(self) -> list[Sent]:
        """What was acknowledged so far."""
        with self._lock:
            return list(self._sent)

    def start(self, submitters: int = 2) -> None:
        """Begin: each submitter hands in about ten tasks a second, of all kinds in turn."""
        bodies: list[Callable[[], None]] = [self._submit] * submitters
        self._threads = [threading.Thread(target=self._watched, args=(body,)) for body in [*bodies, self._approve]]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Hand in nothing new; what was begun is acknowledged first."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE + 10)

    def close(self) -> None:
        """As `stop`, but what is not acknowledged is given up."""
        self._closed.set()
        self.stop()

    def send(self, kind: Kind, *, held: bool = False, **more: object) -> Sent:
        """Hand in one task under a key of its own, until it is acknowledged (I1). `more`: fields of its request."""
        number = next(self._numbers)
        path = f"/held/{kind}-{number}" if held else f"/{kind}-{number}"
        body = json.dumps({**request(kind, path, self._target), "tags": [TAG], **more}).encode()
        task = self.until_acknowledged(body, f"{TAG}-{number}")["id"]
        sent = Sent(task, kind, path)
        with self._lock:
            self._sent.append(sent)
        return sent

    def until_acknowledged(self, body: bytes, key: str) -> Any:  # noqa: ANN401 - a Task, or a list of them
        """POST until the answer is 201; AssertionError for any refusal, and after a minute."""
        until = time.monotonic() + PATIENCE
        while True:
            with self._lock:
                self.tries += 1
            try:
                said = self._product.ask("POST", f"{API}/tasks", body, {"Idempotency-Key": key}, seconds=15)
            except EXPECTED:
                said = None
            if said is not None and said.status == 201:
                return said.json
            assert said is None or said.status in {503, 504}, said.raw
            late = time.monotonic() > until or self._closed.is_set()
            assert not late, f"{key} was not acknowledged within {PATIENCE} s"
            time.sleep(AGAIN)

    def approve_waiting(self) -> None:
        """Approve what waits now; what fails because something is down is done at the next look."""
        try:
            waiting = self._product.ask("GET", f"{API}/tasks?state=awaiting_approval&limit=200", seconds=15)
            for task in waiting.json["items"] if waiting.status == 200 else ():
                self.approve(task["id"])
        except EXPECTED:
            return

    def approve(self, task: str) -> None:
        """Look, and approve exactly that, if it still waits."""
        path = f"{API}/tasks/{task}"
        seen = self._product.ask("GET", f"{path}/approval", seconds=15)
        if seen.status == 200:
            body = json.dumps({"digest": seen.json["digest"]}).encode()
            self._product.ask("POST", f"{path}/approve", body, seconds=15)

    def _submit(self) -> None:
        for kind in itertools.cycle(KINDS):
            if self._stopping.wait(AGAIN):
                return
            self.send(kind)

    def _approve(self) -> None:
        while not self._stopping.wait(AGAIN):
            self.approve_waiting()

    def _watched(self, body: Callable[[], None]) -> None:
        try:
            body()
        except Exception as exc:  # noqa: BLE001 - a thread's failure is the test's, which reads it at the end
            self.faults.append(repr(exc))
