"""Whether a provider fails on one text or on all, from what became of the calls about it."""

from __future__ import annotations

import pytest

from common.core.unanswered import Tried, Unanswered, in_a_row

# a call with others that failed, one alone that failed, both after others were answered; and answers
PACK, ALONE = Tried(answered=False, alone=False, others=False), Tried(answered=False, alone=True, others=False)
PACK_ONLY, ALONE_ONLY = Tried(False, False, True), Tried(False, True, True)
PACK_READ, READ = Tried(True, False, True), Tried(True, True, True)


@pytest.mark.parametrize(
    ("tries", "calls", "alone"),
    [
        ([], 0, 0),
        ([PACK], 1, 0),
        ([PACK, PACK_ONLY], 2, 0),
        ([PACK] * 50, 1, 0),  # the provider is down
        ([PACK, *[ALONE] * 50], 1, 1),
        ([PACK, PACK_ONLY, ALONE_ONLY, ALONE_ONLY, ALONE_ONLY], 5, 3),
        ([ALONE, ALONE_ONLY, ALONE, ALONE_ONLY], 3, 3),
        ([ALONE, ALONE_ONLY, READ, ALONE], 1, 1),
        ([PACK, PACK_ONLY, PACK_READ], 0, 0),
        # with others it is read, and alone, to be repaired, it fails again and again
        ([PACK_READ, ALONE_ONLY] * 3, 1, 3),
    ],
)
def test_failures_count_while_others_are_answered(tries: list[Tried], calls: int, alone: int) -> None:
    """An outage counts once, however long it is; an answer ends the row."""
    assert in_a_row(tries) == Unanswered(calls, alone)
