"""A cheap HTTP client for load: requests are bytes made once, answers are split by hand; only 2xx is an answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Final

API: Final = "/api/v1"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STATUS_LINE: Final = 16  # bytes that hold it
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d+)")


def request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """One request as it goes over the wire."""
    head = f"{method} {API}{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Refused(Exception):
    """The far side answered, and not with 2xx."""


class Connection(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self) -> None:
        """Opened by `connect`."""
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._ends_at = 0
        self._body_at = 0
        self._answer: asyncio.Future[bytes] | None = None

    async def send(self, wire: bytes) -> bytes:
        """Send a request; the body of its answer. Refused, ConnectionError."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("not open")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(wire)
        return await self._answer

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._received += data
        if not self._ends_at:
            head_ends = self._received.find(b"\r\n\r\n")
            if head_ends < 0:
                return
            length = _LENGTH.search(self._received, 0, head_ends)
            self._body_at = head_ends + 4
            self._ends_at = self._body_at + (int(length[1]) if length else 0)
        if len(self._received) >= self._ends_at:
            self._complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed by the far side"))

    def _complete(self) -> None:
        status = _STATUS.match(bytes(self._received[:_STATUS_LINE]))
        body = bytes(self._received[self._body_at : self._ends_at])
        del self._received[: self._ends_at]
        self._ends_at = 0
        if self._answer is None or self._answer.done():
            return
        if status is not None and status[1].startswith(b"2"):
            self._answer.set_result(body)
        else:
            self._answer.set_exception(Refused(body[:300].decode(errors="replace")))


async def connect(port: int) -> Connection:
    """A connection to the front door."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


async def send_all(port: int, wires: Sequence[bytes], connections: int, answered: Callable[[bytes], None]) -> None:
    """Send all requests over so many connections, each sending the next as soon as its last is answered."""
    left = iter(wires)

    async def serve(connection: Connection) -> None:
        for wire in left:
            answered(await connection.send(wire))

    opened = [await connect(port) for _ in range(connections)]
    try:
        await asyncio.gather(*(serve(connection) for connection in opened))
    finally:
        for connection in opened:
            connection.close()
