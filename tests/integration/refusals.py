"""Statements that the database has to refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pg8000.exceptions import DatabaseError

from common.adapters.postgres.connection import Database, DataError
from tests.postgres import Place

Refuses = Callable[..., None]


@pytest.fixture
def refuses(postgres_module: Place) -> Refuses:
    """Runs a statement as the owner, and expects the named constraint (or trigger) to refuse it."""

    def run(constraint: str, sql: str, *params: object) -> None:
        with pytest.raises(DataError) as caught:
            postgres_module.owner.run(sql, *map(str, params))
        assert caught.value.constraint == constraint

    return run


def not_permitted(place: Place, role: str, sql: str) -> None:
    """Runs a statement as one of our roles, and expects PostgreSQL to say that it is not that role's to run."""
    database: Database = getattr(place, role)
    with pytest.raises(DatabaseError, match="42501"):
        database.run(sql)
