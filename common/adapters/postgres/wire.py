"""The socket under a connection: how long it waits for a server that hangs, and what pg8000 reads and writes through.

The kernel counts the time (SO_RCVTIMEO, SO_SNDTIMEO). Python's own timeouts would make the socket non-blocking, with a
`poll` before each `recv`: one system call more a statement.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
from collections.abc import Iterator
from struct import pack
from typing import Any, Final

# What a wait that the kernel ended looks like: EAGAIN of a blocking socket, the same under TLS, ETIMEDOUT of TCP.
RAN_OUT: Final = (TimeoutError, BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
KEEPALIVE_TRIES: Final = 3


class Wire(io.RawIOBase):
    """The socket as pg8000's buffers use it. It belongs to the connection, which closes it: closing this does nothing.

    Python's own (`socket.makefile`) takes EAGAIN for "nothing there yet" and gives None, of which pg8000 knows nothing.
    Here it is an OSError as any other that ends a connection.
    """

    def __init__(self, sock: socket.socket) -> None:
        """`sock`: blocking."""
        super().__init__()
        self._send = sock.send
        self.readinto = sock.recv_into  # type: ignore[method-assign]  # the socket's own: no call of ours a message

    def readable(self) -> bool:
        """See RawIOBase."""
        return True

    def writable(self) -> bool:
        """See RawIOBase."""
        return True

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - any buffer, as in RawIOBase
        """Send what the kernel takes; returns how much that was. OSError."""
        try:
            return self._send(data)
        except BlockingIOError as exc:  # which a buffer would take for "later", and keep what it could not send
            raise TimeoutError(str(exc)) from exc


def bounded(raw: Any, seconds: float) -> None:  # noqa: ANN401 - pg8000 has no types
    """From now on pg8000's connection `raw` waits at most so long for each answer; then it raises one of `RAN_OUT`.

    Whoever meets that throws the connection away: the answer may still arrive, and would be taken for the next one's.
    """
    sock: socket.socket = raw._usock  # noqa: SLF001 - pg8000 shows its socket in no other way
    sock.settimeout(None)
    span = pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)
    if sock.family != socket.AF_UNIX:
        _over_tcp(sock, seconds)
    wire = Wire(sock)
    raw._sock = io.BufferedRWPair(wire, wire)  # noqa: SLF001 - nor its stream


def _over_tcp(sock: socket.socket, seconds: float) -> None:
    # pg8000 leaves Nagle on, and messages over 8 KiB then stall for 40 ms
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A network that swallows packets is noticed on idle connections too, before a request meets one. Not every system
    # has all of these, and none is needed for the limit.
    for name, value in (
        ("TCP_USER_TIMEOUT", round(seconds * 1000)),
        ("TCP_KEEPIDLE", max(1, round(seconds))),
        ("TCP_KEEPINTVL", max(1, round(seconds / KEEPALIVE_TRIES))),
        ("TCP_KEEPCNT", KEEPALIVE_TRIES),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def ran_out(exc: BaseException | None) -> bool:
    """Whether this is, or was made of, a wait that met its limit."""
    while exc is not None:
        if isinstance(exc, RAN_OUT):
            return True
        exc = exc.__cause__
    return False


@contextlib.contextmanager
def cut_if_it_breaks(raw: Any) -> Iterator[None]:  # noqa: ANN401 - pg8000 has no types
    """`cut` the connection if what is done meanwhile fails."""
    try:
        yield
    except BaseException:
        cut(raw)
        raise


def cut(raw: Any) -> None:  # noqa: ANN401 - pg8000 has no types
    """End both directions: a farewell to a server that takes nothing would wait for it once more."""
    sock: socket.socket | None = raw._usock  # noqa: SLF001 - as above
    if sock is not None:
        with contextlib.suppress(OSError):  # the other side was first
            sock.shutdown(socket.SHUT_RDWR)
