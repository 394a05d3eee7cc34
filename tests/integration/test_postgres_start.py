"""A database's beginning and its bad days: migrations by several at once, the first start, a server that was killed."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

from common.adapters.postgres.bootstrap import first_start, sign_in_code
from common.adapters.postgres.connection import SCHEMA, Database
from common.adapters.postgres.migrations import migrate
from common.adapters.postgres.people import PostgresPeople
from common.adapters.postgres.workspace import PostgresWorkspace
from common.auth import code_hash, sha256_of
from common.config import Settings, WrongSettingError
from common.core.errors import SchemaTooNew, SchemaTooOld, StoreUnavailable, Unfit
from common.core.policy import Host
from common.core.task import Risk
from tests.postgres import Server, clone, ground_on

VERSION = f"{SCHEMA:04d}"
MIGRATE = "import sys; from common.adapters.postgres.migrations import migrate; print(migrate(sys.argv[1]))"
_numbers = itertools.count(1)


@pytest.fixture
def empty(postgres_server: Server) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    name = f"e{os.getpid()}_{next(_numbers)}"
    with contextlib.closing(Database(postgres_server.url("postgres"), pool_size=1)) as postgres:
        postgres.run(f"CREATE DATABASE {name}")
        yield postgres_server.url(name)
        postgres.run(f"DROP DATABASE {name} WITH (FORCE)")


def test_four_processes_may_migrate_at_once(empty: str) -> None:
    """Replicas start together: each finds the schema there when it is through."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, empty], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    said = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert [out.strip() for out, _ in said] == [VERSION] * 4
    with contextlib.closing(Database(empty, pool_size=1)) as database:
        database.ready()
        assert database.run("SELECT version_num FROM alembic_version") == [[VERSION]]


def test_migrating_twice_changes_nothing(empty: str) -> None:
    """`./aiw up` migrates at every start."""
    assert migrate(empty) == VERSION
    with contextlib.closing(Database(empty, pool_size=1)) as database:
        before = database.run("SELECT xmin::text FROM meta")
        assert migrate(empty) == VERSION
        assert database.run("SELECT xmin::text FROM meta") == before


def test_a_function_only_checks_the_schema(empty: str) -> None:
    """Too old says how to mend it; too new is refused, by the function and by the migration."""
    with contextlib.closing(Database(empty, pool_size=1)) as database:
        with pytest.raises(SchemaTooOld, match=r"\./aiw migrate"):
            database.ready()
        migrate(empty)
        database.ready()
        database.run("UPDATE meta SET schema_version = $1::int, min_code = $1::int", str(SCHEMA + 1))
        with pytest.raises(SchemaTooNew):
            database.ready()
        with pytest.raises(SchemaTooNew):
            migrate(empty)


def test_no_server_is_said_so() -> None:
    """Nobody listens: StoreUnavailable, with the driver's error as its cause."""
    database = Database("postgresql://aiw@/aiw?host=/nowhere", pool_size=1)
    with pytest.raises(StoreUnavailable) as caught:
        database.ready()
    assert caught.value.__cause__ is not None
    with pytest.raises(StoreUnavailable):
        migrate("postgresql://aiw@/aiw?host=/nowhere")


def test_a_fresh_installation_has_one_admin_and_the_environments_settings(empty: str) -> None:
    """The first start makes them; a later one changes neither, whatever the environment says by then."""
    migrate(empty)
    first = first_start(empty, Settings(autorun=Risk.MEDIUM, hosts="api.example.com, 127.0.0.1:9100;idempotent"))
    again = first_start(empty, Settings(autorun=Risk.CRITICAL))
    assert first.admin_token is not None
    assert first.admin_token.startswith("aiw_")
    assert (again.admin_token, again.workspace, again.person) == (None, first.workspace, first.person)
    with contextlib.closing(Database(empty, "aiw_app", 1)) as database:
        principal = PostgresPeople(database).principal(sha256_of(first.admin_token))
        assert principal is not None
        assert (principal.person, principal.role) == (first.person, "admin")
        policy = PostgresWorkspace(database).policy(first.workspace)
        assert (policy.autorun, policy.self_approval) == (Risk.MEDIUM, True)
        assert policy.hosts == (Host(name="api.example.com"), Host(name="127.0.0.1", port=9100, idempotent=True))


def test_an_admin_whose_token_could_not_be_kept_does_not_exist(empty: str) -> None:
    """The secret is kept before the commit: a full disk leaves no admin whom nobody can be."""
    migrate(empty)

    def full(_: str) -> None:
        raise ValueError("no space left on device")

    with pytest.raises(ValueError, match="no space"):
        first_start(empty, Settings(), full)
    kept: list[str] = []
    assert first_start(empty, Settings(), kept.append).admin_token == kept[0]


def test_a_second_owner_is_told_how_to_get_the_roles(postgres_server: Server) -> None:
    """Roles belong to the whole server: who did not make them is lent them by one command, which the refusal names."""
    postgres = Database(postgres_server.url("postgres"), pool_size=1)
    postgres.run("CREATE ROLE second_owner LOGIN CREATEROLE")
    postgres.run("CREATE DATABASE second_one OWNER second_owner")
    url = postgres_server.url("second_one").replace("aiw@", "second_owner@", 1)
    try:
        with pytest.raises(Unfit, match=r"GRANT (?P<roles>[a-z_, ]+) TO second_owner WITH ADMIN OPTION") as refused:
            migrate(url)
        postgres.run(str(refused.value).partition(" run ")[2])
        assert migrate(url) == VERSION
    finally:
        postgres.run("DROP DATABASE second_one WITH (FORCE)")
        postgres.run("DROP ROLE second_owner")
        postgres.close()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"hosts": "http://api.example.com/"}, "^AIW_HOSTS: .*names no host"),
        ({"functions": "ocr"}, "^AIW_FUNCTIONS: .*name=url"),
        ({"tz": "Mars"}, "^AIW_TZ: .*Asia/Seoul"),
        ({"channels": "ops=https://hooks.example.com/x", "notify": "opps"}, "^AIW_NOTIFY: .*no channel 'opps'"),
    ],
)
def test_a_wrong_environment_is_named_and_stores_nothing(empty: str, wrong: dict[str, str], said: str) -> None:
    """A value that cannot be read, or would have nobody hear of what waits, stops the first start by its name."""
    migrate(empty)
    with pytest.raises(WrongSettingError, match=said):
        first_start(empty, Settings(**wrong))  # type: ignore[arg-type]  # - a test's own values
    assert first_start(empty, Settings()).admin_token is not None


def test_a_sign_in_code_works_as_it_is_typed(empty: str) -> None:
    """What `./aiw login` prints, the sign-in page redeems."""
    migrate(empty)
    first_start(empty, Settings())
    code = sign_in_code(empty)
    assert code_hash(f" {code.lower()} ") == code_hash(code)
    with contextlib.closing(Database(empty, "aiw_app", 1)) as database:
        people = PostgresPeople(database)
        assert people.redeem(code_hash(code), "5" * 64, timedelta(days=1)) is not None
        assert people.redeem(code_hash(code), "6" * 64, timedelta(days=1)) is None


def test_a_killed_server_costs_one_error_and_no_task(postgres_server: Server) -> None:
    """I1: kill -9 and restart: what was acknowledged is there, and the next call works by itself."""
    for place in clone(postgres_server):
        ground = ground_on(place)
        kept = ground.submit()
        postgres_server.kill()
        with pytest.raises(StoreUnavailable):
            ground.get(kept.id)
        postgres_server.start()
        with contextlib.suppress(StoreUnavailable):  # a connection that the pool had before
            ground.get(kept.id)
        assert ground.get(kept.id).state is kept.state
        assert ground.kinds(kept) == ["submitted"]
