"""Who may ask a server that hangs, without a server; and what pg8000 meets where the kernel ended a wait."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from common.adapters.postgres.silence import PAUSE, TRY, Silence
from common.adapters.postgres.wire import bounded, cut, cut_if_it_breaks, ran_out
from common.core.errors import StoreUnavailable


@dataclass
class Clock:
    """Seconds."""

    at: float = 0.0

    def now(self) -> float:
        """Now."""
        return self.at


@dataclass
class Raw:
    """As much of pg8000's connection as its socket needs."""

    _usock: socket.socket
    _sock: io.BufferedRWPair | None = field(default=None)


@pytest.fixture
def pair() -> Iterator[tuple[Raw, socket.socket]]:
    """A connection that waits a twentieth of a second, and the server's end, which says nothing by itself."""
    near, far = socket.socketpair()
    with near, far:
        raw = Raw(near)
        bounded(raw, 0.05)
        yield raw, far


def test_while_nothing_is_known_against_it_a_connection_may_take_the_limit() -> None:
    """Also several at once."""
    silence = Silence(20, Clock().now)
    assert [silence.patience() for _ in range(3)] == [20, 20, 20]


def test_while_it_hangs_one_caller_tries_for_a_moment_and_the_others_are_told() -> None:
    """However many come: one in three seconds waits, and nobody longer than a try."""
    clock = Clock()
    silence = Silence(20, clock.now)
    silence.begins()
    waited: list[float] = []
    for _ in range(100):
        clock.at += 0.1
        try:
            waited.append(silence.patience())
        except StoreUnavailable:
            continue
        clock.at += TRY  # nobody answered it
        silence.begins()
    assert set(waited) == {TRY}
    assert len(waited) == 9  # 100 callers, each a tenth of a second after the one before


def test_a_try_that_never_comes_back_does_not_keep_the_others_out() -> None:
    """The process's thread may be gone: after the time that a try takes, somebody else may."""
    clock = Clock()
    silence = Silence(20, clock.now)
    silence.begins()
    clock.at += PAUSE
    assert silence.patience() == TRY
    clock.at += TRY
    with pytest.raises(StoreUnavailable):
        silence.patience()
    clock.at += PAUSE
    assert silence.patience() == TRY


def test_an_answer_ends_it() -> None:
    """As if it had never been."""
    silence = Silence(20, Clock().now)
    silence.begins()
    silence.ends()
    assert silence.patience() == 20


def test_a_wait_for_an_answer_that_the_kernel_ended_is_an_error(pair: tuple[Raw, socket.socket]) -> None:
    """And not None, which pg8000 would take for the answer."""
    raw, far = pair
    assert raw._sock is not None
    far.sendall(b"half")
    with pytest.raises(BlockingIOError) as caught:
        raw._sock.read(5)
    assert ran_out(caught.value)


def test_a_wait_for_room_that_the_kernel_ended_is_an_error(pair: tuple[Raw, socket.socket]) -> None:
    """A buffer would take EAGAIN for "later"."""
    raw, _ = pair
    assert raw._sock is not None
    with pytest.raises(TimeoutError) as caught:
        raw._sock.write(b"x" * 10_000_000)
    assert ran_out(caught.value)


def test_what_is_written_and_read_is_whole(pair: tuple[Raw, socket.socket]) -> None:
    """In pieces, and through the buffers."""
    raw, far = pair
    stream = raw._sock
    assert stream is not None
    stream.write(b"ask")
    stream.flush()
    assert far.recv(10) == b"ask"
    far.sendall(b"answer" * 10_000)
    assert stream.read(60_000) == b"answer" * 10_000


def test_a_connection_that_is_cut_takes_no_farewell(pair: tuple[Raw, socket.socket]) -> None:
    """Or the farewell would wait for the server once more; cutting it again does nothing."""
    raw, far = pair
    assert raw._sock is not None
    with pytest.raises(ZeroDivisionError), cut_if_it_breaks(raw):
        raise ZeroDivisionError
    assert far.recv(1) == b""
    raw._sock.write(b"X")
    with pytest.raises(BrokenPipeError):
        raw._sock.flush()
    far.close()
    cut(raw)


@pytest.mark.parametrize(
    ("cause", "hangs"),
    [(TimeoutError("no packet"), True), (BlockingIOError(11, "again"), True), (ConnectionResetError(), False)],
)
def test_a_wait_is_known_under_what_pg8000_makes_of_it(cause: Exception, hangs: bool) -> None:  # noqa: FBT001 - a case's fact
    """It says "network error", of its cause."""
    made = OSError("network error")
    made.__cause__ = cause
    assert ran_out(made) is hangs
