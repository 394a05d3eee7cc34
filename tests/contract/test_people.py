"""People: members, and tokens of which only the hash is stored."""

from __future__ import annotations

from datetime import timedelta

import pytest

from common.core.errors import Conflict, NotFound
from tests.contract.ground import Ground, fresh_id, secret

HOUR = timedelta(hours=1)


def test_a_token_tells_who_asks(ground: Ground) -> None:
    """A person in one workspace, with one role."""
    who = ground.people.principal(ground.decides.token)
    assert who is not None
    assert (who.person, who.person_name, who.workspace, who.role) == (ground.decides.id, "Bo", ground.home, "approver")
    assert who.kind == "api"
    assert ground.people.principal(secret("nobody")) is None


def test_members_are_listed_by_name(ground: Ground) -> None:
    """Only the workspace's own."""
    assert [(p.name, p.role) for p in ground.people.people(ground.home)] == [
        ("Ada", "operator"),
        ("Bo", "approver"),
        ("Cy", "admin"),
    ]


def test_a_token_expires_and_can_be_revoked_by_its_short_id(ground: Ground) -> None:
    """An ended token is nobody's."""
    short, long = secret("short"), secret("long")
    ground.people.issue(ground.home, ground.asks.id, "api", short, timedelta(minutes=5))
    row = ground.people.issue(ground.home, ground.asks.id, "api", long, None)
    assert row.id == long[:16]
    ground.elapse(timedelta(minutes=6))
    assert ground.people.principal(short) is None
    assert ground.people.revoke(ground.home, row.id)
    assert not ground.people.revoke(ground.home, row.id)
    assert ground.people.principal(long) is None


def test_only_valid_tokens_are_listed(ground: Ground) -> None:
    """The list shows ids, never secrets."""
    listed = {row.id for row in ground.people.tokens(ground.home)}
    assert listed == {m.token[:16] for m in (ground.asks, ground.decides, ground.rules)}
    ground.people.revoke(ground.home, ground.asks.token)
    assert ground.asks.token[:16] not in {row.id for row in ground.people.tokens(ground.home)}


def test_another_workspace_cannot_revoke(ground: Ground) -> None:
    """Another workspace's token is absent."""
    assert not ground.people.revoke(ground.neighbour, ground.asks.token)


def test_a_token_reaches_no_further_than_its_person(ground: Ground) -> None:
    """`role` narrows, never widens."""
    wide = ground.people.issue(ground.home, ground.asks.id, "api", secret("wide"), None, "admin")
    narrow = ground.people.issue(ground.home, ground.rules.id, "api", secret("narrow"), None, "viewer")
    assert (wide.role, narrow.role) == ("operator", "viewer")


def test_only_members_get_tokens(ground: Ground) -> None:
    """A stranger, and a member of another workspace, are not found."""
    for person in (fresh_id(), ground.outsider.id):
        with pytest.raises(NotFound):
            ground.people.issue(ground.home, person, "api", secret("x"), None)


def test_a_removed_person_is_out_at_once(ground: Ground) -> None:
    """The membership ends with every token of it."""
    assert ground.people.remove_person(ground.home, ground.asks.id)
    assert ground.people.principal(ground.asks.token) is None
    assert not ground.people.remove_person(ground.home, ground.asks.id)


def test_the_last_admin_stays(ground: Ground) -> None:
    """Nobody can lock everybody out."""
    with pytest.raises(Conflict):
        ground.people.remove_person(ground.home, ground.rules.id)
    ground.people.add_person(ground.home, "Di", "admin")
    assert ground.people.remove_person(ground.home, ground.rules.id)


def test_a_sign_in_code_becomes_one_session(ground: Ground) -> None:
    """A code works once, and is no token itself."""
    code, session = secret("code"), secret("session")
    ground.people.issue(ground.home, ground.decides.id, "sign_in_code", code, timedelta(minutes=10))
    assert ground.people.principal(code) is None
    who = ground.people.redeem(code, session, HOUR)
    assert who is not None
    assert (who.person, who.kind, who.role) == (ground.decides.id, "session", "approver")
    assert ground.people.redeem(code, secret("again"), HOUR) is None
    assert ground.people.principal(session) == who
    ground.elapse(2 * HOUR)
    assert ground.people.principal(session) is None


def test_an_old_code_is_no_code(ground: Ground) -> None:
    """Ten minutes, then another is needed."""
    code = secret("code")
    ground.people.issue(ground.home, ground.decides.id, "sign_in_code", code, timedelta(minutes=10))
    ground.elapse(timedelta(minutes=11))
    assert ground.people.redeem(code, secret("session"), HOUR) is None


def test_an_api_token_is_no_code(ground: Ground) -> None:
    """Only a sign-in code can be redeemed."""
    assert ground.people.redeem(ground.decides.token, secret("session"), HOUR) is None
