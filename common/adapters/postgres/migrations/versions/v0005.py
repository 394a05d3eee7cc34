"""0005: what a process that is taken over may still write."""

from __future__ import annotations

from common.adapters.postgres.migrations import script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run 0005.sql."""
    script.run(revision)
