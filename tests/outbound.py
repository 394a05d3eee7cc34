"""Servers of bare sockets that misbehave as they are told, and requests to them: for the tests of outbound HTTP."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from common.adapters.outbound_http import OutboundHttp
from common.core.policy import Host, Policy
from common.ports import HttpFailure, HttpRequest, HttpResponse

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
BODY_READ = 100_000  # a larger body is left to the script
Script = Callable[[socket.socket, bytes], None]


def says(answer: bytes) -> Script:
    """A server that answers every request with these bytes."""

    def script(connection: socket.socket, _head: bytes) -> None:
        connection.sendall(answer)

    return script


def redirects(to: str, status: int = 302) -> bytes:
    """An answer that sends elsewhere."""
    return f"HTTP/1.1 {status} Go\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


class Server:
    """A server of bare sockets: reads a head (and what is declared as body), then does as its script says."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        """Listens on 127.0.0.1, at a free port."""
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.accepted = 0
        self.script = script
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # close alone does not wake a thread in accept
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.accepted += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self._tls is None:
                self._answer(connection)
                return
            with self._tls.wrap_socket(connection, server_side=True) as secured:
                self._answer(secured)

    def _answer(self, connection: socket.socket) -> None:
        received = b""
        while b"\r\n\r\n" not in received:
            piece = connection.recv(4096)
            if not piece:
                return
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        declared = re.search(rb"(?i)content-length: (\d+)", head)
        length = int(declared[1]) if declared else 0
        while len(body) < length <= BODY_READ:
            body += connection.recv(4096)
        self.heads.append(head)
        self.bodies.append(body)
        self.script(connection, head)


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Makes servers, and ends them."""
    servers: list[Server] = []

    def make(script: Script, tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(script, tls))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def listing(*places: tuple[str, int | None]) -> Policy:
    """Settings that list these hosts."""
    return Policy(hosts=tuple(Host(name=name, port=port) for name, port in places))


def fetched(
    url: str, *ports: int, method: str = "GET", http: OutboundHttp | None = None, timeout: float = 5
) -> HttpResponse:
    """Send one request; 127.0.0.1 is listed at these ports."""
    request = HttpRequest(method=method, url=url, timeout=timeout)
    return (http or OutboundHttp()).send(request, listing(*(("127.0.0.1", port) for port in ports)))


def failure(
    url: str, *ports: int, method: str = "GET", http: OutboundHttp | None = None, timeout: float = 5
) -> HttpFailure:
    """Send one request that must fail."""
    with pytest.raises(HttpFailure) as caught:
        fetched(url, *ports, method=method, http=http, timeout=timeout)
    return caught.value
