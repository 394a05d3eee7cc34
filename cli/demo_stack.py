"""The demo's own stack: a real `./aiw up` in a temporary folder, and what only somebody beside it can do to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from cli.client import REFUSED, Options, Stop

ROOT: Final = Path(__file__).resolve().parents[1]
SECONDS_TO_START: Final = 120.0
SECONDS_TO_STOP: Final = 60.0
LEASE_SECONDS: Final = 10


class DemoStack:
    """One data folder that ends with the demo."""

    def __init__(self, options: Options) -> None:
        """Nothing runs yet. `options`: the language."""
        self._home = Path(tempfile.mkdtemp(prefix="aiw-demo-"))
        # As root PostgreSQL runs as `nobody`, which has to walk through; what lies inside is private by itself.
        self._home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self.options = Options(
            data=self._home / "data", port=_free_port(), json=options.json, lang=options.lang, chosen=True
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, settings: dict[str, str]) -> None:
        """Start it and wait until it takes work. Stop(1) says why it does not."""
        # Nothing of the caller's own installation: neither its database nor its key, so that nothing can cost money.
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIW_", "ANTHROPIC_"))}
        environment = {**clean, "PYTHONPATH": str(ROOT), "AIW_LEASE_SECONDS": str(LEASE_SECONDS), **settings}
        folder, port = str(self.options.data), str(self.options.port)
        words = ["--json", "--lang", self.options.lang, "--data", folder, "--port", port]
        with (self._home / "out").open("wb") as out, (self._home / "err").open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cli", *words, "up"],
                env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                # Ctrl-C is for the demo, which then stops its stack in order.
                start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + SECONDS_TO_START
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > until:
                said = (self._home / "err").read_text(errors="replace").strip().splitlines()
                raise Stop(REFUSED, "demo.not_started", why=said[-1] if said else self._process.returncode)
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        return any('"ready"' in line for line in (self._home / "out").read_text(errors="replace").splitlines())

    def _server(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.options.data / "run" / "server.json").read_text())
        return found

    def pid(self, part: str) -> int:
        """The process id of a part."""
        parts = self._server()["parts"]
        if not isinstance(parts, dict) or not isinstance(parts.get(part), dict):
            raise Stop(REFUSED, "demo.no_part", part=part)
        return int(parts[part]["pid"])

    def kill(self, part: str) -> int:
        """SIGKILL: no part of it gets to say anything any more. Returns the process id."""
        pid = self.pid(part)
        os.kill(pid, signal.SIGKILL)
        return pid

    def wake(self, function: str) -> None:
        """What the minute timer does, earlier: a wake carries no authority and no work."""
        connection = http.client.HTTPConnection("127.0.0.1", self.options.port, timeout=10)
        # Wakes may be lost, and this one, too.
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("POST", f"/function/{function}")
            connection.getresponse().read()
        connection.close()

    def alter_plan(self, task_id: str, old: str, new: str) -> int:
        """As the database's owner, with the trigger off: put other steps under an approval. Returns how many rows."""
        import pg8000.native  # noqa: PLC0415 - no other command speaks to a database

        parts = urlsplit(str(self._server()["database_url"]))
        [unix_socket] = parse_qs(parts.query)["unix_sock"]
        owner = pg8000.native.Connection(parts.username or "", unix_sock=unix_socket, database=parts.path.lstrip("/"))
        try:
            owner.run("BEGIN")
            owner.run("ALTER TABLE plans DISABLE TRIGGER USER")
            owner.run(
                "UPDATE plans SET steps = replace(steps::text, :old, :new)::json WHERE task_id = :task",
                old=old, new=new, task=task_id,
            )  # fmt: skip
            changed = int(owner.row_count)
            owner.run("ALTER TABLE plans ENABLE TRIGGER USER")
            owner.run("COMMIT")
        finally:
            owner.close()
        return changed

    def wait(self) -> None:
        """Until it ends, or Ctrl-C."""
        if self._process is not None:
            self._process.wait()

    def stop(self) -> None:
        """Drain it, and remove everything that it kept."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        cluster = self.options.data / "postgres"
        if cluster.is_symlink():
            shutil.rmtree(cluster.resolve(), ignore_errors=True)
        shutil.rmtree(self._home, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
