"""What the integration tests share; PostgreSQL itself comes from tests/postgres.py."""

from __future__ import annotations

import pytest

from tests.contract.ground import Ground
from tests.postgres import Place, ground_on


@pytest.fixture(scope="module")
def shared_ground(postgres_module: Place) -> Ground:
    """The adapters over one database a module: for tests that each look at their own task only."""
    return ground_on(postgres_module)
