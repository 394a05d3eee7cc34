"""Requests to the world, so that a plan cannot reach inside: one resolution, checked and pinned; size and time limited.

On httpcore2, the engine of httpx2, because only there a connection can be told which address to take: the name stays
in the URL (Host, SNI and the certificate are checked against it), the address is the one that was checked, and every
read and write ends by one deadline. No connection is kept: a stale one that breaks would look like an effect that may
have happened.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpcore2
import httpx2

from common.actions.address import Address, is_public, parse
from common.adapters.pinned import Pinned, Trip
from common.core.policy import Policy
from common.ports import HttpFailure, HttpRequest, HttpResponse

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

BODY_MAX: Final = 10_000_000  # bytes, as received and as unpacked
REDIRECTS_MAX: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_FOLLOWS: Final = frozenset({"GET", "HEAD"})  # any other method meant the address that it was approved for
_PORTS: Final = {"http": 80, "https": 443, "postgresql": 5432, "postgresql+pg8000": 5432, "redis": 6379, "rediss": 6379}
_UNPACK: Final = 32 + zlib.MAX_WBITS  # zlib finds out by itself whether it is gzip or zlib
# Of the connection, not of the request: a plan that could set them could speak to another host than the one checked.
_OURS: Final = frozenset({
    "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, as the system resolves it. OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def own_parts(*urls: str) -> frozenset[tuple[str, int]]:
    """(host, port) of each URL that has a host: what `OutboundHttp` refuses and the catalogue calls our own."""
    parts = [urlsplit(url) for url in urls]
    return frozenset(
        (part.hostname, port) for part in parts if part.hostname and (port := part.port or _PORTS.get(part.scheme))
    )


class OutboundHttp:
    """The Http port. Any thread may use it; a request has its own connection."""

    def __init__(
        self,
        forbidden: frozenset[tuple[str, int]] = frozenset(),
        *,
        resolve: Resolve = resolve,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """`forbidden`: (host, port) of our own parts, no plan's target. `ssl_context` None: the system's CAs."""
        self._forbidden = forbidden
        self._resolve = resolve
        self._ssl_context = ssl_context
        self._lock = threading.Lock()

    def send(self, request: HttpRequest, policy: Policy) -> HttpResponse:
        """See Http. Redirects are followed for GET and HEAD only; of another method the 3xx is the answer.

        To another origin nothing goes along but Accept.
        """
        trip = Trip(time.monotonic() + request.timeout)
        target = _parsed(request.url, sent=False)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OURS}
        trusted = target if request.from_settings else None
        for _ in range(REDIRECTS_MAX + 1):
            addresses = self._addresses(target, policy, trip, trusted=target == trusted)
            with _translated(trip):
                status, answered, body = self._exchange(request, target, headers, addresses, trip)
            location = answered.get("location")
            if status not in _REDIRECTS or location is None or request.method not in _FOLLOWS:
                return HttpResponse(status=status, headers=answered, body=body, url=target.url)
            following = _parsed(urljoin(target.url, location), sent=True)
            if (following.scheme, following.place) != (target.scheme, target.place):
                headers = {name: value for name, value in headers.items() if name.lower() == "accept"}
            target = following
        raise HttpFailure("too_many_redirects", sent=True, detail=f"more than {REDIRECTS_MAX} redirects")

    # --- where to ---------------------------------------------------------------------------------------------------

    def _addresses(self, target: Address, policy: Policy, trip: Trip, *, trusted: bool) -> list[str]:
        """The addresses of a target, asked for once. One that is not allowed refuses all: which is taken is chance."""
        found = self._resolved(target, trip)
        if trusted:  # an admin's own channel or function: the gateway that serves it may be ours
            return found
        listed = policy.host(target.host, target.port)
        inside_allowed = listed is not None and listed.port is not None and not target.platform
        for text in found:
            address = ipaddress.ip_address(text)
            own = self._is_own(target, address)
            outside = is_public(address) and not _odd(address)
            if own or not (outside or inside_allowed):
                detail = f"{target.place} is {'a part of this installation' if own else 'not a public address'}"
                raise HttpFailure("refused_address", sent=trip.sent, detail=detail)
        return found

    def _resolved(self, target: Address, trip: Trip) -> list[str]:
        try:
            return [str(ipaddress.ip_address(target.host))]
        except ValueError:
            found = _in_time(lambda: self._resolve(target.host, target.port), trip)
        if not found:
            raise HttpFailure("dns_failed", sent=trip.sent, detail=f"{target.host} cannot be resolved")
        return list(dict.fromkeys(found))

    def _is_own(self, target: Address, address: IpAddress) -> bool:
        mapped = getattr(address, "ipv4_mapped", None) or address
        here = mapped.is_loopback or mapped.is_unspecified  # 0.0.0.0 connects to this machine
        return any(
            port == target.port
            and (host in {target.host, str(mapped)} or (here and host in {"localhost", "127.0.0.1", "::1"}))
            for host, port in self._forbidden
        )

    # --- the exchange -----------------------------------------------------------------------------------------------

    def _exchange(
        self, request: HttpRequest, target: Address, headers: dict[str, str], addresses: list[str], trip: Trip
    ) -> tuple[int, dict[str, str], bytes]:
        wanted = {"User-Agent": "ai-workflow-24h", "Accept": "*/*", "Accept-Encoding": "gzip"}
        named = {name.lower() for name in headers}
        sent = {**{name: value for name, value in wanted.items() if name.lower() not in named}, **headers}
        content = request.body
        if content is None and request.method not in _FOLLOWS | {"DELETE"}:
            content = b""  # with a length of 0: many servers answer 411 without one
        with (
            httpcore2.ConnectionPool(
                ssl_context=self._tls() if target.scheme == "https" else None, network_backend=Pinned(addresses, trip)
            ) as pool,
            pool.stream(
                request.method,
                target.url,
                headers=[
                    (name.encode("ascii"), value.encode("latin-1"))
                    for name, value in {**sent, "Connection": "close"}.items()
                ],
                content=content,
                extensions={"timeout": {"connect": request.timeout, "read": request.timeout, "write": request.timeout}},
            ) as response,
        ):
            answered = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            body = _limited(response.iter_stream())
            if answered.get("content-encoding", "").lower() in {"gzip", "x-gzip", "deflate"} and body:
                body = _unpacked(body)
                del answered["content-encoding"]
            return response.status, answered, body

    def _tls(self) -> ssl.SSLContext:
        with self._lock:  # made at the first use: it costs a tenth of a second, and a parent that forks needs none
            if self._ssl_context is None:
                self._ssl_context = httpx2.create_ssl_context()
            return self._ssl_context


def _odd(address: IpAddress) -> bool:
    """Global by the registry, yet nobody's server: reserved, IPv4-compatible, local NAT64, the old site-local."""
    return address.is_reserved or (isinstance(address, ipaddress.IPv6Address) and address.is_site_local)


def _parsed(url: str, *, sent: bool) -> Address:
    try:
        return parse(url)
    except ValueError as exc:
        raise HttpFailure("refused_address", sent=sent, detail=f"the address {exc}") from exc


def _in_time(ask: Callable[[], list[str]], trip: Trip) -> list[str]:
    """The system's resolver cannot be interrupted, so it is asked in a thread that is left behind if it is too slow."""
    answer: list[list[str]] = []

    def asked() -> None:
        try:
            answer.append(ask())
        except (OSError, UnicodeError):
            answer.append([])

    thread = threading.Thread(target=asked, name="resolve", daemon=True)
    thread.start()
    thread.join(trip.left())
    if not answer:
        raise HttpFailure("timeout", sent=trip.sent, detail="the name was not resolved in time")
    return answer[0]


def _limited(chunks: Iterator[bytes]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > BODY_MAX:
            raise HttpFailure("too_large", sent=True, detail=f"the answer is longer than {BODY_MAX:,} bytes")
    return bytes(body)


def _unpacked(body: bytes) -> bytes:
    """Unpack at most as much as is kept: a small body may hold gigabytes."""
    unpacker = zlib.decompressobj(_UNPACK)
    try:
        unpacked = unpacker.decompress(body, BODY_MAX + 1)
    except zlib.error:
        return body  # it is not what it says; the bytes are still the answer
    if len(unpacked) > BODY_MAX:
        raise HttpFailure("too_large", sent=True, detail=f"the answer unpacks to more than {BODY_MAX:,} bytes")
    return unpacked


@contextmanager
def _translated(trip: Trip) -> Iterator[None]:
    """The one place where the engine's errors become ours; the cause is kept, `sent` is what really happened."""
    try:
        yield
    except HttpFailure:
        raise
    except httpcore2.TimeoutException as exc:
        raise HttpFailure("timeout", sent=trip.sent, detail="no whole answer in time") from exc
    except httpcore2.ConnectError as exc:
        if trip.in_handshake:
            raise HttpFailure("tls_failed", sent=trip.sent, detail="no trusted connection") from exc
        raise HttpFailure("connect_failed", sent=trip.sent, detail="nobody accepts a connection there") from exc
    except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as exc:
        raise HttpFailure("reset", sent=trip.sent, detail="the connection broke before a whole answer") from exc
    except (UnicodeError, ValueError) as exc:
        raise HttpFailure("reset", sent=trip.sent, detail="a header cannot be written") from exc
