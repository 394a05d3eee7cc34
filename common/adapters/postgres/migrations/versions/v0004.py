"""0004: the ledger is kept for as long as it is set to, and no longer."""

from __future__ import annotations

from common.adapters.postgres.migrations import script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run 0004.sql."""
    script.run(revision)
