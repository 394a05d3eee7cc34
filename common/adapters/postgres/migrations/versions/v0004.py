"""0004: the ledger is kept for as long as it is set to, and no longer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run 0004.sql."""
    # on the driver itself: it takes many statements at once, and no colon or percent sign is a parameter
    raw: Any = op.get_bind().connection.dbapi_connection
    raw.execute_simple((Path(__file__).parents[1] / "0004.sql").read_text(encoding="utf-8"))
