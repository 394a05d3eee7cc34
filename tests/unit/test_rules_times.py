"""Times as people write them, in the workspace's zone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from common.core.policy import Policy
from tests.unit.wordings import NOW, SEOUL, steps_of


def until(text: str, policy: Policy = SEOUL, now: datetime = NOW) -> str | None:
    """The time to which a reminder waits; None where a person has to look."""
    steps = steps_of(text, policy, now)
    return None if steps is None else str(steps[0][1]["until"])


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("3시에", "2026-11-24T15:00:00+09:00"),  # it is 10:00: the next three o'clock by day
        ("9시에", "2026-11-24T21:00:00+09:00"),
        ("12시에", "2026-11-24T12:00:00+09:00"),
        ("7시에", "2026-11-24T19:00:00+09:00"),
        ("내일 7시에", "2026-11-25T07:00:00+09:00"),
        ("내일 3시에", "2026-11-25T15:00:00+09:00"),
        ("내일 새벽 3시에", "2026-11-25T03:00:00+09:00"),
        ("오전 9시에", "2026-11-25T09:00:00+09:00"),
        ("오후 3시 30분에", "2026-11-24T15:30:00+09:00"),
        ("오후 세 시 반에", "2026-11-24T15:30:00+09:00"),
        ("15시 5분에", "2026-11-24T15:05:00+09:00"),
        ("15:05에", "2026-11-24T15:05:00+09:00"),
        ("03:00에", "2026-11-25T03:00:00+09:00"),
        ("내일 0시에", "2026-11-25T00:00:00+09:00"),
        ("저녁 7시에", "2026-11-24T19:00:00+09:00"),
        ("밤 11시에", "2026-11-24T23:00:00+09:00"),
        ("정오에", "2026-11-24T12:00:00+09:00"),
        ("모레 오후 2시에", "2026-11-26T14:00:00+09:00"),
        ("12월 1일 오후 3시에", "2026-12-01T15:00:00+09:00"),
        ("1월 5일 오전 9시에", "2027-01-05T09:00:00+09:00"),
        ("2026-12-01 15:00에", "2026-12-01T15:00:00+09:00"),
    ],
)
def test_a_korean_clock_time(said: str, meant: str) -> None:
    """It is ten in the morning in Seoul."""
    assert until(f"{said} 회의 알림 줘") == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("at 3pm", "2026-11-24T15:00:00+09:00"),
        ("at 3:30 p.m.", "2026-11-24T15:30:00+09:00"),
        ("at 9", "2026-11-24T21:00:00+09:00"),
        ("tomorrow at 9", "2026-11-25T09:00:00+09:00"),
        ("at 9:15 tomorrow", "2026-11-25T09:15:00+09:00"),
        ("tomorrow at 12am", "2026-11-25T00:00:00+09:00"),
        ("today at 15:00", "2026-11-24T15:00:00+09:00"),
        ("at noon", "2026-11-24T12:00:00+09:00"),
        ("the day after tomorrow at 8 am", "2026-11-26T08:00:00+09:00"),
        ("on 2026-12-01 at 15:00", "2026-12-01T15:00:00+09:00"),
    ],
)
def test_an_english_clock_time(said: str, meant: str) -> None:
    """The same clock, the same zone."""
    assert until(f"remind me {said} to call Ann") == meant


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("10분 뒤에", 600), ("한 시간 후에", 3600), ("1시간 30분 뒤에", 5400), ("두 시간 반 뒤에", 9000),
        ("30초 후에", 30), ("하루 뒤에", 86400), ("3일 뒤에", 259200), ("반시간 뒤에", 1800),
    ],
)  # fmt: skip
def test_a_korean_span(said: str, seconds: int) -> None:
    """A span counts from when the plan begins."""
    assert steps_of(f"{said} 회의 알림 줘") == [("wait", {"seconds": seconds}), ("value", {"value": "회의"})]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("in 10 minutes", 600), ("in an hour", 3600), ("in half an hour", 1800), ("in 1 hour and 30 minutes", 5400),
        ("in two days", 172800), ("in 45 secs", 45), ("20 minutes from now", 1200),
    ],
)  # fmt: skip
def test_an_english_span(said: str, seconds: int) -> None:
    """Numbers as digits or as words."""
    steps = steps_of(f"remind me {said} to call Ann")
    assert steps == [("wait", {"seconds": seconds}), ("value", {"value": "call Ann"})]


@pytest.mark.parametrize(
    "said",
    [
        "오늘 오전 9시에", "25시에", "3시 75분에", "밤 12시에", "오전 15시에", "2월 30일 오후 3시에",
        "2020-01-01 15:00에",
        "400일 뒤에", "0분 뒤에", "2시 반쯤", "2시 전에", "2시 쯤에", "2시",
    ],
)  # fmt: skip
def test_a_time_that_has_passed_or_does_not_exist_is_a_persons(said: str) -> None:
    """Whether 밤 12시 begins or ends the day is not for a pattern to say."""
    assert steps_of(f"{said} 회의 알림 줘") is None


def test_an_hour_that_summer_time_skips_or_repeats_is_a_persons() -> None:
    """In New York 02:30 does not exist on 8 March 2026, and 01:30 happens twice on 1 November."""
    new_york = Policy(time_zone="America/New_York")
    march = datetime(2026, 3, 8, 1, 0, tzinfo=UTC)
    assert until("remind me on 2026-03-08 at 02:30 to call", new_york, march) is None
    assert until("remind me on 2026-03-08 at 03:30 to call", new_york, march) == "2026-03-08T03:30:00-04:00"
    autumn = datetime(2026, 10, 31, 12, 0, tzinfo=UTC)
    assert until("remind me on 2026-11-01 at 01:30 to call", new_york, autumn) is None


def test_a_zone_that_nobody_knows_makes_no_time() -> None:
    """A wrong setting never moves an appointment."""
    assert until("remind me at 3pm to call Ann", Policy(time_zone="Mars/Olympus")) is None
