"""The simulator must be able to fail: each deliberately wrong part is noticed, and by the invariant that it breaks."""

from __future__ import annotations

import pytest

from tests.simulator.broken import VARIANTS, Variant
from tests.simulator.broken_claude import CLAUDE_VARIANTS
from tests.simulator.histories import first_failure, shrunk

ENOUGH = 10_000  # histories within which a wrong part must be noticed; most need a few dozen


@pytest.mark.parametrize("variant", [*VARIANTS, *CLAUDE_VARIANTS], ids=lambda variant: variant.name.replace(" ", "-"))
def test_a_wrong_part_is_noticed(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    """I2-I7, I9, I10, I12, pause, cancel, flight: a condition less, and a history breaks what it was there for."""
    variant.patch(monkeypatch)
    failure = first_failure(range(ENOUGH), variant.world)
    assert failure is not None, f"nobody noticed {variant.name}"
    assert failure.why.split(":")[0] in variant.noticed_by, str(shrunk(failure, variant.world))
