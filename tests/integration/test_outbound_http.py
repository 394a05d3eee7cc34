"""Outbound requests against servers that misbehave in every way that was thought of."""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from common.adapters.outbound_http import BODY_MAX, OutboundHttp
from common.core.policy import Host, Policy
from common.ports import HttpFailure, HttpRequest, HttpResponse

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

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
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


# --- plain answers --------------------------------------------------------------------------------------------------


def test_an_answer_comes_back_whole(serve: Serve) -> None:
    """Status, headers in lower case, body and the address that answered."""
    server = serve(says(OK))
    response = fetched(f"{server.url}/a?b=c", server.port)
    assert (response.status, response.body, response.url) == (200, b"hi", f"{server.url}/a?b=c")
    assert response.headers["content-type"] == "text/plain"


def test_the_body_is_sent_and_the_connection_is_ours_to_name(serve: Serve) -> None:
    """Headers of the connection (Host above all) are not a plan's: the request goes where it was checked to go."""
    server = serve(says(OK))
    headers = {"Host": "intern.example", "X-Kind": "refund", "Transfer-Encoding": "chunked", "Content-Length": "999"}
    request = HttpRequest(method="POST", url=server.url, headers=headers, body=b'{"won":39000}', timeout=5)
    OutboundHttp().send(request, listing(("127.0.0.1", server.port)))
    head = server.heads[0].lower()
    assert f"host: 127.0.0.1:{server.port}".encode() in head
    assert b"intern.example" not in head
    assert b"chunked" not in head
    assert b"content-length: 13" in head
    assert b"x-kind: refund" in head
    assert server.bodies == [b'{"won":39000}']


def test_a_post_without_a_body_says_so(serve: Serve) -> None:
    """Many servers answer 411 to a POST without a length."""
    server = serve(says(OK))
    fetched(server.url, server.port, method="POST")
    assert b"content-length: 0" in server.heads[0].lower()


def test_every_request_has_a_connection_of_its_own(serve: Serve) -> None:
    """I6: no stale kept connection can turn a request that never arrived into one that may have."""
    server = serve(says(OK))
    http = OutboundHttp()
    for _ in range(3):
        fetched(server.url, server.port, http=http)
    assert server.accepted == 3


def test_errors_of_the_far_side_are_answers(serve: Serve) -> None:
    """A 503 is an answer; what it means for the step is not decided here."""
    server = serve(says(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"))
    assert fetched(server.url, server.port).status == 503


# --- where a request may go -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",  # noqa: S104 - a target, not a binding
        "255.255.255.255", "240.0.0.1", "198.18.0.1", "::", "::1", "fe80::1", "fc00::1", "fec0::1", "ff02::1",
        "::ffff:127.0.0.1", "::127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a00:1::1", "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1", "2001:db8::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)  # fmt: skip
def test_addresses_that_are_not_the_open_internets_are_refused(address: str) -> None:
    """Private, loopback, link-local, multicast, reserved, unspecified, and these wrapped in IPv6; by name or number."""
    http = OutboundHttp(resolve=lambda _host, _port: ["93.184.215.14", address])
    refused = failure("http://innocent.example/", http=http)
    assert (refused.code, refused.sent) == ("refused_address", False)
    written = f"[{address}]" if ":" in address else address
    assert failure(f"http://{written}/").code == "refused_address"


def test_a_private_address_needs_name_and_port_on_the_list(serve: Serve) -> None:
    """Listed by name alone, or with another port, it stays closed; listed with both it is open."""
    server = serve(says(OK))
    http = OutboundHttp(resolve=lambda _host, _port: ["127.0.0.1"])
    request = HttpRequest(method="GET", url=f"http://target.example:{server.port}/", timeout=5)
    for policy in (
        listing(),
        listing(("target.example", None)),
        listing(("target.example", 1)),
        listing(("127.0.0.1", server.port)),
    ):
        with pytest.raises(HttpFailure) as caught:
            http.send(request, policy)
        assert (caught.value.code, caught.value.sent) == ("refused_address", False)
    assert server.accepted == 0
    assert http.send(request, listing(("target.example", server.port))).body == b"hi"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1"])  # noqa: S104 - a target, not a binding
def test_our_own_parts_are_refused_even_if_listed(host: str) -> None:
    """PostgreSQL, Redis and nginx are no targets, under whatever name this machine is reached."""
    http = OutboundHttp(frozenset({("127.0.0.1", 5432)}))
    written = f"[{host}]" if ":" in host else host
    request = HttpRequest(method="GET", url=f"http://{written}:5432/", timeout=5)
    for from_settings in (False, True):
        with pytest.raises(HttpFailure) as caught:
            http.send(
                HttpRequest(method="GET", url=request.url, from_settings=from_settings, timeout=5),
                listing((host, 5432)),
            )
        assert (caught.value.code, caught.value.sent) == ("refused_address", False)


def test_the_platforms_own_paths_are_refused_inside() -> None:
    """A listed gateway's control plane and functions ask nobody who they are, so no plan may call them."""
    request = HttpRequest(method="GET", url="http://127.0.0.1:1/%73ystem/functions", timeout=5)
    with pytest.raises(HttpFailure) as caught:
        OutboundHttp().send(request, listing(("127.0.0.1", 1)))
    assert caught.value.code == "refused_address"


def test_an_admins_own_address_may_be_inside(serve: Serve) -> None:
    """A channel or a function that an admin configured is reached without being listed as a host."""
    server = serve(says(OK))
    request = HttpRequest(method="POST", url=f"{server.url}/function/ocr", from_settings=True, timeout=5)
    assert OutboundHttp().send(request, Policy()).body == b"hi"


def test_the_address_that_was_checked_is_the_one_that_is_taken(serve: Serve) -> None:
    """A name that resolves to something else a moment later (rebinding) is asked once, and its first answer is used."""
    server = serve(says(OK))
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.1.1.1"]

    request = HttpRequest(method="GET", url=f"http://target.example:{server.port}/", timeout=5)
    OutboundHttp(resolve=rebinding).send(request, listing(("target.example", server.port)))
    assert asked == ["target.example"]
    assert f"host: target.example:{server.port}".encode() in server.heads[0].lower()


def test_of_several_addresses_the_next_is_tried(serve: Serve) -> None:
    """Nothing was sent to one that refuses the connection, so the next one may be asked."""
    server = serve(says(OK))
    http = OutboundHttp(resolve=lambda _host, _port: ["127.0.0.9", "127.0.0.1"])
    request = HttpRequest(method="POST", url=f"http://target.example:{server.port}/", timeout=5)
    assert http.send(request, listing(("target.example", server.port))).status == 200
    assert server.accepted == 1


@pytest.mark.parametrize(
    "url", ["ftp://a.example/", "http://u:p@a.example/", "http://a.example/\r\nX: y", "http://2130706433/", "nonsense"]
)
def test_an_odd_address_is_refused(url: str) -> None:
    """What two parsers may read differently is not sent anywhere."""
    refused = failure(url)
    assert (refused.code, refused.sent) == ("refused_address", False)


def test_a_proxy_in_the_environment_is_not_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would resolve the name once more, and elsewhere."""
    server = serve(says(OK))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert fetched(server.url, server.port).status == 200


# --- redirects ------------------------------------------------------------------------------------------------------


def test_a_redirect_is_followed_and_checked(serve: Serve) -> None:
    """To a place that is allowed it goes on; to a private one it does not, whoever says so."""
    end = serve(says(OK))
    start = serve(says(redirects(f"{end.url}/end")))
    assert fetched(start.url, start.port, end.port).url == f"{end.url}/end"
    refused = failure(start.url, start.port)
    assert (refused.code, refused.sent) == ("refused_address", True)
    assert end.accepted == 1


@pytest.mark.parametrize(
    "to", ["http://169.254.169.254/latest/meta-data", "http://[::1]/", "file:///etc/passwd", "http://u:p@a.example/"]
)
def test_a_redirect_inside_or_to_nonsense_is_refused(serve: Serve, to: str) -> None:
    """The metadata service of a cloud is one redirect away from any page."""
    server = serve(says(redirects(to)))
    assert failure(server.url, server.port).code == "refused_address"


def test_to_another_host_nothing_goes_along_but_accept(serve: Serve) -> None:
    """I11: credentials, cookies and any other header were meant for the first host; on the same one they stay."""
    end = serve(says(OK))
    start = serve(says(redirects(f"{end.url}/end")))
    headers = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Api-Key": "k", "Accept": "text/plain"}
    request = HttpRequest(method="GET", url=start.url, headers=headers, timeout=5)
    policy = listing(("127.0.0.1", start.port), ("127.0.0.1", end.port))
    OutboundHttp().send(request, policy)
    seen = end.heads[0].lower()
    assert b"accept: text/plain" in seen
    assert not any(word in seen for word in (b"bearer", b"cookie", b"x-api-key"))

    def twice(connection: socket.socket, head: bytes) -> None:
        connection.sendall(OK if b" /end " in head else redirects("/end"))

    same = serve(twice)
    OutboundHttp().send(
        HttpRequest(method="GET", url=same.url, headers=headers, timeout=5), listing(("127.0.0.1", same.port))
    )
    assert b"bearer x" in same.heads[1].lower()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_only_reads_are_redirected(serve: Serve, status: int) -> None:
    """A person approved a POST to this address and no other: the 3xx is the answer."""
    server = serve(says(redirects("http://127.0.0.1:1/", status)))
    response = fetched(server.url, server.port, method="POST")
    assert response.status == status
    assert server.accepted == 1


def test_redirects_end_after_five(serve: Serve) -> None:
    """A circle is left."""
    server = serve(says(redirects("/again")))
    assert failure(server.url, server.port).code == "too_many_redirects"
    assert server.accepted == 6


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
