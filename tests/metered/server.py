"""The fake over real HTTP, in a thread: what the official SDK speaks to; `/_metered/…` steers it and shows its bill."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self, cast
from urllib.parse import parse_qsl, urlsplit

from pydantic import ValidationError

from tests.metered.asked import Asked, RefusedError
from tests.metered.batches import Batches, Fate
from tests.metered.faults import Fault, Faults
from tests.metered.knowledge import Knowledge
from tests.metered.messages import Messages, Sent, refused
from tests.metered.meter import Row

MESSAGES: Final = "/v1/messages"
BATCHES: Final = "/v1/messages/batches"
BODY_MAX: Final = 32_000_000


class Metered:
    """A running fake. `says` may be replaced at any time: it is the model."""

    def __init__(self, says: Callable[[Asked], str] | None = None, *, port: int = 0, seconds: float = 0) -> None:
        """`says`: the model; None: one that knows little. `port` 0: any. `seconds`: how long a message takes."""
        self.account = Messages(says or Knowledge().says, seconds=seconds)
        self.batches = Batches(self.account)
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="metered", daemon=True)

    def __enter__(self) -> Self:
        """Starts it."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """What ANTHROPIC_BASE_URL is set to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def faults(self) -> Faults:
        """What goes wrong next."""
        return self.account.faults

    @property
    def rows(self) -> list[Row]:
        """The bill, a row a message."""
        with self.account.lock:
            return list(self.account.meter.rows)

    @property
    def nanodollars(self) -> int:
        """The bill's sum."""
        return sum(row.nanodollars for row in self.rows)

    @property
    def asked(self) -> list[Asked]:
        """Every message that was asked for and read."""
        with self.account.lock:
            return list(self.account.asked)

    def serve(self) -> None:
        """Until interrupted."""
        with self:
            self._thread.join()

    def answer(self, method: str, target: str, body: bytes, base: str, *, has_key: bool) -> Sent:
        """One request."""
        path, query = urlsplit(target).path.rstrip("/"), dict(parse_qsl(urlsplit(target).query))
        try:
            given = json.loads(body) if body else None
        except ValueError:
            return self._no(400, "invalid_request_error", "not JSON")
        if path.startswith("/_metered/"):
            return self._steered(method, path.removeprefix("/_metered/"), given)
        if not has_key:
            return self._no(401, "authentication_error", "x-api-key header is required")
        if method == "POST" and path == MESSAGES:
            return self.account.create(given)
        if method == "POST" and path == f"{MESSAGES}/count_tokens":
            return self.account.count(given)
        return self._batch(method, path, query, given, base)

    def _batch(self, method: str, path: str, query: dict[str, str], given: object, base: str) -> Sent:
        if path == BATCHES:
            return self.batches.create(given, base) if method == "POST" else self.batches.list(query, base)
        name, _, verb = path.removeprefix(f"{BATCHES}/").partition("/")
        if path.startswith(f"{BATCHES}/"):
            if (method, verb) == ("GET", ""):
                return self.batches.retrieve(name, base)
            if (method, verb) == ("GET", "results"):
                return self.batches.results(name)
            if (method, verb) == ("POST", "cancel"):
                return self.batches.cancel(name, base)
        return self._no(404, "not_found_error", f"{method} {path}")

    def _steered(self, method: str, verb: str, given: object) -> Sent:
        """Not of the API: `bill`, `faults`, `advance`, `batches`."""
        said: dict[str, Any] = given if isinstance(given, dict) else {}
        try:
            if method == "POST" and verb == "faults":
                self.faults.add(*[Fault.model_validate(fault) for fault in said["faults"]])
            elif method == "POST" and verb == "advance":
                self.account.advance(float(said["seconds"]))
            elif method == "POST" and verb == "batches":
                self.batches.fate = Fate(**said)
            elif (method, verb) != ("GET", "bill"):
                return self._no(404, "not_found_error", f"{method} /_metered/{verb}")
        except (ValidationError, KeyError, TypeError, ValueError) as exc:
            return self._no(400, "invalid_request_error", str(exc))
        return Sent(200, json.dumps(self._bill(), indent=1).encode())

    def _bill(self) -> dict[str, Any]:
        rows = [
            {
                "request_id": row.request_id,
                "model": row.model,
                "batch": row.batch,
                "nanodollars": row.nanodollars,
                **row.used.wire(batch=row.batch),
            }
            for row in self.rows
        ]
        return {"messages": len(rows), "usd": self.nanodollars / 10**9, "nanodollars": self.nanodollars, "rows": rows}

    def _no(self, status: int, kind: str, message: str) -> Sent:
        return refused(RefusedError(status, kind, message), self.account.number("req"))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], fake: Metered) -> None:
        self.fake = fake
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none of ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Silent: the bill says what was asked."""

    def _serve(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        if size > BODY_MAX:
            self.close_connection = True
            return
        body = self.rfile.read(size)
        has_key = bool(self.headers.get("x-api-key") or self.headers.get("authorization"))
        base = f"http://{self.headers.get('host', '127.0.0.1')}"
        fake = cast("_Server", self.server).fake
        sent = fake.answer(self.command, self.path, body, base, has_key=has_key)
        if sent.wait:
            time.sleep(sent.wait)
        if sent.cut is not None and sent.cut < 0:
            self._hang_up()
            return
        self.send_response(sent.status)
        for name, value in {"content-type": "application/json", **sent.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(sent.body)))
        self.end_headers()
        self.wfile.write(sent.body[: sent.cut])
        if sent.cut is not None:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
