"""A real PostgreSQL for whoever asks: one server a session, a migrated template, a clone for each test that wants one.

Lazy: a test that asks for none of these fixtures starts nothing.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from common.adapters.postgres.answers import PostgresAnswers
from common.adapters.postgres.approvals import PostgresApprovals
from common.adapters.postgres.batches import PostgresBatches
from common.adapters.postgres.budget import PostgresBudget
from common.adapters.postgres.connection import Database
from common.adapters.postgres.costs import PostgresCosts
from common.adapters.postgres.migrations import migrate
from common.adapters.postgres.people import PostgresPeople
from common.adapters.postgres.queue import PostgresQueue
from common.adapters.postgres.reads import PostgresReads
from common.adapters.postgres.workspace import PostgresWorkspace
from common.core.errors import StoreUnavailable
from common.ports import Role
from infra.local.folder import open_folder
from infra.local.postgres import SETTINGS, Cluster, place, prepare
from tests.contract.ground import Ground, Member, secret

TEMPLATE = "template_aiw"
_numbers = itertools.count(1)

# Every stored time but those of history, which nobody may change.
ELAPSE = (
    (
        "UPDATE tasks SET next_check_at = next_check_at - $1::interval, wait_until = wait_until - $1::interval, "
        "not_before = not_before - $1::interval, deadline = deadline - $1::interval RETURNING 1"
    ),
    "UPDATE approvals SET expires_at = expires_at - $1::interval, valid_until = valid_until - $1::interval RETURNING 1",
    "UPDATE step_attempts SET begun_at = begun_at - $1::interval, must_end_by = must_end_by - $1::interval RETURNING 1",
    "UPDATE tokens SET expires_at = expires_at - $1::interval RETURNING 1",
    "UPDATE idempotency_keys SET created_at = created_at - $1::interval RETURNING 1",
    (
        "UPDATE calls SET deadline = deadline - $1::interval, created_at = created_at - $1::interval, "
        "poll_at = poll_at - $1::interval RETURNING 1"
    ),
    (
        "UPDATE analysis_cache SET created_at = created_at - $1::interval, hit_at = hit_at - $1::interval, "
        "asked_until = asked_until - $1::interval RETURNING 1"
    ),
)


@dataclass
class Server:
    """A running cluster of a test session's own."""

    cluster: Cluster
    process: subprocess.Popen[bytes]

    def url(self, database: str) -> str:
        """The owner's URL."""
        return self.cluster.url_of(database)

    def start(self) -> None:
        """Start it again, after `kill`; returns when it answers."""
        self.process = _start(self.cluster)

    def kill(self) -> None:
        """End it and all of its backends at once, as a power cut would."""
        self.process.kill()
        self.process.wait()
        prepare(self.cluster)


def _start(cluster: Cluster) -> subprocess.Popen[bytes]:
    options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    uid, gid = cluster.user or (None, None)
    with cluster.log.open("ab") as log:
        process = subprocess.Popen(
            [
                cluster.programs / "postgres",
                "-D",
                cluster.data,
                *options,
                "-c",
                f"unix_socket_directories={cluster.sockets}",
            ],
            cwd="/",
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            umask=0o077,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    database = Database(cluster.url_of("postgres"), pool_size=1)
    until = time.monotonic() + 20
    while True:
        try:
            database.run("SELECT 1")
        except StoreUnavailable:
            if time.monotonic() > until or process.poll() is not None:
                raise
            time.sleep(0.02)
        else:
            database.close()
            return process


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One server for the session, and a migrated template in it."""
    # Short: a socket's path has at most 107 bytes. Reachable: as root the server runs as nobody. In memory where
    # there is
    # such a place: every commit is still synced, it only costs nothing.
    home = next(path for path in ("/dev/shm", "/tmp") if os.access(path, os.W_OK))
    with tempfile.TemporaryDirectory(prefix="aiw-pg-", dir=home) as folder:
        Path(folder).chmod(0o711)
        cluster = place(open_folder(Path(folder)))
        prepare(cluster)
        server = Server(cluster, _start(cluster))
        try:
            postgres = Database(server.url("postgres"), pool_size=1)
            postgres.run(f"CREATE DATABASE {TEMPLATE}")
            migrate(server.url(TEMPLATE))
            postgres.close()
            yield server
        finally:
            server.process.send_signal(signal.SIGINT)
            try:
                server.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(server.process.pid, signal.SIGKILL)
                server.process.wait()
            if cluster.data.parent != Path(folder):  # it had to lie where nobody can reach it: under /var/lib
                subprocess.run(["rm", "-rf", "--", cluster.data], check=True)


@dataclass(frozen=True)
class Place:
    """A database of a test's own, as seen by each role."""

    url: str
    owner: Database
    app: Database
    approve: Database


def clone(server: Server) -> Iterator[Place]:
    """A fresh clone of the template; dropped at the end."""
    name = f"t{os.getpid()}_{next(_numbers)}"
    postgres = Database(server.url("postgres"), pool_size=1)
    postgres.run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    postgres.close()  # the test may kill the server
    url = server.url(name)
    made = Place(url, Database(url), Database(url, "aiw_app", 24), Database(url, "aiw_approve"))
    try:
        yield made
    finally:
        for database in (made.owner, made.app, made.approve):
            database.close()
        postgres.run(f"DROP DATABASE {name} WITH (FORCE)")
        postgres.close()


@pytest.fixture(scope="module")
def postgres_module(postgres_server: Server) -> Iterator[Place]:
    """A database for one test module."""
    yield from clone(postgres_server)


@pytest.fixture
def postgres_database(postgres_server: Server) -> Iterator[Place]:
    """A database for one test."""
    yield from clone(postgres_server)


@pytest.fixture
def postgres_ground(postgres_database: Place) -> Ground:
    """The PostgreSQL adapters over a database of their own; what only `approve` may do is done as `aiw_approve`."""
    return ground_on(postgres_database)


def ground_on(place: Place) -> Ground:
    """Two workspaces and their people in a fresh database."""
    people = PostgresPeople(place.app)
    home, neighbour = _workspace(place, "home"), _workspace(place, "neighbour")

    def now() -> datetime:
        [[time]] = place.owner.run("SELECT clock_timestamp()")
        return datetime.fromisoformat(str(time))

    def elapse(span: timedelta) -> None:
        for sql in ELAPSE:
            place.owner.run(sql, f"{span.total_seconds()} s")

    return Ground(
        queue=PostgresQueue(place.app),
        approvals=PostgresApprovals(place.approve),
        workspace=PostgresWorkspace(place.app),
        people=people,
        budget=PostgresBudget(place.app),
        costs=PostgresCosts(place.app),
        batches=PostgresBatches(place.app),
        answers=PostgresAnswers(place.app),
        reads=PostgresReads(place.app),
        home=home,
        neighbour=neighbour,
        now=now,
        elapse=elapse,
        asks=_member(people, home, "Ada", "operator"),
        decides=_member(people, home, "Bo", "approver"),
        rules=_member(people, home, "Cy", "admin"),
        outsider=_member(people, neighbour, "Dee", "operator"),
    )


def _workspace(place: Place, name: str) -> UUID:
    [[made]] = place.owner.run("INSERT INTO workspaces (name) VALUES ($1) RETURNING id", name)
    return UUID(str(made))


def _member(people: PostgresPeople, home: UUID, name: str, role: Role) -> Member:
    person = people.add_person(home, name, role)
    token = secret(name)
    people.issue(home, person.id, "api", token, None)
    return Member(person=person, token=token)
