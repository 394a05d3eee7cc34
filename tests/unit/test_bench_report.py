"""What `./aiw bench` says of a run: the machine's speed beside the figures, and floors as ratios to the peers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.machine import REFERENCE_SECONDS, scattered, speed_of, work
from bench.report import Figure, Report, floors_as_ratios
from bench.runs import Rounds, ratios

OURS = {
    "by_100": Figure([5000, 6000, 7000]),
    "singly": Figure([1800, 1900, 2000]),
    "p50": Figure([5.0, 5.0, 5.0]),
    "p99": Figure([9.0, 9.0, 9.0]),
    "speed": Figure([0.5, 1.0, 0.8]),
    "pss": Figure([300.0]),
}
THEIRS = {
    "throughput": Figure([500, 1000, 700]),
    "p50": Figure([10.0, 10.0, 10.0]),
    "p99": Figure([9.0, 9.0, 9.0]),
    "pss": Figure([150.0]),
}
REPORT = Report(
    machine={"cores": 2},
    ours=OURS,
    million={},
    finished=0,
    peers={"dramatiq": THEIRS},
    ratios={"dramatiq": ratios(OURS, THEIRS)},
    cpu={"by_100": {"analyze": 77.0}},
    client={"by_100": 1.0},
    idle={"analyze": (0.1, 30.0)},
)


def test_the_speed_is_the_median_of_all_tries_on_all_cores() -> None:
    """One interruption says nothing of the machine; half as fast is 0.5."""
    even = [REFERENCE_SECONDS] * 3
    assert speed_of([even, even]) == 1.0
    assert speed_of([[REFERENCE_SECONDS, 9.0, REFERENCE_SECONDS], even]) == 1.0
    assert speed_of([[2 * REFERENCE_SECONDS] * 3, [2 * REFERENCE_SECONDS] * 3]) == 0.5


def test_the_walk_through_memory_comes_by_every_place() -> None:
    """A short circle would stay in the caches, and the speed would say nothing of what neighbours take."""
    walk = scattered(100)
    at, seen = 0, set()
    for _ in range(100):
        at = walk[at]
        seen.add(at)
    assert seen == set(range(100))
    assert work(walk) > 0


def test_rates_are_also_told_at_the_reference_speed() -> None:
    """Half the rate of a machine that was half as fast is the same product."""
    rounds = Rounds()
    for rate, speed in ((3000.0, 0.5), (6000.0, 1.0)):
        rounds.add("by_100", rate)
        rounds.add("singly", rate / 3)
        rounds.at_speed(speed)
    figures = rounds.done()
    assert figures["by_100_at_speed_1"].rounds == [6000.0, 6000.0]
    assert figures["singly_at_speed_1"].noise == 0
    assert figures["speed"].rounds == [0.5, 1.0]


@pytest.mark.parametrize(
    ("peer", "by_100", "singly"), [("dramatiq", 6.5, 2.2), ("celery", 18.2, 6.1), ("procrastinate", 24.1, 8.0)]
)
def test_a_floor_is_a_ratio_to_what_the_peers_did_then(peer: str, by_100: float, singly: float) -> None:
    """What a slower machine leaves as it is."""
    assert floors_as_ratios(peer) == pytest.approx({"by_100": by_100, "singly": singly}, rel=0.02)
    assert floors_as_ratios("somebody") == {}


def test_ratios_are_taken_round_by_round() -> None:
    """The median of 10, 6 and 10, not the ratio of the medians."""
    found = REPORT.ratios["dramatiq"]
    assert found["by_100"].median == 10.0
    assert found["p50"].median == 0.5
    assert found["pss"].median == 2.0


def test_the_table_says_how_fast_the_machine_was_and_what_the_floors_are_worth() -> None:
    """One line for the machine; beside each ratio the floor's."""
    text = REPORT.text()
    assert "this machine: speed 0.80 (0.50 to 1.00)" in text
    line = next(line for line in text.splitlines() if line.startswith("dramatiq") and "chains/s" in line)
    assert line.split()[-6:] == ["10.0x", ">=", "6.5x", "2.9x", ">=", "2.2x"]
    assert "MISSED" in next(line for line in text.splitlines() if "one a POST, 32" in line)
    assert "this machine" not in replace(REPORT, ours={"by_100": Figure([1.0])}, peers={}).text()


def test_the_document_holds_all_of_it() -> None:
    """For programs that compare runs."""
    document = json.loads(json.dumps(REPORT.document()))
    assert document["ours"]["speed"]["rounds"] == [0.5, 1.0, 0.8]
    assert document["floors_as_ratios"]["dramatiq"]["by_100"] == pytest.approx(6.47, abs=0.01)
    assert document["missed"] == ["singly"]
