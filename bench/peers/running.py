"""A peer while it is measured: its workers' processes, and how its chains are submitted and counted."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

import redis

from bench.processes import cpu_by_part, pss_by_part, spent_since
from bench.product import Idle, Latency, Throughput
from bench.stack import ROOT, Servers, Stack

VALUE: Final[Mapping[str, Any]] = {"order": 4711, "ok": True}
SECONDS_TO_FINISH: Final = 120.0
LOOK_SECONDS: Final = 0.02


class Chains(Protocol):
    """What a peer's library does, in the process that submits."""

    def submit(self, number: int) -> object:
        """Hand in one chain of two; what `wait` takes."""

    def finished(self) -> int:
        """How many chains have their result stored, since it began."""

    def wait(self, submitted: object) -> None:
        """Return once this chain's result is stored."""


@dataclass(frozen=True, slots=True)
class Peer:
    """How one is started. `environment`: where its broker and results are. `prepare`: once, before its workers."""

    name: str
    command: Sequence[str]
    environment: Callable[[Servers], Mapping[str, str]]
    chains: Callable[[Servers], Chains]
    prepare: Callable[[Stack], None]


class Running:
    """A peer with its workers. Use as a context manager."""

    def __init__(self, peer: Peer, stack: Stack) -> None:
        """`stack`: whose PostgreSQL and Valkey it uses, in databases of its own."""
        self.name = peer.name
        self._peer = peer
        self._servers = stack.servers
        peer.prepare(stack)
        self._environment = dict(peer.environment(stack.servers))
        os.environ.update(self._environment)
        self._log = Path(tempfile.mkdtemp(prefix=f"aiw-bench-{peer.name}-")) / "log"
        self._workers: subprocess.Popen[bytes] | None = None
        self._submitted = 0
        self._chains = peer.chains(stack.servers)

    def __enter__(self) -> Self:
        """Start the workers, and wait until they finish a first chain. RuntimeError says why they do not."""
        environment = {**os.environ, **self._environment, "PYTHONPATH": str(ROOT)}
        with self._log.open("wb") as log:
            self._workers = subprocess.Popen(
                [sys.executable, "-m", *self._peer.command],
                cwd=self._log.parent, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        try:
            self.throughput(1)
        except BaseException:
            # Whoever enters in vain does not leave: the workers would stay.
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers."""
        # Results that nobody waits for say goodbye to their server, which may be gone later.
        gc.collect()
        if self._workers is not None:
            self._workers.send_signal(signal.SIGTERM)
            try:
                self._workers.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self._workers.pid, signal.SIGKILL)
                self._workers.wait()
        self._log.unlink(missing_ok=True)
        self._log.parent.rmdir()

    def throughput(self, chains: int) -> Throughput:
        """Submit so many one after the other, as fast as one process can, until the last result is stored."""
        before = self._chains.finished()
        own, began = time.process_time(), time.monotonic()
        for _ in range(chains):
            self._submit()
        client = time.process_time() - own
        while self._chains.finished() - before < chains:
            if self._workers is not None and self._workers.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {self._log.read_text(errors='replace')[-500:]}")
            if time.monotonic() - began > SECONDS_TO_FINISH:
                raise RuntimeError(f"{self.name}: {chains} chains have not ended after {SECONDS_TO_FINISH:.0f} s")
            time.sleep(LOOK_SECONDS)
        return Throughput(chains, time.monotonic() - began, client=client * 1e6 / chains)

    def one_at_a_time(self, chains: int) -> Latency:
        """From submitting one to having its result, the next when the last is there."""
        samples = []
        for _ in range(chains):
            began = time.perf_counter()
            self._chains.wait(self._submit())
            samples.append((time.perf_counter() - began) * 1000)
        return Latency(samples)

    def idle(self, seconds: float) -> Idle:
        """Of its workers alone: the servers are shared with ours."""
        if self._workers is None:
            raise RuntimeError(f"{self.name} does not run")
        roots = {"workers": self._workers.pid}
        before, began = cpu_by_part(roots), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        spent = spent_since(before, cpu_by_part(roots))
        return Idle({name: 100 * cpu / took for name, cpu in spent.items()}, pss_by_part(roots))

    def _submit(self) -> object:
        self._submitted += 1
        return self._chains.submit(self._submitted)


# --- Celery ---------------------------------------------------------------------------------------------------------


class CeleryChains:
    """A chain of two; both results are stored, as by default."""

    def __init__(self, servers: Servers) -> None:
        """Results have a Valkey database of their own: its size counts them."""
        from celery import chain  # noqa: PLC0415 - reads the environment that was made for it

        self._app: Any = importlib.import_module("bench.peers.celery_app")
        self._chain: Any = chain
        self._results = redis.Redis.from_url(servers.redis_url(2))

    def submit(self, number: int) -> object:
        """See Chains."""
        del number
        submitted: object = self._chain(self._app.first.s(VALUE), self._app.second.s()).apply_async()
        return submitted

    def finished(self) -> int:
        """See Chains."""
        return int(self._results.dbsize()) // 2

    def wait(self, submitted: Any) -> None:  # noqa: ANN401 - celery's AsyncResult, which has no types
        """See Chains."""
        submitted.get(timeout=30)


def _celery_environment(servers: Servers) -> Mapping[str, str]:
    return {
        "BENCH_BROKER": f"redis+socket://{servers.valkey_socket}?virtual_host=1",
        "BENCH_RESULTS": f"redis+socket://{servers.valkey_socket}?virtual_host=2",
    }


def _empty(*numbers: int) -> Callable[[Stack], None]:
    def prepare(stack: Stack) -> None:
        for number in numbers:
            redis.Redis.from_url(stack.servers.redis_url(number)).flushdb()

    return prepare


CELERY: Final = Peer(
    "celery",
    ("celery", "-A", "bench.peers.celery_app", "worker", "--pool=prefork", "--concurrency=2", "--loglevel=ERROR",
     "--without-gossip", "--without-mingle"),
    _celery_environment, CeleryChains, _empty(1, 2),
)  # fmt: skip


# --- dramatiq -------------------------------------------------------------------------------------------------------


class DramatiqChains:
    """A pipeline of two; both results are stored."""

    def __init__(self, servers: Servers) -> None:
        """As Celery's."""
        import dramatiq  # noqa: PLC0415 - as above

        self._app: Any = importlib.import_module("bench.peers.dramatiq_app")
        self._pipeline: Any = dramatiq.pipeline
        self._results = redis.Redis.from_url(servers.redis_url(4))

    def submit(self, number: int) -> object:
        """See Chains."""
        del number
        submitted: object = self._pipeline([self._app.first.message(dict(VALUE)), self._app.second.message()]).run()
        return submitted

    def finished(self) -> int:
        """See Chains."""
        return int(self._results.dbsize()) // 2

    def wait(self, submitted: Any) -> None:  # noqa: ANN401 - dramatiq's pipeline, loosely typed
        """See Chains."""
        submitted.get_result(block=True, timeout=30_000)


DRAMATIQ: Final = Peer(
    "dramatiq",
    ("dramatiq", "bench.peers.dramatiq_app", "--processes", "2", "--threads", "4"),
    lambda servers: {"BENCH_BROKER": servers.redis_url(3), "BENCH_RESULTS": servers.redis_url(4)},
    DramatiqChains,
    _empty(3, 4),
)


# --- Procrastinate --------------------------------------------------------------------------------------------------

DATABASE: Final = "bench_procrastinate"


class ProcrastinateChains:
    """A job that defers another; the second stores the result."""

    def __init__(self, servers: Servers) -> None:
        """Counted where the results are stored."""
        from procrastinate import App, SyncPsycopgConnector  # noqa: PLC0415 - only installed for measuring

        conninfo = servers.conninfo(DATABASE)
        # An app of its own: the workers' one is asynchronous.
        app: Any = App(connector=SyncPsycopgConnector(conninfo=conninfo))
        app.open()
        self._first: Any = app.configure_task("first", allow_unknown=True)
        psycopg: Any = importlib.import_module("psycopg")
        self._database: Any = psycopg.connect(conninfo, autocommit=True)

    def submit(self, number: int) -> object:
        """See Chains."""
        self._first.defer(number=number, value=dict(VALUE))
        return number

    def finished(self) -> int:
        """See Chains."""
        row = self._database.execute("SELECT count(*) FROM results").fetchone()
        return int(row[0]) if row else 0

    def wait(self, submitted: object) -> None:
        """See Chains. It has no way to wait for a result, so its table is asked every millisecond."""
        while self._database.execute("SELECT 1 FROM results WHERE id = %s", (submitted,)).fetchone() is None:
            time.sleep(0.001)


def _prepare_procrastinate(stack: Stack) -> None:
    owner = stack.owner("postgres")
    owner.run(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    owner.run(f"CREATE DATABASE {DATABASE}")
    owner.close()
    os.environ["BENCH_BROKER"] = stack.servers.conninfo(DATABASE)
    from procrastinate import SyncPsycopgConnector  # noqa: PLC0415 - as above

    module: Any = importlib.import_module("bench.peers.procrastinate_app")
    with module.app.replace_connector(SyncPsycopgConnector(conninfo=stack.servers.conninfo(DATABASE))) as app:
        app.open()
        app.schema_manager.apply_schema()
        app.connector.execute_query(module.RESULTS)
        app.close()


PROCRASTINATE: Final = Peer(
    "procrastinate",
    ("procrastinate", "--app=bench.peers.procrastinate_app.app", "worker", "--concurrency=20"),
    lambda servers: {"BENCH_BROKER": servers.conninfo(DATABASE)},
    ProcrastinateChains,
    _prepare_procrastinate,
)

PEERS: Final = (CELERY, DRAMATIQ, PROCRASTINATE)
