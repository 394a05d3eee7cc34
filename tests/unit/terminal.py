"""A terminal with the command line, against a stand-in of the server that is made from the table of routes."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO, TextIOWrapper
from typing import Any

import pytest
from pydantic import TypeAdapter

from cli.__main__ import main
from common.routes import API, ROUTES, Route

ID = "0192c4e1-7a2b-7c3d-8e4f-5a6b7c8d9e0f"
DIGEST = "v1:sha256:" + "ab" * 32
SINCE = "2026-11-24T07:00:00+00:00"


def task(state: str = "succeeded", **changes: object) -> dict[str, object]:
    """A task as the API shows one."""
    waits = {"awaiting_approval": "approval", "manual": "person", "queued": "worker"}.get(state)
    command = f"./aiw show {ID[-8:]}"
    waiting = {"what": waits, "since": SINCE, "look_again_at": None, "who": "approver", "command": command}
    return {
        "id": ID, "state": state, "waiting_for": waiting if waits else None, "text": "회식 장소 알아봐줘", "inputs": {},
        "kind": "fetch", "risk": "high", "reasons": [{"rule": "r", "step": "s", "floor": "high", "text": "POST"}],
        "priority": 5, "plan": {"number": 1, "source": "typed", "steps": [{"id": "s", "action": "value", "args": {}}]},
        "attempts": 0, "result": {"n": 1} if state == "succeeded" else None, "error": None, "outcome": None,
        "cost_usd": "0.000000", "requested_by": "owner", "created_at": SINCE, "finished_at": None, "tags": [],
        **changes,
    }  # fmt: skip


APPROVAL = {
    "task_id": ID, "digest": DIGEST, "plan": task()["plan"], "summary": ["POST 39,000 KRW to pay.example.com"],
    "risk": "high", "reasons": task()["reasons"], "worst_cost_usd": "0.000000", "requested_by": "owner",
    "expires_at": "2026-11-25T07:00:00+00:00", "required": 1, "decisions": [], "may_decide": True,
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """A request as the stand-in got it."""

    route: str
    path: str
    body: Any
    headers: dict[str, str]


@dataclass
class Server:
    """What the stand-in answers by route (the last answer of a list stays), and what it saw."""

    answers: dict[str, list[tuple[int, object]]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    def answer(self, route: str, *bodies: object, status: int = 200) -> None:
        """Answer a route with these bodies, one after the other."""
        self.answers[route] = [(status, body) for body in bodies]

    def refuse(self, route: str, status: int, code: str, **more: object) -> None:
        """Answer a route with a problem document."""
        title = code.replace("_", " ")
        problem = {"type": f"/problems/{code}", "title": title, "status": status, "detail": title, **more}
        self.answers[route] = [(status, problem)]

    def next(self, route: str) -> tuple[int, object]:
        """The next answer of a route."""
        left = self.answers[route]
        return left.pop(0) if len(left) > 1 else left[0]


def route_of(method: str, path: str) -> Route:
    """The table's row for a request."""
    for route in ROUTES:
        if route.method == method and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", route.path), path):
            return route
    raise LookupError(f"{method} {path}")


def handler_of(server: Server) -> type[BaseHTTPRequestHandler]:
    """A handler that holds every body to the model which the table names."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith("/function/"):
                self.reply(200, {"status": "ready"})
                return
            route = route_of(self.command, path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(raw) if raw else None
            if route.body is not None:
                TypeAdapter(route.body).validate_json(raw)
            server.seen.append(Seen(route.name, self.path.removeprefix(API), body, dict(self.headers.items())))
            self.reply(*server.next(route.name))

        def reply(self, status: int, body: object) -> None:
            if isinstance(body, str):
                data, media = body.encode(), "text/event-stream"
            else:
                data, media = json.dumps(body).encode() if body is not None else b"", "application/json"
            self.send_response(status)
            self.send_header("Content-Type", media)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Retry-After", "0")
            self.send_header("ETag", '"7"')
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = respond  # noqa: N815 - the base class wants these names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing."""

    return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A stand-in that runs, and an environment that names it."""
    found = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(found))
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    found.url = f"http://127.0.0.1:{http.server_port}"
    monkeypatch.setenv("AIW_URL", found.url)
    monkeypatch.setenv("AIW_TOKEN", "aiw_test")
    monkeypatch.setenv("LANG", "C.UTF-8")
    for name in ("AIW_LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    yield found
    http.shutdown()
    http.server_close()


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """Standard output, which has to be one JSON value."""
        return json.loads(self.out)


class Keyboard(TextIOWrapper):
    """Standard input before which somebody sits."""

    def isatty(self) -> bool:
        """See TextIOWrapper."""
        return True


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line; `stdin` is what is read there, `typed` what a person types."""

    def run_it(*words: str, stdin: str = "", typed: str | None = None) -> Ran:
        given = TextIOWrapper if typed is None else Keyboard
        monkeypatch.setattr(sys, "stdin", given(BytesIO((typed or stdin).encode()), "utf-8"))
        code = main(words)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run_it
