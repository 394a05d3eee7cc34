"""Connections to addresses that were checked, under one deadline: the network half of outbound requests."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass

import httpcore2


@dataclass(slots=True)
class Trip:
    """One request through all its hops: when it must be over, and whether anything of it has left."""

    deadline: float
    sent: bool = False
    in_handshake: bool = False

    def left(self) -> float:
        """Seconds, never 0 or less: a socket takes 0 for "do not wait", and would then say so in other words."""
        return max(0.001, self.deadline - time.monotonic())


class Stream(httpcore2.NetworkStream):
    """A connection whose every operation ends by the trip's deadline, and which notes the request's first byte."""

    def __init__(self, stream: httpcore2.NetworkStream, trip: Trip) -> None:
        """`stream`: as the engine made it."""
        self._stream = stream
        self._trip = trip

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the deadline is the timeout
        """See NetworkStream."""
        if time.monotonic() >= self._trip.deadline:
            raise httpcore2.ReadTimeout
        return self._stream.read(max_bytes, self._trip.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - as above
        """See NetworkStream."""
        channel: socket.socket = self._stream.get_extra_info("socket")
        view = memoryview(buffer)
        while view:  # the engine's own loop would give each piece the whole time again
            if time.monotonic() >= self._trip.deadline:
                raise httpcore2.WriteTimeout
            channel.settimeout(self._trip.left())
            self._trip.sent = True
            try:
                view = view[channel.send(view) :]
            except TimeoutError as exc:
                raise httpcore2.WriteTimeout from exc
            except OSError as exc:
                raise httpcore2.WriteError from exc

    def close(self) -> None:
        """See NetworkStream."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - as above
    ) -> httpcore2.NetworkStream:
        """See NetworkStream."""
        self._trip.in_handshake = True
        secured = self._stream.start_tls(ssl_context, server_hostname, self._trip.left())
        self._trip.in_handshake = False
        return Stream(secured, self._trip)

    def get_extra_info(self, info: str) -> object:
        """See NetworkStream."""
        return self._stream.get_extra_info(info)


class Pinned(httpcore2.NetworkBackend):
    """Connects to the addresses that were checked, whatever the name resolves to by now."""

    def __init__(self, addresses: list[str], trip: Trip) -> None:
        """`addresses`: at least one; tried in order."""
        self._addresses = addresses
        self._trip = trip
        self._backend = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the name; see the class
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline is the timeout
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """See NetworkBackend."""
        for address in self._addresses[:-1]:
            # Nothing was sent to one that does not answer, so the next may be tried; half of the time is left for it.
            try:
                return Stream(
                    self._backend.connect_tcp(address, port, self._trip.left() / 2, local_address, socket_options),
                    self._trip,
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        last = self._backend.connect_tcp(self._addresses[-1], port, self._trip.left(), local_address, socket_options)
        return Stream(last, self._trip)
