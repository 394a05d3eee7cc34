"""An http(s) URL, read once and strictly: what is assessed, what a person approves and what is sent are one address.

Parsers disagree about odd URLs, and the gap between two of them is how a request ends up elsewhere. So what is odd is
refused (control characters, user names, backslashes, dot segments, numbers that resolve to an address), a host is
compared in its ASCII form, and `url` is what is sent.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

import idna

URL_MAX: Final = 4000  # characters; servers commonly stop at 8,000
PORTS: Final = {"http": 80, "https": 443}

_PARTS: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>[^/?#]*)"  # RFC 3986 appendix B
    r"(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?"
)
_PORT: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH_SAFE: Final = "/%:@!$&'()*+,;=-._~"
_QUERY_SAFE: Final = "/%:@!$&'()*+,;=-._~?"

# Names that no public resolver answers: they lead inside, wherever this runs.
_INSIDE_SUFFIXES: Final = (
    ".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa",
    ".svc", ".cluster.local", ".openfaas", ".openfaas-fn",
)  # fmt: skip
# Under these the gateway serves its control plane and our functions, none of which asks who calls.
_PLATFORM_PATHS: Final = frozenset({"system", "function", "async-function"})
# Addresses of IPv6 that hold one of IPv4, beside those that the standard library knows: compatible, and NAT64.
_WRAPPING: Final = tuple(map(ipaddress.IPv6Network, ("::/96", "64:ff9b::/96", "64:ff9b:1::/48")))


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes. `host` is ASCII, lower-case, without brackets; `path` and `query` are percent-encoded."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def authority(self) -> str:
        """Host, and the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def place(self) -> str:
        """Host and port, for comparing."""
        return f"{self.host}:{self.port}"

    @property
    def machine(self) -> str:
        """Host and port, where every way to say "this machine" is one: which door it is, not how it is written."""
        try:
            ip = ipaddress.ip_address(self.host)
            here = ip.is_loopback or ip.is_unspecified
        except ValueError:
            here = self.host == "localhost" or self.host.endswith(".localhost")
        return f"localhost:{self.port}" if here else self.place

    @property
    def url(self) -> str:
        """The address in its one form: what is shown and what is sent."""
        return f"{self.scheme}://{self.authority}{self.path}{'?' + self.query if self.query else ''}"

    @property
    def inside(self) -> bool:
        """Whether it leads to this machine or its network as it is written; a resolver may say so of others, later."""
        try:
            return not is_public(ipaddress.ip_address(self.host))
        except ValueError:
            return "." not in self.host or self.host == "localhost" or self.host.endswith(_INSIDE_SUFFIXES)

    @property
    def platform(self) -> bool:
        """Whether the path is one that a gateway keeps for itself and for functions."""
        segments = [segment for segment in unquote(self.path).split("/") if segment]
        return bool(segments) and segments[0].casefold() in _PLATFORM_PATHS


@lru_cache(maxsize=1024)  # each step's url is read several times between intake and sending
def parse(url: str) -> Address:
    """Read a URL. ValueError, with the reason, for everything that is not plainly one http(s) address."""
    if len(url) > URL_MAX:
        msg = f"is longer than {URL_MAX} characters"
        raise ValueError(msg)
    odd = next(
        (c for c in url if c in ' \\"<>^`{|}' or unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp"}),
        None,
    )
    if odd is not None:
        msg = f"holds the character {odd!a}, which no url may hold; percent-encode it"
        raise ValueError(msg)
    parts = _PARTS.fullmatch(url)
    if parts is None:
        msg = "is not a url: it begins with http:// or https:// and a host"
        raise ValueError(msg)
    scheme = parts["scheme"].lower()
    if scheme not in PORTS:
        msg = f"has the scheme {scheme[:20]}; only http and https are possible"
        raise ValueError(msg)
    host, port = _authority(parts["host"], PORTS[scheme])
    path = parts["path"] or "/"
    query = parts["query"] or ""
    if _BAD_ESCAPE.search(path + "?" + query):
        msg = "has a % that does not begin an escape; write %25"
        raise ValueError(msg)
    if any(segment.partition(";")[0] in {".", ".."} for segment in re.split(r"[/\\]", unquote(path))):
        msg = "has a . or .. in its path; write where it leads"
        raise ValueError(msg)
    return Address(scheme, host, port, quote(path, safe=_PATH_SAFE), quote(query, safe=_QUERY_SAFE))


def _authority(authority: str, default_port: int) -> tuple[str, int]:
    if "@" in authority:
        msg = "has a user name or password; they do not belong in a url"
        raise ValueError(msg)
    parts = _PORT.fullmatch(authority)
    if parts is None:
        msg = "has a port or host that cannot be read"
        raise ValueError(msg)
    port = int(parts["port"]) if parts["port"] else default_port
    if not 0 < port < 65536:  # noqa: PLR2004 - TCP's ports
        msg = "has a port outside of 1 to 65535"
        raise ValueError(msg)
    return host_of(parts["host"]), port


def host_of(written: str) -> str:
    """A host in its one form: ASCII, lower-case, no trailing dot, addresses as they are printed. ValueError."""
    if written.startswith("["):
        return (
            str(ipaddress.IPv6Address(written[1:-1])) if "%" not in written else _no_host("has a zone in its address")
        )
    try:
        host = (written if written.isascii() else idna.encode(written, uts46=True, std3_rules=True).decode()).lower()
    except (idna.IDNAError, UnicodeError):
        return _no_host("has a host that is no international domain name")
    host = host.removesuffix(".")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            return _no_host("has a number for a host; write an address as four numbers")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004 - RFC 1035
        return _no_host("has no host that could exist")
    return host


def _no_host(why: str) -> str:
    raise ValueError(why)


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is the open internet's. One that wraps another (mapped, 6to4, Teredo, NAT64) never is."""
    wraps = isinstance(address, ipaddress.IPv6Address) and (
        any(address in network for network in _WRAPPING) or address.ipv4_mapped or address.sixtofour or address.teredo
    )
    return address.is_global and not address.is_multicast and not wraps


def named_in(text: str, address: Address) -> bool:
    """Whether the requester's own words name this host, and this port where it is not the scheme's own.

    A whole name only: `example.com` is not named by `example.com.evil.net`, `notexample.com` or `me@example.com`; a
    Korean particle may follow it. A name outside of ASCII never counts, since it may only look like another: the
    workspace's list is the place for it.
    """
    if address.host.startswith("xn--") or ".xn--" in address.host or not text:
        return False
    host = re.escape(f"[{address.host}]" if ":" in address.host else address.host)
    named = re.compile(
        rf"(?<![\w.@-]){host}(?::(?P<port>[0-9]{{1,5}}))?(?![A-Za-z0-9_@-])(?!\.\w)(?![^\W\d_\uac00-\ud7a3])",
        re.IGNORECASE,
    )
    usual = address.port == PORTS[address.scheme]
    return any((match["port"] == str(address.port)) if match["port"] else usual for match in named.finditer(text))
