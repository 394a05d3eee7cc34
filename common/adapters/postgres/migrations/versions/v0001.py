"""0001: the first data model."""

from __future__ import annotations

from common.adapters.postgres.migrations import script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run 0001.sql."""
    script.run(revision)
