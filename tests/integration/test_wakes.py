"""Both ends of the wakes' stream on a real Valkey, and the client that posts wakes."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from common.adapters.redis.notifier import STREAM, NoNotifier, RedisNotifier
from common.adapters.redis.wakes import RedisWakes, WakesUnavailable
from common.adapters.wake_client import WakeClient, WakeError
from common.api import WakeAnswer
from common.telemetry import configure_logging
from tests.wakes import Door, Valkey, door, valkey

__all__ = ["door", "valkey"]  # fixtures


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
    notifier.close()  # what was sent has arrived
    assert entries(valkey) == [b"aiw.task.queued aiw.task.finished"] * 400


def test_the_stream_does_not_grow_for_ever(valkey: Valkey) -> None:
    """Without any connector the stream keeps about ten thousand entries."""
    notifier = RedisNotifier(valkey.url, "execute")
    for _ in range(11_000):
        notifier.publish(["aiw.task.queued"])
    notifier.close()
    assert 9_900 < valkey.client().xlen(STREAM) < 10_500


def test_a_restarted_valkey_loses_no_wake_of_a_connected_notifier(valkey: Valkey) -> None:
    """A connection that died with the old server is replaced within the same call."""
    notifier = RedisNotifier(valkey.url, "execute")
    notifier.publish(["aiw.task.queued"])
    valkey.kill()
    valkey.start()
    notifier.publish(["aiw.task.finished"])
    notifier.close()
    assert entries(valkey) == [b"aiw.task.finished"]


def test_a_redis_that_refuses_wakes_is_noticed_and_taken_again(
    valkey: Valkey, capfd: pytest.CaptureFixture[str]
) -> None:
    """Replies are read late, but read: an error is said once, and wakes go on when it has passed."""
    configure_logging()
    now = [100.0]
    notifier = RedisNotifier(valkey.url, "execute", monotonic=lambda: now[0])
    notifier.publish(["aiw.task.queued"])
    valkey.client().delete(STREAM)
    valkey.client().set(STREAM, "somebody's own")
    for _ in range(5):
        notifier.publish(["aiw.task.queued"])
        now[0] += 1.1
        time.sleep(0.02)
    assert capfd.readouterr().err.count("wakes_not_published") == 1
    valkey.client().delete(STREAM)
    notifier.publish(["aiw.task.finished"])
    notifier.close()
    assert entries(valkey) == [b"aiw.task.finished"]


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
