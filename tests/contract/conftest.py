"""One suite for every adapter: each test runs over memory and over PostgreSQL."""

from __future__ import annotations

from typing import cast

import pytest

from tests.contract.ground import Ground
from tests.contract.in_memory import over_memory
from tests.postgres import Place, ground_on


@pytest.fixture
def memory_ground() -> Ground:
    """The memory adapters over a fresh store."""
    return over_memory()


@pytest.fixture
def postgres_ground(postgres_module: Place) -> Ground:
    """The PostgreSQL adapters over the module's database, emptied: a clone for each test would cost half a second."""
    owner = postgres_module.owner
    [[tables]] = owner.run(
        "SELECT string_agg(format('%I', tablename), ', ') FROM pg_tables "
        "WHERE schemaname = 'public' AND tablename <> 'meta'"
    )
    owner.run(f"TRUNCATE {tables}")
    owner.run("INSERT INTO settings (workspace, name, version) VALUES (NULL, 'pause', 0), (NULL, 'policy', 0)")
    return ground_on(postgres_module)


@pytest.fixture(params=["memory", "postgres"])
def ground(request: pytest.FixtureRequest) -> Ground:
    """Lazy: a missing server costs its own cases only."""
    return cast(Ground, request.getfixturevalue(f"{request.param}_ground"))
