"""Histories of batches that once broke I7, as small as they got: no draw of today's moves need meet them again."""

from __future__ import annotations

from typing import Final

import pytest

from tests.simulator.histories import run
from tests.simulator.moves import Move

HISTORIES: Final = {
    "made twice, and no line of either names anything": (
        2945,
        Move("submit", pick=56),
        Move("submit", pick=35),
        Move(
            "economy",
            pick=5,
            moods=("ok", "reset_after", "reset_after"),
            inside=((3, Move("economy", pick=5, moods=("refuse", "ok", "reset_before"))),),
        ),
        Move("batches_end", moods=("lost", "unsure")),
    ),
    "taken for another's, which is without an answer itself": (
        13723,
        Move("submit", pick=104),
        Move("economy", pick=50, moods=("reset_before", "refuse")),
        Move("others_batch", pick=22),
        Move("advance", pick=40, seconds=305),
        Move("submit", pick=89),
        Move("economy", pick=49, moods=("reset_after",)),
    ),
    "taken for another's by a process that reads meanwhile": (
        8300,
        Move("submit", pick=124),
        Move("economy", pick=16, moods=("reset_before", "ok", "reset_after")),
        Move("key", pick=30),
        Move("key", pick=49),
        Move("submit", pick=160),
        Move("others_batch", pick=54),
        Move(
            "analyze",
            pick=18,
            moods=("grave", "high", "ok"),
            inside=((1, Move("advance", seconds=185)), (1, Move("economy", pick=41, moods=("reset_after", "ok")))),
        ),
    ),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_what_once_was_billed_and_stood_nowhere(name: str) -> None:
    """I7: every batch that was billed stands in the ledger with what it cost at least."""
    seed, *moves = HISTORIES[name]
    assert isinstance(seed, int)
    assert run(seed, [move for move in moves if isinstance(move, Move)]) is None
