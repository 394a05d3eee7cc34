"""0005: what a process that is taken over may still write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run 0005.sql."""
    # on the driver itself: it takes many statements at once, and no colon or percent sign is a parameter
    raw: Any = op.get_bind().connection.dbapi_connection
    raw.execute_simple((Path(__file__).parents[1] / "0005.sql").read_text(encoding="utf-8"))
