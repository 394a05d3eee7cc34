"""Settings are read by one parser a name: whatever it takes can be read back, and nothing else is taken."""

from __future__ import annotations

import pytest

from common.core.errors import Invalid
from common.core.installation import host_from, parse_setting, policy_from
from common.core.task import Json


@pytest.mark.parametrize(
    "text", ["[......]", "[::1", "[fe80::1%eth0]", "a b", "api.example.com/x", "x:99999", "", "[]"]
)
def test_what_is_no_host_is_refused(text: str) -> None:
    """A host that could not be read back would stop everything that reads the policy."""
    with pytest.raises(Invalid):
        host_from(text)


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [("API.example.com", "api.example.com", None), ("[::0001]:80", "::1", 80), ("한국.kr", "xn--3e0b707e.kr", None)],
)
def test_a_host_is_kept_in_the_form_that_addresses_are_compared_in(text: str, name: str, port: int | None) -> None:
    """Capitals, long IPv6 forms and names in other scripts are one host each."""
    host = host_from(text)
    assert (host.name, host.port) == (name, port)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("policy", {"autorun": []}),
        ("policy", {"autorun": "extreme"}),
        ("functions", {"f": "http://[x"}),
        ("functions", {"f": "http://x:port/"}),
        ("channels", {"ops": "ftp://x"}),
        ("budget_usd", -1),
        ("time_zone", "Mars/Olympus"),
        ("pause", True),
        ("nothing", 1),
    ],
)
def test_a_value_that_could_not_be_read_back_is_refused_with_a_pointer(name: str, value: Json) -> None:
    """422, never 500, and nothing stored."""
    with pytest.raises(Invalid) as refused:
        parse_setting(name, value)
    assert refused.value.errors[0].pointer.startswith("#")


@pytest.mark.parametrize(
    ("members", "set_to", "allowed"), [(1, None, True), (2, None, False), (2, True, True), (1, False, False)]
)
def test_one_may_approve_ones_own_while_alone_unless_it_is_set(members: int, set_to: Json, allowed: Json) -> None:
    """The second person ends it; what an admin has set holds for any number."""
    stored: dict[str, Json] = {"policy": {"autorun": "low", "self_approval": set_to}}
    assert policy_from(stored, version=1, pause=None, members=members).self_approval is allowed
