"""0003: fewer index entries for each transition."""

from __future__ import annotations

from common.adapters.postgres.migrations import script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run 0003.sql."""
    script.run(revision)
