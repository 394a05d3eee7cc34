"""One stack for all kills, under load from the first to the last of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.storm import Storm


@pytest.fixture(scope="package")
def storm() -> Iterator[Storm]:
    """It runs and is loaded."""
    found = Storm()
    try:
        found.start()
        found.load.start()
        yield found
    finally:
        found.close()
