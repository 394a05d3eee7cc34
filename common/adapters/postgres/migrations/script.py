"""A migration is a file of SQL: how its version runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import op


def run(revision: str) -> None:
    """Run that revision's file, in the transaction that `migrate` opened."""
    # on the driver itself: it takes many statements at once, and no colon or percent sign is a parameter
    raw: Any = op.get_bind().connection.dbapi_connection
    raw.execute_simple((Path(__file__).parent / f"{revision}.sql").read_text(encoding="utf-8"))
