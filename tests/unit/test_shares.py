"""Whose effects begin: every workspace that comes finds a thread."""

from __future__ import annotations

from uuid import UUID

import pytest

from functions.execute.shares import begin_now

A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)


@pytest.mark.parametrize(("threads", "taken"), [(1, 1), (2, 2), (4, 3), (8, 6), (32, 24), (256, 192)])
def test_one_workspace_leaves_a_quarter_to_others(threads: int, taken: int) -> None:
    """Whoever comes next finds a thread, where there are some to share; of one or two there are none to keep."""
    assert begin_now([A] * 300, {}, threads) == list(range(taken))


def test_who_comes_second_begins_beside_any_number_of_the_first() -> None:
    """A hundred that wait are not in front of one of another workspace."""
    assert begin_now([A] * 100 + [B], {A: 24}, 8) == [100]


def test_who_comes_third_finds_a_thread_too() -> None:
    """The second takes three quarters of what the first left, and so on."""
    assert begin_now([B] * 100, {A: 24}, 8) == list(range(6))
    assert begin_now([A, B, C, C], {A: 24, B: 6}, 2) == [2, 3]


def test_who_holds_least_is_next_and_the_oldest_of_its_own() -> None:
    """Threads that come free go round between workspaces."""
    assert begin_now([A, A, B, B, A], {A: 1}, 8)[:4] == [2, 0, 3, 1]


def test_nothing_begins_without_a_thread_or_a_wish() -> None:
    """Empty in, empty out."""
    assert begin_now([A, B], {A: 16, B: 16}, 0) == []
    assert begin_now([], {A: 3}, 29) == []
