"""The simulator must be able to fail: each deliberately wrong part is noticed, and by the invariant that it breaks."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import FunctionType
from typing import Final

import pytest

from tests.simulator.broken import VARIANTS, Variant
from tests.simulator.broken_claude import CLAUDE_VARIANTS
from tests.simulator.histories import FAST, first_failure, shrunk

ENOUGH: Final = 10_000  # histories within which a wrong part must be noticed; most need a few dozen
ALL: Final = (*VARIANTS, *CLAUDE_VARIANTS)
PLAYED: Final = ALL[::6] if FAST else ALL


def _name(variant: Variant) -> str:
    return variant.name.replace(" ", "-")


def _overridden(variant: Variant) -> Iterator[tuple[type, str]]:
    """What its own classes do differently."""
    for part in (variant.queue, *variant.parts.values()):
        for one in inspect.getmro(part):
            if one.__module__.startswith("tests.simulator.broken"):
                yield from ((one, name) for name, made in vars(one).items() if isinstance(made, FunctionType))


@pytest.mark.parametrize("variant", ALL, ids=_name)
def test_a_wrong_part_takes_the_place_of_a_right_one(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that moved is told at once: beside the product a variant breaks nothing, or only when it is played."""
    variant.patch(monkeypatch)  # AttributeError where the product has no such name
    dead = [f"{one.__name__}.{name}" for one, name in _overridden(variant) if not hasattr(one.__base__, name)]
    assert not dead, f"nothing calls {dead}"


@pytest.mark.parametrize("variant", PLAYED, ids=_name)
def test_a_wrong_part_is_noticed(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    """I2-I7, I9, I10, I12, pause, cancel, flight: a condition less, and a history breaks what it was there for."""
    variant.patch(monkeypatch)
    failure = first_failure(range(variant.first, variant.first + ENOUGH), variant.world)
    assert failure is not None, f"nobody noticed {variant.name}"
    assert failure.why.split(":")[0] in variant.noticed_by, str(shrunk(failure, variant.world))
