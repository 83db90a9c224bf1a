"""Connectors: the named directories that tables come from."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from relcast.catalog.database import Database
from relcast.catalog.records import ConnectorRecord
from relcast.catalog.tables import connectors
from relcast.core.clock import Clock
from relcast.core.errors import Conflict, NotFound, nearest

__all__ = ["Connectors"]


class Connectors:
    """The connectors of a catalog."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, connector_id: str, name: str, kind: str, root: str | None) -> ConnectorRecord:
        """Store a connector; raises ``connector.name_taken`` when its name or id is in use."""
        record = ConnectorRecord(connector_id, name, kind, root, self._clock())
        try:
            with self._database.write() as connection:
                connection.execute(
                    sa.insert(connectors).values(
                        id=connector_id,
                        name=name,
                        kind=kind,
                        root=root,
                        created_at=record.created_at,
                    )
                )
        except IntegrityError:
            raise Conflict(
                f"There is already a connector named {name!r}",
                code="connector.name_taken",
                hint="Choose another name, or delete that connector first.",
            ) from None
        return record

    def find(self, id_or_name: str) -> ConnectorRecord | None:
        """Return the connector of that id or, failing that, of that name."""
        with self._database.read() as connection:
            for column in (connectors.c.id, connectors.c.name):
                row = connection.execute(
                    sa.select(connectors).where(column == id_or_name)
                ).one_or_none()
                if row is not None:
                    return _record(row)
        return None

    def get(self, id_or_name: str) -> ConnectorRecord:
        """Return the connector of that id or name; raises ``connector.not_found``."""
        record = self.find(id_or_name)
        if record is None:
            raise NotFound(
                f"There is no connector {id_or_name!r}",
                code="connector.not_found",
                hint=nearest(id_or_name, [c.name for c in self.all()]),
            )
        return record

    def all(self) -> list[ConnectorRecord]:
        """Return every connector, by name."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(connectors).order_by(connectors.c.name))
            return [_record(row) for row in rows]

    def delete(self, id_or_name: str) -> None:
        """Forget a connector; raises ``connector.not_found``."""
        with self._database.write() as connection:
            record = self.get(id_or_name)
            connection.execute(sa.delete(connectors).where(connectors.c.id == record.id))


def _record(row: sa.Row[Any]) -> ConnectorRecord:
    return ConnectorRecord(row.id, row.name, row.kind, row.root, row.created_at)
