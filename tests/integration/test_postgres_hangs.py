"""A PostgreSQL that hangs is told from one that works by a limit, and costs nobody more than that; then all goes on."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from common.adapters.postgres.connection import Database, Session
from common.adapters.postgres.queue import PostgresQueue
from common.adapters.postgres.silence import PAUSE, TRY
from common.core.errors import StoreUnavailable
from common.ports import Added, AddRefused, NewTask, Submission
from tests.hanging import Swallowing, hanging
from tests.postgres import Place, Server, ground_on

LIMIT = 2.0
SLACK = 1.5  # a busy machine's
MADE = "CREATE TABLE IF NOT EXISTS said (what text)"
SAY = "INSERT INTO said VALUES ($1) RETURNING 1"
SAID = "SELECT count(*) FROM said WHERE what = $1"


@pytest.fixture
def database(postgres_database: Place) -> Iterator[Database]:
    """A pool of one's own with a short limit, and a table."""
    with contextlib.closing(Database(postgres_database.url, pool_size=2, limit=LIMIT)) as made:
        made.run(MADE)
        yield made


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes until `work` says that the database does not answer."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        work()
    return time.monotonic() - began


def until_it_answers(database: Database) -> None:
    """Its next try comes within a pause."""
    until = time.monotonic() + PAUSE + TRY + SLACK
    while True:
        try:
            database.run("SELECT 1")
        except StoreUnavailable:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


def test_a_call_ends_at_the_limit_and_the_next_ones_at_once(postgres_server: Server, database: Database) -> None:
    """Whoever meets the silence first waits for the limit; then nobody does, but for one short try a second."""
    with hanging(postgres_server.cluster.data):
        assert LIMIT <= seconds_of(lambda: database.run("SELECT 1")) < LIMIT + SLACK
        assert seconds_of(lambda: database.run("SELECT 1")) < 0.2
        time.sleep(PAUSE)
        assert seconds_of(lambda: database.run("SELECT 1")) < TRY + SLACK
    until_it_answers(database)


def test_an_answer_that_comes_too_late_is_nobody_elses(postgres_server: Server, database: Database) -> None:
    """The connection is thrown away: what is asked afterwards gets its own answer."""
    with hanging(postgres_server.cluster.data):
        seconds_of(lambda: database.run("SELECT 'first'"))
    until_it_answers(database)
    assert [database.run("SELECT $1", str(number)) for number in range(20)] == [[[str(n)]] for n in range(20)]


def test_what_was_sent_before_the_silence_may_be_done_after_it(postgres_server: Server, database: Database) -> None:
    """I1: the caller is not told that it was done, nor that it was not: as of any connection that breaks there."""
    database.run(SAY, "before")  # prepared: from now on it is one message
    with hanging(postgres_server.cluster.data):
        seconds_of(lambda: database.run(SAY, "late"))
        with pytest.raises(StoreUnavailable):
            database.run(SAY, "never sent")
    until_it_answers(database)
    until = time.monotonic() + 5
    while database.run(SAID, "late") != [[1]]:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert database.run(SAID, "never sent") == [[0]]


def test_a_transaction_whose_commit_was_never_sent_leaves_nothing(postgres_server: Server, database: Database) -> None:
    """I2: silence between two statements: the first is rolled back as soon as the server sees that nobody is there."""
    held = contextlib.ExitStack()

    def work(session: Session) -> None:
        session.run(SAY, "half")
        held.enter_context(hanging(postgres_server.cluster.data))
        session.run(SAY, "half")

    with held:
        assert seconds_of(lambda: database.transact(work)) < LIMIT + SLACK
    until_it_answers(database)
    assert database.run(SAID, "half") == [[0]]


def test_the_same_request_after_the_silence_is_the_same_task(postgres_server: Server, postgres_database: Place) -> None:
    """I1: its first statement is carried out late, beside its second: one of them stores it, both name it."""
    ground = ground_on(postgres_database)
    with contextlib.closing(Database(postgres_database.url, "aiw_app", 4, LIMIT)) as app:
        queue = PostgresQueue(app)
        first, second = ground.new(), ground.new()

        def sent(task: NewTask) -> Added | AddRefused:
            [answer] = queue.add(
                [Submission(token_sha256=ground.asks.token, tasks=(task,), key="k", body_sha256="same")]
            )
            return answer

        queue.add(
            [Submission(token_sha256=ground.asks.token, tasks=(ground.new(),), key="other", body_sha256="other")]
        )  # prepared
        with hanging(postgres_server.cluster.data):
            seconds_of(lambda: sent(first))
        until_it_answers(app)
        answer = sent(second)
        assert isinstance(answer, Added)
        assert answer.ids in {(first.id,), (second.id,)}
        assert sent(ground.new()) == Added(answer.ids, replayed=True)
        assert postgres_database.owner.run("SELECT count(*) FROM tasks") == [[2]]


def test_who_waits_for_a_connection_waits_no_longer_than_the_limit(postgres_server: Server, database: Database) -> None:
    """Twelve callers, two connections: all are told within the limit, and not by turns."""
    with hanging(postgres_server.cluster.data), ThreadPoolExecutor(12) as pool:
        waits = list(pool.map(lambda _: seconds_of(lambda: database.run("SELECT 1")), range(12)))
    assert max(waits) < LIMIT + SLACK
    until_it_answers(database)


def test_a_message_that_nobody_takes_ends_at_the_limit(postgres_server: Server, database: Database) -> None:
    """More than the kernel keeps for the server: sending waits no longer than reading."""
    large = "x" * 5_000_000
    with hanging(postgres_server.cluster.data):
        assert seconds_of(lambda: database.run("SELECT length($1)", large)) < LIMIT + SLACK
    until_it_answers(database)
    assert database.run("SELECT length($1)", large) == [[len(large)]]


def test_a_first_connection_ends_at_the_limit(postgres_server: Server, postgres_database: Place) -> None:
    """A function that starts while the server hangs."""
    with contextlib.closing(Database(postgres_database.url, "aiw_app", 1, LIMIT)) as fresh:
        with hanging(postgres_server.cluster.data):
            assert seconds_of(fresh.ready) < LIMIT + SLACK
        until_it_answers(fresh)
        fresh.ready()


def test_a_network_that_swallows_packets_is_the_same(postgres_server: Server, postgres_database: Place) -> None:
    """Over TCP: the connection stands, and nothing comes; with the network everything goes on."""
    cluster = postgres_server.cluster
    name = postgres_database.url.partition("?")[0].rpartition("/")[2]
    network = Swallowing(cluster.sockets / ".s.PGSQL.5432")
    url = f"postgresql://aiw@127.0.0.1:{network.port}/{name}"
    with contextlib.closing(network), contextlib.closing(Database(url, "aiw_app", 2, LIMIT)) as far:
        far.ready()
        network.swallow()
        assert LIMIT <= seconds_of(lambda: far.run("SELECT 1")) < LIMIT + SLACK
        assert seconds_of(lambda: far.run("SELECT 1")) < 0.2
        network.let_through()
        until_it_answers(far)


def test_over_tcp_the_kernel_looks_after_idle_connections(postgres_server: Server, postgres_database: Place) -> None:
    """No delay for small messages, and a far side that is gone is noticed before a request meets it."""
    name = postgres_database.url.partition("?")[0].rpartition("/")[2]
    network = Swallowing(postgres_server.cluster.sockets / ".s.PGSQL.5432")
    url = f"postgresql://aiw@127.0.0.1:{network.port}/{name}"
    with contextlib.closing(network), contextlib.closing(Database(url, None, 1, LIMIT)) as far:
        wire = far.transact(lambda session: session._raw._usock)
        assert wire.gettimeout() is None  # the kernel's limit, and no `poll` before each `recv`
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == LIMIT
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == LIMIT * 1000


@pytest.mark.parametrize(
    ("held", "sql"),
    [
        ("SELECT 1", "SELECT pg_sleep(30)::text"),
        ("LOCK TABLE said IN ACCESS EXCLUSIVE MODE", "SELECT count(*) FROM said"),
    ],
)
def test_a_server_that_is_well_says_no_before_the_limit(database: Database, held: str, sql: str) -> None:
    """A long statement, a lock: it is the server that refuses, so nothing is in doubt and the connection is kept."""
    locked, done = threading.Event(), threading.Event()

    def hold(session: Session) -> None:
        session.simple(held)
        locked.set()
        done.wait(LIMIT * 5)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(database.transact, hold)
        assert locked.wait(5)
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"statement timeout|lock timeout"):
            database.run(sql)
        assert time.monotonic() - began < LIMIT
        assert database.run("SELECT 1::text") == [["1"]]  # at once: nothing is held against the server
        done.set()
        holding.result()
