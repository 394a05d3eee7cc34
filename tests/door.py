"""The front door alone: our nginx, and in place of the dashboard whatever a test lets answer, or nobody."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import socketserver
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final

from common.routes import FUNCTIONS
from functions.dashboard.rendering import HEADERS
from infra.local import nginx
from infra.local.folder import open_folder

# A page with a form, with the headers that all of ours have.
FORM: Final = (
    b'<!doctype html><html lang="en"><title>form</title><form method="post" action="/tasks">'
    b'<textarea name="text"></textarea><button>Send</button></form></html>'
)


@dataclass(frozen=True)
class Door:
    """Where it is, and where it looks for the dashboard."""

    port: int
    dashboard: Path

    @property
    def url(self) -> str:
        """What a browser is given."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[http.client.HTTPResponse, str]:
        """One request without a body: the answer, and its text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, headers=dict(headers))
            answer = connection.getresponse()
            return answer, answer.read().decode()

    @contextlib.contextmanager
    def answered(self) -> Iterator[None]:
        """The dashboard is there meanwhile: it shows a form, wherever one looks."""
        with _Unix(str(self.dashboard), _Form) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            yield
            server.shutdown()
        self.dashboard.unlink()


class _Unix(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class _Form(BaseHTTPRequestHandler):
    """Answers each GET with the form, and closes."""

    def do_GET(self) -> None:
        """See BaseHTTPRequestHandler."""
        self.send_response(200)
        for name, value in {**HEADERS, "Content-Type": "text/html", "Content-Length": str(len(FORM))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(FORM)

    def address_string(self) -> str:
        """Nobody's: a Unix socket."""
        return ""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
        """Nothing."""


@contextlib.contextmanager
def front_door(base: str = "") -> Iterator[Door]:
    """It runs, and none of the functions does."""
    with tempfile.TemporaryDirectory(prefix="aiw-door-") as home:
        folder = open_folder(Path(home))
        port = nginx.free_port(0)
        sockets: dict[str, list[Path]] = {name: [folder.run / f"{name}.sock"] for name in FUNCTIONS}
        pid = nginx.start(folder, port, sockets, base)
        try:
            _wait_for(port)
            yield Door(port, folder.run / "dashboard.sock")
        finally:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


def _wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.02)
        else:
            return
