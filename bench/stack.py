"""A stack of its own for the measurements: a real `./aiw up` in a temporary folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypedDict
from urllib.parse import parse_qs, urlsplit

import pg8000.native

ROOT: Final = Path(__file__).resolve().parents[1]
SECONDS_TO_START: Final = 180.0
SECONDS_TO_STOP: Final = 60.0


class Running(TypedDict):
    """A part, as `run/server.json` tells of it."""

    pid: int


class ServerFile(TypedDict):
    """What of `run/server.json` is read here (written by infra/local/server_file.py)."""

    pid: int
    database_url: str
    redis_url: str
    parts: dict[str, Running]


@dataclass(frozen=True, slots=True)
class Servers:
    """PostgreSQL and Valkey of a running stack, for the peers: each gets databases of its own in them."""

    postgres_folder: str
    user: str
    valkey_socket: str

    def conninfo(self, database: str) -> str:
        """For libpq."""
        return f"host={self.postgres_folder} user={self.user} dbname={database}"

    def redis_url(self, number: int) -> str:
        """Of one of Valkey's numbered databases."""
        return f"unix://{self.valkey_socket}?db={number}"


class Stack:
    """A data folder that ends with the measurement. Use as a context manager."""

    def __init__(self, *words: str, **settings: str) -> None:
        """`words`: after `up`, such as `--scale=execute=2`. `settings`: of the environment."""
        self._words = words
        self._settings = settings
        self._home = Path(tempfile.mkdtemp(prefix="aiw-bench-"))
        # As root PostgreSQL runs as `nobody`, which has to walk through; what lies inside is private by itself.
        self._home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self._data = self._home / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.seconds_to_start = 0.0

    def __enter__(self) -> Self:
        """Start it and wait until it takes work. RuntimeError says why it does not."""
        began = time.monotonic()
        # Nothing of the caller's own installation: neither its database nor its key, so that nothing can cost money.
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIW_", "ANTHROPIC_"))}
        command = [sys.executable, "-P", "-m", "cli", "--json", "--lang", "en", "--data", str(self._data)]
        with (self._home / "out").open("wb") as out, (self._home / "err").open("wb") as err:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port), "up", *self._words],
                env={**clean, "PYTHONPATH": str(ROOT), **self._settings},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                # Ctrl-C is for the measurement, which then stops its stack in order.
                start_new_session=True,
            )
        while '"ready"' not in (self._home / "out").read_text(errors="replace"):
            if self._process.poll() is not None or time.monotonic() > began + SECONDS_TO_START:
                said = (self._home / "err").read_text(errors="replace").strip()
                self.__exit__()
                raise RuntimeError(f"the stack did not start: {said or 'too slow'}")
            time.sleep(0.05)
        self.seconds_to_start = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        """Drain it, and remove everything that it kept."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        cluster = self._data / "postgres"
        if cluster.is_symlink():
            shutil.rmtree(cluster.resolve(), ignore_errors=True)
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def token(self) -> str:
        """The admin's."""
        return (self._data / "secrets" / "admin.token").read_text().strip()

    @property
    def parts(self) -> dict[str, int]:
        """The process id of each part, and of the supervisor (`up`)."""
        server = self._server()
        return {"up": server["pid"], **{name: part["pid"] for name, part in server["parts"].items()}}

    @property
    def servers(self) -> Servers:
        """Where PostgreSQL and Valkey listen."""
        server = self._server()
        parts = urlsplit(server["database_url"])
        [unix_socket] = parse_qs(parts.query)["unix_sock"]
        return Servers(str(Path(unix_socket).parent), parts.username or "", urlsplit(server["redis_url"]).path)

    def owner(self, database: str = "aiw") -> pg8000.native.Connection:
        """A connection as the database's owner."""
        servers = self.servers
        unix_socket = f"{servers.postgres_folder}/.s.PGSQL.5432"
        return pg8000.native.Connection(servers.user, unix_sock=unix_socket, database=database)

    def _server(self) -> ServerFile:
        found: ServerFile = json.loads((self._data / "run" / "server.json").read_text())
        return found


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
