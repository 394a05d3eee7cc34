"""Workspace: versioned settings, the policy that they add up to, and the pause."""

from __future__ import annotations

from common.core.policy import Host
from common.core.task import Risk, State
from tests.contract.ground import Ground


def test_a_fresh_workspace_runs_only_what_is_low(ground: Ground) -> None:
    """The shipped threshold, no pause; people may approve their own while they are alone."""
    policy = ground.workspace.policy(ground.home)
    assert (policy.autorun, policy.pause, policy.self_approval) == (Risk.LOW, None, False)
    assert ground.workspace.policy(ground.neighbour).self_approval


def test_a_change_is_versioned_and_in_force_at_once(ground: Ground) -> None:
    """Each change raises the setting's own version."""
    first = ground.workspace.put(ground.home, "hosts", [{"name": "api.example.com"}], None, ground.rules.id)
    second = ground.workspace.put(ground.home, "hosts", [], None, ground.rules.id)
    assert first is not None
    assert second is not None
    assert second.version == first.version + 1
    assert not second.inherited


def test_a_change_on_a_version_that_has_passed_is_refused(ground: Ground) -> None:
    """If-Match: of two admins at once, the later one is told."""
    row = ground.workspace.put(ground.home, "hosts", [], 0, ground.rules.id)
    assert row is not None
    assert ground.workspace.put(ground.home, "hosts", [{"name": "x.example"}], 0, ground.rules.id) is None
    assert ground.workspace.put(ground.home, "hosts", [{"name": "x.example"}], row.version, ground.rules.id) is not None
    assert ground.workspace.policy(ground.home).hosts == (Host(name="x.example"),)


def test_a_workspaces_settings_are_its_own(ground: Ground) -> None:
    """Another workspace keeps what it has."""
    before = ground.workspace.policy(ground.neighbour)
    ground.workspace.put(ground.home, "policy", {"autorun": "high"}, None, ground.rules.id)
    assert ground.workspace.policy(ground.home).autorun is Risk.HIGH
    assert ground.workspace.policy(ground.neighbour) == before


def test_every_setting_is_listed_by_name(ground: Ground) -> None:
    """The list tells what is inherited."""
    ground.workspace.put(ground.home, "hosts", [], None, ground.rules.id)
    rows = {row.name: row for row in ground.workspace.settings(ground.home)}
    assert {"policy", "pause", "hosts"} <= set(rows)
    assert not rows["hosts"].inherited


def test_a_pause_says_why_and_does_not_touch_the_policys_version(ground: Ground) -> None:
    """A pause stops execution; nothing has to be assessed again after it."""
    before = ground.version()
    ground.workspace.pause(ground.home, "invoice run", ground.rules.id)
    pause = ground.workspace.policy(ground.home).pause
    assert pause is not None
    assert pause.why == "invoice run"
    ground.workspace.pause(ground.home, None, ground.rules.id)
    assert ground.workspace.policy(ground.home).pause is None
    assert ground.version() == before


def test_what_waits_under_an_older_policy_is_reassessable(ground: Ground) -> None:
    """I5: a changed policy is applied to what already waits."""
    waiting = ground.submit(State.AWAITING_APPROVAL)
    assert ground.workspace.workspaces_reassessable(10) == []
    ground.workspace.put(ground.home, "policy", {"autorun": "high"}, None, ground.rules.id)
    fresh = ground.submit(State.AWAITING_APPROVAL)
    assert [t.id for t in ground.workspace.workspaces_reassessable(10)] == [waiting.id]
    assert fresh.id != waiting.id
