"""The far side of the demo: an HTTP server that counts what reaches it, and what it really did.

One port stands for a host that knows Idempotency-Key, the other for one that does not.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

PRICE: Final = 39_000
FLAKY_FAILURES: Final = 2
HOLD_SECONDS: Final = 5.0


class CountingTarget:
    """Counts requests by path, and effects by path and key. Answers of held paths wait until `release`."""

    def __init__(self) -> None:
        """Both ports listen from here on, on this machine only."""
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._requests: Counter[str] = Counter()
        self._effects: Counter[tuple[str, str]] = Counter()
        self._tries: Counter[tuple[str, str]] = Counter()
        self._told: list[str] = []
        self._servers = [self._serve(knows_keys=True), self._serve(knows_keys=False)]

    @property
    def idempotent(self) -> str:
        """Name and port of the host that does the same thing once, however often it is asked under one key."""
        return f"127.0.0.1:{self._servers[0].server_port}"

    @property
    def strict(self) -> str:
        """Name and port of the host that does it again each time."""
        return f"127.0.0.1:{self._servers[1].server_port}"

    def requests(self, path: str) -> int:
        """How many requests for a path arrived."""
        with self._changed:
            return self._requests[path]

    def effects(self, path: str) -> list[int]:
        """How often each effect of a path happened: one number for each key."""
        with self._changed:
            return [times for (where, _), times in self._effects.items() if where == path]

    def told(self) -> list[str]:
        """What was announced on the channel."""
        with self._changed:
            return list(self._told)

    def wait_until(self, arrived: Callable[[CountingTarget], bool], seconds: float) -> bool:
        """Wait until what has arrived is enough; False if it did not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: arrived(self), seconds)

    def hold(self) -> None:
        """From now on held paths do not answer."""
        self._released.clear()

    def release(self) -> None:
        """Answer what is held, and hold nothing more."""
        self._released.set()

    def close(self) -> None:
        """Stop listening."""
        self.release()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _serve(self, *, knows_keys: bool) -> ThreadingHTTPServer:
        server = _QuietServer(("127.0.0.1", 0), _handler(self, knows_keys=knows_keys))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return server

    def receive(self, path: str, key: str, body: bytes, *, knows_keys: bool) -> tuple[int, object]:
        """Count a request, do what it asks, and say what to answer, once it is time to answer."""
        with self._changed:
            self._requests[path] += 1
            self._tries[path, key] += 1
            tries = self._tries[path, key]
            answer = self._do(path, key, tries, body, knows_keys=knows_keys)
            self._changed.notify_all()
        if path.startswith("/held/"):
            self._released.wait(HOLD_SECONDS)
        return answer

    def _do(self, path: str, key: str, tries: int, body: bytes, *, knows_keys: bool) -> tuple[int, object]:
        if path == "/price":
            return 200, {"item": "lamp", "price": PRICE, "currency": "KRW"}
        if path == "/hook":
            self._told.append(str(json.loads(body).get("text", "")))
            return 200, {}
        if path == "/flaky" and tries <= FLAKY_FAILURES:
            return 503, {"error": "busy"}
        if path == "/held/lost" and self._requests[path] == 1:
            # It took the request and did nothing with it.
            return 500, {"error": "crashed"}
        if not (knows_keys and self._effects[path, key]):
            self._effects[path, key] += 1
        return 201, {"done": True}


class _QuietServer(ThreadingHTTPServer):
    """A client that is killed in the middle is what the demo is about, and worth no traceback."""

    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """See socketserver: here, nothing."""


def _handler(target: CountingTarget, *, knows_keys: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            status, found = target.receive(path, self.headers.get("Idempotency-Key") or "", body, knows_keys=knows_keys)
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = answer  # noqa: N815 - the base class wants these names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing: the screen belongs to the demo."""

    return Handler
