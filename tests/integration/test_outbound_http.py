"""Where an outbound request may go, what goes along, and what comes back."""

from __future__ import annotations

import socket

import pytest

from common.adapters.outbound_http import OutboundHttp, own_parts
from common.core.policy import Policy
from common.ports import HttpFailure, HttpRequest
from tests.outbound import OK, Serve, failure, fetched, listing, redirects, says, serve

__all__ = ["serve"]  # a fixture


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
    with pytest.raises(HttpFailure) as caught:
        http.send(request, listing((host, 5432)))
    assert (caught.value.code, caught.value.sent) == ("refused_address", False)


def test_our_own_parts_are_read_from_the_settings() -> None:
    """Database, Redis and front door by host and port; what lies on a Unix socket no request can reach."""
    parts = own_parts(
        "postgresql+pg8000://u:p@db/aiw", "unix:///run/v.sock", "http://127.0.0.1:8000", "https://x.example"
    )
    assert parts == {("db", 5432), ("127.0.0.1", 8000), ("x.example", 443)}


def test_an_admins_own_address_does_not_lead_on_to_our_parts(serve: Serve) -> None:
    """The trust is in that address alone: a redirect from it is judged as a plan's."""
    own = serve(says(OK))
    channel = serve(says(redirects(own.url)))
    http = OutboundHttp(frozenset({("127.0.0.1", own.port)}))
    request = HttpRequest(method="GET", url=channel.url, from_settings=True, timeout=5)
    with pytest.raises(HttpFailure) as caught:
        http.send(request, listing(("127.0.0.1", own.port)))
    assert (caught.value.code, caught.value.sent) == ("refused_address", True)
    assert own.accepted == 0


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
