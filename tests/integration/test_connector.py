"""Wakes on a real Valkey and real sockets: publish, carry, lose, wipe, restart, stop."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis

from common.adapters.redis.notifier import STREAM, NoNotifier, RedisNotifier
from common.adapters.redis.wakes import RedisWakes, WakesUnavailable
from common.adapters.wake_client import WakeClient, WakeError
from common.api import WakeAnswer
from common.routes import FUNCTIONS
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


@pytest.fixture
def connector(valkey: Valkey, door: Door) -> Iterator[subprocess.Popen[bytes]]:
    """The connector's real process, once it has woken everybody."""
    environment = {**os.environ, "AIW_REDIS_URL": valkey.url, "AIW_FUNCTION_URL": door.url}
    process = subprocess.Popen([sys.executable, "-m", "common.connector"], env=environment, stderr=subprocess.PIPE)
    until(lambda: len(door.seen) >= len(FUNCTIONS))
    yield process
    process.kill()
    process.communicate()


def test_a_published_wake_reaches_the_function_as_a_cloudevent(
    valkey: Valkey, door: Door, connector: subprocess.Popen[bytes]
) -> None:
    """From XADD to `POST /function/execute/` with CloudEvents 1.0 binary headers; all five were woken at the start."""
    assert connector.poll() is None
    assert sorted(door.names()) == sorted(FUNCTIONS)
    RedisNotifier(valkey.url, "analyze").publish(["aiw.task.queued"])
    until(lambda: "aiw.task.queued" in door.kinds())
    path, headers = door.seen[-1]
    assert path == "/function/execute/"
    assert headers["ce-specversion"] == "1.0"
    assert headers["ce-source"]
    assert len({h["ce-id"] for _, h in door.seen}) == len(door.seen)


def test_a_burst_is_absorbed(valkey: Valkey, door: Door, connector: subprocess.Popen[bytes]) -> None:
    """Thousands of wakes cost a handful of requests, the last of them after the last wake."""
    assert connector.poll() is None
    door.hold = 0.02
    notifier = RedisNotifier(valkey.url, "analyze")
    for _ in range(3000):
        notifier.publish(["aiw.task.queued"])
    seen = len(door.seen)
    until(lambda: len(door.seen) > seen or door.kinds().count("aiw.task.queued") > 0)
    time.sleep(0.2)
    assert 0 < door.kinds().count("aiw.task.queued") < 300


def test_a_wiped_stream_wakes_everybody_and_goes_on(
    valkey: Valkey, door: Door, connector: subprocess.Popen[bytes]
) -> None:
    """I1: FLUSHALL takes stream and group; the functions are woken and the next wake arrives."""
    before = len(door.seen)
    valkey.client().flushall()
    until(lambda: len(door.seen) >= before + len(FUNCTIONS))
    valkey.client().xadd(STREAM, {"garbage": b"\xff\x00"})
    valkey.client().xadd(STREAM, {"kinds": b"\xff nonsense"})
    RedisNotifier(valkey.url, "analyze").publish(["aiw.task.manual"])
    until(lambda: door.kinds().count("aiw.task.manual") == 3)
    assert connector.poll() is None


def test_a_killed_valkey_costs_only_time(valkey: Valkey, door: Door, connector: subprocess.Popen[bytes]) -> None:
    """I1: while it is away everybody is woken by the clock; when it is back, wakes are carried again."""
    before = len(door.seen)
    valkey.kill()
    until(lambda: len(door.seen) >= before + len(FUNCTIONS))
    valkey.start()
    notifier = RedisNotifier(valkey.url, "analyze")

    def carried() -> bool:
        notifier.publish(["aiw.task.queued"])
        time.sleep(0.05)
        return "aiw.task.queued" in door.kinds()

    until(carried)
    assert connector.poll() is None


def test_sigterm_ends_it_after_what_is_in_flight(
    valkey: Valkey, door: Door, connector: subprocess.Popen[bytes]
) -> None:
    """The request in flight is answered, the exit code is 0, and its own lines are JSON."""
    until(lambda: door.ended == len(door.seen))
    door.hold = 0.4
    RedisNotifier(valkey.url, "analyze").publish(["aiw.task.queued"])
    until(lambda: "aiw.task.queued" in door.kinds())
    connector.send_signal(signal.SIGTERM)
    _, lines = connector.communicate(timeout=10)
    assert connector.returncode == 0
    assert door.ended == len(door.seen)
    assert b'"event":"connector_stopped"' in lines


# --- the notifier ---------------------------------------------------------------------------------------------------


def entries(valkey: Valkey) -> list[object]:
    """The kinds of every entry on the stream, in order."""
    found: object = valkey.client().xrange(STREAM)
    assert isinstance(found, list)
    return [fields[b"kinds"] for _, fields in found]


def test_many_threads_publish_through_one_notifier(valkey: Valkey) -> None:
    """One XADD a call, from any thread, with all kinds of the call in one entry."""
    notifier = RedisNotifier(valkey.url, "execute")

    def fifty() -> None:
        for _ in range(50):
            notifier.publish(["aiw.task.queued", "aiw.task.finished"])

    threads = [threading.Thread(target=fifty) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert entries(valkey) == [b"aiw.task.queued aiw.task.finished"] * 400
    notifier.close()


def test_the_stream_does_not_grow_for_ever(valkey: Valkey) -> None:
    """Without any connector the stream keeps about ten thousand entries."""
    notifier = RedisNotifier(valkey.url, "execute")
    for _ in range(11_000):
        notifier.publish(["aiw.task.queued"])
    assert valkey.client().xlen(STREAM) < 10_500
    notifier.close()


def test_a_restarted_valkey_loses_no_wake_of_a_connected_notifier(valkey: Valkey) -> None:
    """A connection that died with the old server is replaced within the same call."""
    notifier = RedisNotifier(valkey.url, "execute")
    notifier.publish(["aiw.task.queued"])
    valkey.kill()
    valkey.start()
    notifier.publish(["aiw.task.finished"])
    assert entries(valkey) == [b"aiw.task.finished"]
    notifier.close()


def test_a_silent_redis_costs_half_a_second_once_a_second() -> None:
    """A Redis that accepts and says nothing: publish never raises, and only one call a second tries."""
    now = [100.0]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        notifier = RedisNotifier(f"redis://127.0.0.1:{silent.getsockname()[1]}", "analyze", monotonic=lambda: now[0])
        began = time.monotonic()
        notifier.publish(["aiw.task.received"])
        first = time.monotonic() - began
        began = time.monotonic()
        for _ in range(1000):
            notifier.publish(["aiw.task.received"])
        rest = time.monotonic() - began
        now[0] += 1.5
        began = time.monotonic()
        notifier.publish(["aiw.task.received"])
        again = time.monotonic() - began
        notifier.close()
    assert 0.3 < first < 3
    assert rest < 0.3
    assert 0.3 < again < 3


def test_no_redis_and_a_wrong_address_are_borne() -> None:
    """A lost wake costs a minute, never an error: nobody there, an address that is none, none at all."""
    RedisNotifier("unix:///nonexistent/aiw.sock", "analyze").publish(["aiw.task.received"])
    RedisNotifier("nonsense://", "analyze").publish(["aiw.task.received"])
    NoNotifier().publish(["aiw.task.received"])


def test_the_reading_end_says_when_redis_is_away() -> None:
    """The connector is told, so that it wakes everybody by the clock."""

    async def read() -> None:
        wakes = RedisWakes("unix:///nonexistent/aiw.sock")
        try:
            await wakes.read()
        finally:
            await wakes.close()

    with pytest.raises(WakesUnavailable):
        asyncio.run(read())


# --- the client -----------------------------------------------------------------------------------------------------


def posted(door: Door, times: int = 1) -> list[WakeAnswer | None]:
    """What `times` wakes in a row answer."""

    async def post() -> list[WakeAnswer | None]:
        client = WakeClient(door.url, timeout=5)
        try:
            return [await client.post("execute", "aiw.wake") for _ in range(times)]
        finally:
            client.close()

    return asyncio.run(post())


def test_wakes_share_a_kept_connection(door: Door) -> None:
    """A hundred wakes in a row need one connection, and each answer is read as its own."""
    assert posted(door, 100) == [WakeAnswer(claimed=1, done=1, more=False, wake_in_ms=None)] * 100
    assert door.connections == 1


def test_joined_and_foreign_answers_are_no_errors(door: Door) -> None:
    """202 is a wake that joined a loop; a 200 of another make was awake all the same."""
    door.status = 202
    assert posted(door) == [None]
    door.status, door.body = 200, b"OK"
    assert posted(door) == [None]


@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_an_error_status_is_an_error(door: Door, status: int) -> None:
    """The connector must knock again."""
    door.status = status
    with pytest.raises(WakeError, match=f"status_{status}"):
        posted(door)


def test_a_huge_answer_and_no_answer_are_errors(door: Door) -> None:
    """A function that answers with megabytes, or is not there, is asked again later."""
    door.body = b"x" * 1_000_000
    with pytest.raises(WakeError, match="too_large"):
        posted(door)
    door.server.shutdown()
    door.server.server_close()
    with pytest.raises((WakeError, OSError)):
        posted(door)
