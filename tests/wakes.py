"""A Valkey of a test's own, and a door that stands for the functions: for the tests of wakes."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis

from infra.local.binaries import valkey_server

ANSWER = b'{"claimed":1,"done":1,"more":false,"wake_in_ms":null}'


class Valkey:
    """A server of its own on a Unix socket, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        """`folder`: short, a socket's path has at most 107 bytes."""
        self.folder = folder
        self.url = f"unix://{folder}/v.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(
            [
                valkey_server(),
                "--port",
                "0",
                "--unixsocket",
                "v.sock",
                "--dir",
                ".",
                "--save",
                "",
                "--appendonly",
                "no",
            ],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        until(lambda: (self.folder / "v.sock").exists() and bool(self.client().ping()))

    def kill(self) -> None:
        """End it at once; all that it held is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        (self.folder / "v.sock").unlink(missing_ok=True)

    def client(self) -> redis.Redis:
        """A plain client."""
        return redis.Redis.from_url(self.url)


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Wait until `condition()` holds; a connection that is not there yet counts as not yet."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except (redis.RedisError, OSError):
            time.sleep(0.01)
        time.sleep(0.005)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A Valkey of the test's own."""
    folder = Path(tempfile.mkdtemp(prefix="aiwv"))
    server = Valkey(folder)
    yield server
    server.kill()
    shutil.rmtree(folder)


class Door:
    """Stands for the functions: answers wakes and remembers them."""

    def __init__(self) -> None:
        """Listens on a free port."""
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.status = 200
        self.body = ANSWER
        self.hold = 0.0
        self.ended = 0
        self.connections = 0
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                door.connections += 1
                super().setup()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                door.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                time.sleep(door.hold)
                self.send_response(door.status)
                self.send_header("content-length", str(len(door.body)))
                self.end_headers()
                self.wfile.write(door.body)
                door.ended += 1

            def log_message(self, *args: object) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/function/{{name}}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def names(self) -> list[str]:
        """Who was woken, in order."""
        return [path.split("/")[2] for path, _ in self.seen]

    def kinds(self) -> list[str]:
        """With which event types."""
        return [headers["ce-type"] for _, headers in self.seen]


@pytest.fixture
def door() -> Iterator[Door]:
    """The functions' door."""
    door = Door()
    yield door
    door.server.shutdown()
    door.server.server_close()
