"""`./aiw up` for real: what it starts, restarts, refuses, takes over from and leaves behind."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from common.routes import FUNCTIONS
from infra.local.process import Identity, identity
from infra.local.timer import knock

ROOT: Final = Path(__file__).resolve().parents[2]
# A busy machine may take this long to start; it takes two seconds.
PATIENCE: Final = 60.0


@dataclass
class Running:
    """An `./aiw up` of this test: its events as they come, its data folder, its parts."""

    process: subprocess.Popen[str]
    data: Path
    out: IO[str]
    events: list[dict[str, Any]] = field(default_factory=list)

    def until(self, event: str, part: str | None = None) -> dict[str, Any]:
        """The next such event."""
        for line in self.out:
            found: dict[str, Any] = json.loads(line)
            self.events.append(found)
            if found["event"] == event and part in (None, found.get("part")):
                return found
        pytest.fail(f"it ended without {event}: {self.events}")

    @property
    def server(self) -> dict[str, Any]:
        """What it says about itself."""
        found: dict[str, Any] = json.loads((self.data / "run" / "server.json").read_text())
        return found

    def part(self, name: str) -> Identity:
        """The process of a part."""
        found = self.server["parts"][name]
        return Identity(found["pid"], found["started"])

    def parts(self) -> dict[str, Identity]:
        """All of them."""
        return {name: self.part(name) for name in self.server["parts"]}

    def ask(
        self, method: str, path: str, body: bytes | None = None, token: str | None = None
    ) -> tuple[int, str, bytes]:
        """A request through the front door: status, content type, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server["port"], timeout=30)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get_content_type(), answer.read()
        finally:
            connection.close()

    def token(self) -> str:
        """The admin's."""
        return (self.data / "secrets" / "admin.token").read_text().strip()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code."""
        self.process.send_signal(number)
        for line in self.out:
            self.events.append(json.loads(line))
        return self.process.wait(PATIENCE)


def command(data: Path, *words: str, port: int = 0) -> list[str]:
    """The command line, as `aiw` runs it."""
    return [sys.executable, "-P", "-m", "cli", "--data", str(data), "--port", str(port or free_port()), *words]


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment() -> dict[str, str]:
    """Ours, without what would change the stack."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("AIW_", "ANTHROPIC_"))}
    return {**ours, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}


def start(data: Path, *words: str) -> Running:
    """Start it and wait until it takes work."""
    process = subprocess.Popen(
        command(data, "--json", "up", *words),
        cwd="/",
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    running = Running(process, data, process.stdout)
    running.until("ready")
    return running


def refused(data: Path, port: int = 0) -> str:
    """The one line of an `up` that cannot start."""
    done = subprocess.run(
        command(data, "up", port=port),
        cwd="/",
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A short path, so that sockets fit, and open to PostgreSQL's user if we are root."""
    with tempfile.TemporaryDirectory(prefix="aiw-up-") as name:
        # As mkdtemp makes it, root's own PostgreSQL user could not walk through: that case has a test of its own.
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="module")
def up(folder: Path) -> Iterator[Running]:
    """One stack for the tests that leave it as they found it."""
    running = start(folder / "shared", "--scale", "execute=2")
    yield running
    running.stop()
    running.out.close()


def alive(processes: Sequence[Identity]) -> list[Identity]:
    """Those that still run, after a moment."""
    until = time.monotonic() + 5
    while time.monotonic() < until and any(process.is_alive() for process in processes):
        time.sleep(0.05)
    return [process for process in processes if process.is_alive()]


def works(up: Running) -> bool:
    """Whether a request gets from the front door to the database and back."""
    try:
        return up.ask("GET", "/api/v1/tasks", token=up.token())[0] == 200
    except OSError:
        return False


def test_the_whole_stack_runs_as_processes_of_its_own(up: Running) -> None:
    """Five functions (one of them twice), connector, nginx, Valkey and PostgreSQL, each in its own session."""
    parts = up.parts()
    assert parts.keys() == {*FUNCTIONS, "execute-2", "connector", "nginx", "valkey", "postgres"}
    for name, process in parts.items():
        assert process.is_alive(), name
        assert os.getsid(process.pid) == process.pid, name


def test_no_part_interrupts_another_when_it_wakes_up(up: Running) -> None:
    """A turn each, PostgreSQL's own children included: interrupting one another took a fifth of the CPU time."""
    parts = {name: part["pid"] for name, part in up.server["parts"].items()}
    backends = Path(f"/proc/{parts['postgres']}/task/{parts['postgres']}/children").read_text().split()
    assert backends
    assert {os.sched_getscheduler(pid) for pid in (*parts.values(), *map(int, backends))} == {os.SCHED_BATCH}
    assert os.sched_getscheduler(up.process.pid) == os.SCHED_OTHER


def test_every_function_is_reached_through_the_front_door(up: Running) -> None:
    """By name, as on OpenFaaS, with the prefix taken off."""
    for name in FUNCTIONS:
        assert up.ask("GET", f"/function/{name}/_/health")[0] == 200
        assert up.ask("POST", f"/function/{name}")[0] in (200, 202)
    assert up.ask("GET", "/api/v1/tasks", token=up.token())[0] == 200
    assert up.ask("GET", "/api/v1/tasks")[0] == 401


def test_the_minute_runs_schedule_although_nobody_waits_for_it(up: Running) -> None:
    """What the supervisor does each minute: a wake whose sender is gone before it has run."""
    log = up.data / "log" / "schedule.log"

    def wakes() -> int:
        return log.read_text().count('"method":"POST","route":"/","status":200')

    before, until = wakes(), time.monotonic() + PATIENCE
    assert knock([up.data / "run" / "schedule.sock"])
    while wakes() == before:
        assert time.monotonic() < until, "it did not run"
        time.sleep(0.05)


def test_secrets_and_sockets_are_their_owners(up: Running) -> None:
    """I11: nobody else on the machine reads a token or reaches a socket."""
    for folder in ("secrets", "run", "log"):
        assert stat.S_IMODE((up.data / folder).stat().st_mode) == 0o700
    for secret in ("admin.token", "signing.key"):
        assert stat.S_IMODE((up.data / "secrets" / secret).stat().st_mode) == 0o600
    for path in (up.data / "run").glob("*.sock"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_nginx_answers_for_itself_with_problems(up: Running) -> None:
    """RFC 9457, also where no function was asked."""
    status, kind, body = up.ask("POST", "/api/v1/tasks", body=b"x" * (21 * 1024 * 1024))
    assert (status, kind) == (413, "application/problem+json")
    assert json.loads(body)["status"] == 413
    status, kind, _ = up.ask("GET", "/api/v1/tasks?q=" + "x" * 20_000)
    assert (status, kind) == (414, "application/problem+json")


def test_a_second_up_is_refused_and_names_the_first(up: Running) -> None:
    """Two on one data folder would be two PostgreSQLs on one cluster."""
    line = refused(up.data)
    assert f"process {up.server['pid']}" in line
    assert "Mend: " in line


def test_a_taken_port_is_refused_with_a_free_one(up: Running, folder: Path) -> None:
    """And nothing is left running."""
    port = up.server["port"]
    line = refused(folder / "other", port=port)
    assert f"port {port} " in line
    assert "./aiw --port" in line
    assert not (folder / "other" / "run" / "server.json").exists()


@pytest.mark.parametrize("part", ["execute-2", "connector", "nginx", "valkey", "postgres"])
def test_a_part_that_is_killed_is_started_again_and_named(up: Running, part: str) -> None:
    """Within a second, and the stack works again."""
    before = up.part(part)
    before.send(signal.SIGKILL)
    assert up.until("fell", part)["how"] == "SIGKILL"
    up.until("restarted", part)
    assert up.part(part) != before
    until = time.monotonic() + 15
    while not works(up):
        assert time.monotonic() < until, "it does not work again"
        time.sleep(0.1)


def test_requests_wait_while_their_function_is_started_again(up: Running) -> None:
    """The supervisor keeps the socket: nobody meets a closed door for the blink that a restart takes."""
    up.part("dashboard").send(signal.SIGKILL)
    assert up.ask("GET", "/function/dashboard/_/health")[0] == 200
    up.until("restarted", "dashboard")


def test_what_a_killed_supervisor_left_is_taken_over(folder: Path) -> None:
    """Killed by -9, it leaves nothing that the next `up` cannot take over from; tokens and data are the same."""
    first = start(folder / "killed")
    left, token = first.parts(), first.token()
    first.process.kill()
    first.process.wait()
    first.out.close()
    second = start(folder / "killed")
    assert alive(list(left.values())) == []
    assert second.token() == token
    assert second.ask("GET", "/api/v1/tasks", token=token)[0] == 200
    assert second.stop(signal.SIGINT) == 0
    second.out.close()


def test_a_stop_drains_and_leaves_nothing(folder: Path) -> None:
    """SIGTERM: exit 0, every process gone, and nothing that says that it runs."""
    running = start(folder / "stopped")
    parts = running.parts()
    assert running.stop(signal.SIGTERM) == 0
    assert running.events[-1]["event"] == "stopped"
    assert [process for process in parts.values() if process.is_alive()] == []
    assert not (running.data / "run" / "server.json").exists()
    running.out.close()


def test_roots_postgres_reaches_its_cluster_wherever_the_data_folder_is(folder: Path) -> None:
    """PostgreSQL refuses root, and its user cannot enter a folder of 0700: the cluster lies behind a link."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    running = start(closed / "data")
    url = urlsplit(running.server["database_url"])
    socket_path = Path(parse_qs(url.query)["unix_sock"][0])
    try:
        if os.geteuid() == 0:
            cluster = (closed / "data" / "postgres").readlink()
            assert cluster.is_relative_to("/var/lib/aiw")
            assert pwd.getpwuid(cluster.stat().st_uid).pw_name == "nobody"
            assert socket_path.parent == cluster
        else:
            assert not (closed / "data" / "postgres").is_symlink()
        owner = identity(running.part("postgres").pid)
        assert owner is not None
    finally:
        assert running.stop() == 0
        running.out.close()
        cluster = (closed / "data" / "postgres").resolve()
        if cluster.is_relative_to("/var/lib/aiw"):
            subprocess.run(["rm", "-r", cluster], check=True)


def test_a_newer_data_folder_is_refused(folder: Path) -> None:
    """An older version never touches what a newer one wrote."""
    data = folder / "newer"
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "PG_VERSION").write_text("99\n")
    line = refused(data)
    assert "PostgreSQL 99" in line
    assert "AIW_POSTGRES_BIN" in line
