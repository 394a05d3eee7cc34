"""Requests to the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from common.core.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """An outbound request of an action; `secret`-free by construction (I11)."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float = 30.0  # seconds, whole
    from_settings: bool = (
        False  # the URL is an admin's (a channel, a function), not a plan's: private addresses are allowed
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """Its answer, redirects followed."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str


class HttpFailure(Exception):
    """No answer. `sent`: whether a byte of the request may have reached the far side."""

    def __init__(self, code: str, *, sent: bool, detail: str = "") -> None:
        """`code`: connect_failed, dns_failed, tls_failed, timeout, reset, refused_address, too_large and so on."""
        super().__init__(detail or code)
        self.code = code
        self.sent = sent


class Http(Protocol):
    """Requests to the world: resolved once, private addresses refused unless listed; size, time, redirects limited."""

    def send(self, request: HttpRequest, policy: Policy) -> HttpResponse:
        """HttpFailure if there is no answer."""
