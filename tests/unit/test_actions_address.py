"""Addresses: one reading for policy, person and wire, and none for what two parsers would read differently."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given, strategies as st

from common.actions.address import Address, host_of, named_in, parse

ODD_URLS = [
    "", "example.com", "//example.com", "/path", "ftp://example.com", "file:///etc/passwd", "javascript:alert(1)",
    "http:example.com",
    "http:///x", "http://?x", "http://:80/", "http://user@example.com", "http://user:pw@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1:80@example.com/", "http://example.com\\@127.0.0.1/", "http://example.com\\.evil.net",
    "http://exa mple.com",
    " http://example.com", "http://example.com\n", "http://example.com/\r\nHost: evil", "http://exam\tple.com",
    "http://example.com/\x00",
    "http://ex\u200bample.com", "http://\u202eexample.com", "http://example.com:0", "http://example.com:65536",
    "http://example.com:",
    "http://example.com:80:80", "http://example.com:８０", "http://%65xample.com", "http://127.1",
    "http://2130706433", "http://0x7f000001",
    "http://0177.0.0.1", "http://127.0.0.1.1", "http://1.2.3.4.5", "http://0x7f.1", "http://256.1.1.1",
    "http://[::1", "http://::1/",
    "http://[fe80::1%eth0]/", "http://[127.0.0.1]/", "http://[::1]x/", "http://-a.com", "http://a..b", "http://.a",
    "http://a_b..c",
    "http://" + "a" * 64 + ".com", "http://" + "a." * 130 + "com", "http://example.com/%", "http://example.com/%zz",
    "http://example.com/?a=%g1",
    "http://example.com/../system", "http://example.com/a/./b", "http://example.com/%2e%2e/system",
    "http://example.com/a%2E/..%2f..", "http://example.com/a%2f..%5Cb", "http://example.com/..;/system",
    "http://example.com/" + "a" * 4000, "http://exa\u2100mple.com", "http://example.com\uff0fevil",
    "http://example.com\ue000",
]  # fmt: skip


@pytest.mark.parametrize("url", ODD_URLS)
def test_an_odd_url_is_refused(url: str) -> None:
    """What a resolver, a proxy or a second parser might take for another place is no address at all."""
    with pytest.raises(ValueError, match=r"\w"):
        parse(url)


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTP://Example.COM", "http://example.com/"),
        ("https://example.com:443/a?b=c#part", "https://example.com/a?b=c"),
        ("http://example.com:8080//a", "http://example.com:8080//a"),
        ("http://localhost./x", "http://localhost/x"),
        (
            "http://예시.한국/경로?이름=값",
            "http://xn--vv4b11d.xn--3e0b707e/%EA%B2%BD%EB%A1%9C?%EC%9D%B4%EB%A6%84=%EA%B0%92",
        ),
        ("http://ｅｘａｍｐｌｅ.com/", "http://example.com/"),
        ("http://１２７。０．０.1/", "http://127.0.0.1/"),
        ("http://exаmple.com/", "http://xn--exmple-4nf.com/"),
        ("http://[0:0::1]:9100/", "http://[::1]:9100/"),
        ("http://a_b.example.com/?q=a b".replace(" ", "+"), "http://a_b.example.com/?q=a+b"),
        ("http://example.com/?u=http://other/", "http://example.com/?u=http://other/"),
    ],
)
def test_an_address_has_one_form(url: str, canonical: str) -> None:
    """The form that is compared is the form that is shown and sent; a look-alike host shows as what it is."""
    assert parse(url).url == canonical
    assert parse(parse(url).url) == parse(url)


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("http://example.com", False), ("http://8.8.8.8", False), ("http://[2606:4700::1111]", False),
        ("http://localhost", True),
        ("http://a.localhost", True), ("http://postgres:5432", True),
        ("http://gateway.openfaas.svc.cluster.local:8080", True),
        ("http://printer.local", True), ("http://metadata.google.internal", True), ("http://127.0.0.1", True),
        ("http://127.9.9.9", True),
        ("http://10.1.2.3", True), ("http://172.16.0.1", True), ("http://192.168.0.1", True),
        ("http://169.254.169.254", True),
        ("http://100.64.0.1", True), ("http://0.0.0.0", True), ("http://224.0.0.1", True), ("http://[::1]", True),
        ("http://[::]", True),
        ("http://[fe80::1]", True), ("http://[fd00::1]", True), ("http://[::ffff:127.0.0.1]", True),
        ("http://[::ffff:8.8.8.8]", True),
        ("http://[64:ff9b::7f00:1]", True), ("http://[2002:7f00:1::]", True), ("http://[::127.0.0.1]", True),
    ],
)  # fmt: skip
def test_what_leads_inside_is_seen_without_a_resolver(url: str, inside: bool) -> None:  # noqa: FBT001 - a table's column
    """Private, loopback, link-local and wrapped addresses, and names of no public zone, are seen as written."""
    assert parse(url).inside is inside


@pytest.mark.parametrize(
    "path",
    [
        "/system/functions",
        "/System",
        "//system/info",
        "/%73ystem/x",
        "/function/ocr",
        "/async-function/a",
        "/%66unction%2Focr",
        "/system",
    ],
)
def test_the_platforms_own_paths_are_seen_however_they_are_written(path: str) -> None:
    """Case, doubled slashes and escapes do not hide the gateway's control plane."""
    assert parse(f"http://gateway:8080{path}").platform


@pytest.mark.parametrize("path", ["/", "/systems", "/api/system", "/functions"])
def test_other_paths_are_not_the_platforms(path: str) -> None:
    """Only the first segment, whole, is the gateway's."""
    assert not parse(f"http://gateway:8080{path}").platform


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("fetch https://example.com/prices", "https://example.com/other"),
        ("Example.com에서 가격을 가져와", "http://example.com/"),
        ("see example.com.", "https://example.com"),
        ("(example.com)", "https://example.com"),
        ("http://127.0.0.1:9100/price", "http://127.0.0.1:9100/"),
        ("at example.com:443", "https://example.com/"),
        ("[::1]:9100 please", "http://[::1]:9100/"),
        ("a.evil.net, then example.com", "https://example.com"),
    ],
)
def test_a_host_in_the_requesters_words_is_named(text: str, url: str) -> None:
    """A whole host name in the text counts, in either case, also with a Korean particle or a full stop behind it."""
    assert named_in(text, parse(url))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "https://example.com"), ("example.com.evil.net", "https://example.com"),
        ("notexample.com", "https://example.com"),
        ("sub.example.com", "https://example.com"), ("me@example.com", "https://example.com"),
        ("example.com@evil.net", "https://example.com"),
        ("example.com-x.net", "https://example.com"), ("example.comа", "https://example.com"),
        ("éexample.com", "https://example.com"),
        ("example.com", "https://example.com:8443"), ("example.com:9100", "http://example.com:9101"),
        ("example.com:80", "https://example.com"),
        ("exаmple.com", "https://exаmple.com"), ("xn--exmple-4nf.com", "https://exаmple.com"),
        ("examplexcom", "https://example.com"),
        ("127.0.0.12", "http://127.0.0.1"), ("1127.0.0.1", "http://127.0.0.1"),
    ],
)  # fmt: skip
def test_what_only_looks_like_the_host_does_not_name_it(text: str, url: str) -> None:
    """A part of another name, a mail address, another port or a look-alike in another alphabet is not the host."""
    assert not named_in(text, parse(url))


@given(st.text(max_size=40))
def test_any_text_is_an_address_that_the_standard_library_reads_alike_or_none(text: str) -> None:
    """Two parsers agree on scheme, host and port of everything that is accepted."""
    try:
        address = parse("http://" + text)
    except ValueError:
        return
    other = urlsplit(address.url)
    assert (other.scheme, other.hostname, other.port or 80) == (address.scheme, address.host, address.port)
    assert other.username is None


@given(st.from_regex(r"[a-zA-Z0-9.\-_:@/\\%\[\]]{1,30}", fullmatch=True))
def test_a_host_read_twice_is_the_same(text: str) -> None:
    """Reading is idempotent: what is compared cannot change once more on its way out."""
    try:
        host = host_of(text)
    except ValueError:
        return
    if ":" not in host:
        assert host_of(host) == host
        assert Address("http", host, 80, "/", "").url == f"http://{host}/"
