"""A training that is asked to stop may be asked to publish its best so far."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what a cancel says of the best so far; earlier ones kept nothing."""
    op.add_column(
        "jobs",
        sa.Column("keep_best", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
