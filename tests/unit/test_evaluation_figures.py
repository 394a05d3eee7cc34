"""Shares with intervals, percentiles and paired tests, held to values that are known from elsewhere."""

from __future__ import annotations

import pytest

from evaluation.figures import Paired, Share, paired, percentile, share_of


@pytest.mark.parametrize(
    ("yes", "of", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_intervals_are_wilsons(yes: int, of: int, low: float, high: float) -> None:
    """Right for none and for all, too."""
    assert Share(yes, of).interval == pytest.approx((low, high), abs=0.00006)


def test_nothing_has_no_share() -> None:
    """And could be anything."""
    nothing = share_of([None, None])
    assert (nothing.rate, nothing.interval) == (None, (0.0, 1.0))
    assert share_of([True, None, False, False]) == Share(1, 3)


def test_percentiles_are_values_that_occurred() -> None:
    """By the nearest rank."""
    assert percentile([5, 1, 3, 2, 4], 0.5) == 3
    assert percentile([5, 1, 3, 2, 4], 0.95) == 5
    assert percentile([7], 0.5) == 7
    assert percentile([], 0.5) is None


@pytest.mark.parametrize(
    ("first", "second", "p"), [(0, 0, 1.0), (1, 0, 1.0), (0, 5, 0.0625), (0, 6, 0.03125), (2, 10, 0.03857), (5, 5, 1.0)]
)
def test_the_paired_test_is_mcnemars_exact_one(first: int, second: int, p: float) -> None:
    """The binomial of those that differ, both tails."""
    assert Paired(first, second).p == pytest.approx(p, abs=0.00001)


def test_only_pairs_with_two_answers_count() -> None:
    """A task that one run did not answer says nothing of a difference."""
    assert paired([(True, False), (False, True), (True, True), (None, True), (False, None)]) == Paired(1, 1)
