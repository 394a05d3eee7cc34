"""Wakes on a real Valkey and real sockets: published, carried, lost, wiped, and an end when told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from common.adapters.redis.notifier import STREAM, RedisNotifier
from common.routes import FUNCTIONS
from tests.wakes import Door, Valkey, door, until, valkey

__all__ = ["door", "valkey"]  # fixtures


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
