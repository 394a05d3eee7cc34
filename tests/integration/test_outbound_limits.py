"""How large and how long an outbound exchange may be, and whether anything of it was sent (I6), over TLS too."""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
import threading
import time
from pathlib import Path

import pytest

from common.adapters.outbound_http import BODY_MAX, OutboundHttp
from common.ports import HttpFailure, HttpRequest, HttpResponse
from tests.outbound import OK, Script, Serve, Server, failure, fetched, listing, says, serve

__all__ = ["serve"]  # a fixture

# A certificate for shop.test, a name that resolves nowhere, and its key; trusted by these tests alone, until 2126.
TLS_KEY = """
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6UQe4dv2C9g/pKJM
iXjC/77z/NLUOfpTWVOPKuxtmvGhRANCAARPQB0FbH62uCV9nMlKLJKKap75l++j
YzOrTDMbBquYWCXRJUXqgi1n9+vg0UAEPH82aO6LcI5biwnKzoAIiCEm
-----END PRIVATE KEY-----
"""
TLS_CERTIFICATE = """
-----BEGIN CERTIFICATE-----
MIIBlDCCATugAwIBAgIUXZHVgn0z1CN5KgGlDVmMPzmghcYwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJc2hvcC50ZXN0MCAXDTI2MTEyNDA3NDYxM1oYDzIxMjYxMDMx
MDc0NjEzWjAUMRIwEAYDVQQDDAlzaG9wLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARPQB0FbH62uCV9nMlKLJKKap75l++jYzOrTDMbBquYWCXRJUXqgi1n
9+vg0UAEPH82aO6LcI5biwnKzoAIiCEmo2kwZzAdBgNVHQ4EFgQUB/kBSaJ+WZlr
iavG250T+Ir+IlAwHwYDVR0jBBgwFoAUB/kBSaJ+WZlriavG250T+Ir+IlAwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglzaG9wLnRlc3QwCgYIKoZIzj0EAwID
RwAwRAIgUlX6oU0AsAnikLE2cR3nGaA55oE0WptfHEM8YavPKEcCIGK9RnQlW8pU
d1upQeBnsQNhNnal9Tlt1DBpT2uyhwAb
-----END CERTIFICATE-----
"""


# --- size and time --------------------------------------------------------------------------------------------------


def test_an_endless_answer_is_cut(serve: Serve) -> None:
    """Over the limit it fails, by what really arrives; that it was sent is said."""

    def pours(connection: socket.socket, _head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 1_000_000)

    server = serve(pours)
    cut = failure(server.url, server.port, method="POST", timeout=20)
    assert (cut.code, cut.sent) == ("too_large", True)


def test_a_bomb_is_not_unpacked(serve: Serve) -> None:
    """A few kilobytes that unpack to a hundred megabytes fail; honest gzip is unpacked."""

    def packed(content: bytes) -> bytes:
        body = gzip.compress(content)
        return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    bomb = serve(says(packed(bytes(10 * BODY_MAX))))
    assert failure(bomb.url, bomb.port).code == "too_large"
    honest = serve(says(packed(b"hello" * 1000)))
    response = fetched(honest.url, honest.port)
    assert response.body == b"hello" * 1000
    assert "content-encoding" not in response.headers


def test_what_only_claims_to_be_packed_is_kept_as_it_is(serve: Serve) -> None:
    """A wrong label is no reason to lose an answer."""
    server = serve(says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain"))
    assert fetched(server.url, server.port).body == b"plain"


def drips(first: bytes) -> Script:
    """A server that sends a byte now and then, so that no single read takes long."""

    def script(connection: socket.socket, _head: bytes) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    return script


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_a_dripping_answer_ends_in_time(serve: Serve, first: bytes) -> None:
    """The time is for the whole request: a server that drips, in its head or body, does not hold a worker."""
    server = serve(drips(first))
    began = time.monotonic()
    late = failure(server.url, server.port, timeout=0.5)
    assert (late.code, late.sent) == ("timeout", True)
    assert time.monotonic() - began < 3


def test_a_server_that_does_not_read_ends_in_time(serve: Serve) -> None:
    """A large body to a far side that takes it by drops ends by the same deadline."""

    def sips(connection: socket.socket, _head: bytes) -> None:
        while True:
            connection.recv(1000)
            time.sleep(0.02)

    server = serve(sips)
    request = HttpRequest(method="POST", url=server.url, body=bytes(30_000_000), timeout=0.5)
    began = time.monotonic()
    with pytest.raises(HttpFailure) as caught:
        OutboundHttp().send(request, listing(("127.0.0.1", server.port)))
    assert (caught.value.code, caught.value.sent) == ("timeout", True)
    assert time.monotonic() - began < 3


def test_a_silent_resolver_ends_in_time() -> None:
    """The system's resolver may take half a minute; a request does not."""
    release = threading.Event()

    def silent(_host: str, _port: int) -> list[str]:
        release.wait(10)
        return []

    began = time.monotonic()
    late = failure("http://slow.example/", http=OutboundHttp(resolve=silent), timeout=0.3)
    release.set()
    assert (late.code, late.sent) == ("timeout", False)
    assert time.monotonic() - began < 3


# --- was it sent? ---------------------------------------------------------------------------------------------------


def test_an_unknown_name_sent_nothing() -> None:
    """I6: DNS failed, so surely not done."""

    def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror

    failed = failure("http://nowhere.example/", http=OutboundHttp(resolve=unknown), method="POST")
    assert (failed.code, failed.sent) == ("dns_failed", False)


def test_a_refused_connection_sent_nothing() -> None:
    """I6: nobody listens, so surely not done; the engine's own error is the cause."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    failed = failure(f"http://127.0.0.1:{port}/", port, method="POST")
    assert (failed.code, failed.sent) == ("connect_failed", False)
    assert failed.__cause__ is not None


def resets(connection: socket.socket, _head: bytes) -> None:
    """Break the connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize(
    "script",
    [resets, says(b""), says(b"garbage\r\n\r\n"), says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort")],
    ids=["reset", "closed", "garbage", "cut off"],
)
def test_a_broken_answer_may_have_been_an_effect(serve: Serve, script: Script) -> None:
    """I6: a byte of the request left, so whoever sent a POST cannot know."""
    server = serve(script)
    failed = failure(server.url, server.port, method="POST")
    assert (failed.code, failed.sent) == ("reset", True)


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\x00b", "\ud55c"])
def test_a_header_that_cannot_be_written_sends_nothing(serve: Serve, value: str) -> None:
    """No second header, no second request: it fails before its first byte."""
    server = serve(says(OK))
    request = HttpRequest(method="POST", url=server.url, headers={"X-Note": value}, timeout=5)
    with pytest.raises(HttpFailure) as caught:
        OutboundHttp().send(request, listing(("127.0.0.1", server.port)))
    assert not caught.value.sent
    assert server.heads == []


# --- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(serve: Serve, tmp_path: Path) -> Server:
    """A TLS server with a certificate for shop.test."""
    (tmp_path / "key.pem").write_text(TLS_KEY.lstrip())
    (tmp_path / "certificate.pem").write_text(TLS_CERTIFICATE.lstrip())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    return serve(says(OK), context)


def over_tls(name: str, shop: Server, ssl_context: ssl.SSLContext | None = None, timeout: float = 5) -> HttpResponse:
    """A POST to the shop under a name."""
    http = OutboundHttp(resolve=lambda _host, _port: ["127.0.0.1"], ssl_context=ssl_context)
    request = HttpRequest(method="POST", url=f"https://{name}:{shop.port}/", timeout=timeout)
    return http.send(request, listing((name, shop.port)))


def test_a_pinned_address_is_still_verified_by_name(shop: Server) -> None:
    """The connection goes to the checked address, the certificate must be the name's."""
    trusting = ssl.create_default_context(cadata=TLS_CERTIFICATE.lstrip())
    assert over_tls("shop.test", shop, trusting).status == 200
    with pytest.raises(HttpFailure) as caught:
        over_tls("other.test", shop, trusting)
    assert (caught.value.code, caught.value.sent) == ("tls_failed", False)
    assert len(shop.heads) == 1


def test_an_untrusted_certificate_sends_nothing(shop: Server) -> None:
    """I6: the handshake failed, so not a byte of the request has left."""
    with pytest.raises(HttpFailure) as caught:
        over_tls("shop.test", shop)
    assert (caught.value.code, caught.value.sent) == ("tls_failed", False)
    assert shop.heads == []


def test_tls_to_a_server_without_it_sends_nothing(serve: Serve) -> None:
    """A plain server answers a handshake with nonsense."""
    plain = serve(says(OK))
    with pytest.raises(HttpFailure) as caught:
        over_tls("shop.test", plain, timeout=0.5)
    assert not caught.value.sent
