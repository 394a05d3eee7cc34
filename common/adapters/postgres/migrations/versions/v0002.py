"""0002: the Claude layer."""

from __future__ import annotations

from common.adapters.postgres.migrations import script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run 0002.sql."""
    script.run(revision)
