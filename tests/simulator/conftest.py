"""`pytest tests/simulator --seed N` plays one history again and prints it."""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The seed; where options cannot be given, AIW_SEED says it."""
    parser.addoption("--seed", type=int, default=None, help="play this history of the simulator again")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int | None:
    """The one history that is asked for, if one is."""
    given: int | None = request.config.getoption("--seed", default=None)
    from_environment = os.environ.get("AIW_SEED")
    return int(from_environment) if given is None and from_environment else given


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With a seed only that history is played."""
    if config.getoption("--seed", default=None) is None:
        return
    played = [item for item in items if "seed" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in played])
    items[:] = played
