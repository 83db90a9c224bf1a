"""How Alembic reaches the database: over the connection that ``Database`` hands it, and only so.

The transaction and the lock are the caller's, so that two processes that open a catalog at once
migrate it one after the other.
"""

from __future__ import annotations

from alembic import context

from relcast.catalog.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,
)
context.run_migrations()
