"""From what a request says about a source to a connector and table that the platform knows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from kumoapi.graph import GraphDefinition
from kumoapi.source_table import SourceTableType

from relcast.core.errors import Conflict
from relcast.server.wire.source_tables import Location, location_of
from relcast.sources import SourceRef

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["known_sources", "resolve", "source_of", "sources_of"]


def resolve(platform: Platform, location: Location, table: str) -> SourceRef:
    """Return connector and table; a plain root becomes its stable connector.

    Raises ``connector.not_found``, and ``source.outside_roots`` for roots that may not be read.
    """
    if location.connector_id is not None:
        return SourceRef(location.connector_id, table)
    return SourceRef(_connector_at(platform, location.root or ""), table)


def _connector_at(platform: Platform, root: str) -> str:
    """Return the id of the connector of a directory, made when there is none yet."""
    directory = _directory(root)
    known = next((c for c in platform.connectors() if c.root == directory), None)
    if known is None:
        mark = hashlib.sha256(directory.encode()).hexdigest()[:8]
        name = f"{Path(directory).name} ({mark})"
        try:
            known = platform.create_connector(name, "file", directory)
        except Conflict:  # another request was first
            known = platform.connector(name)
    return known.id


def _directory(root: str) -> str:
    return str(Path(root).expanduser().resolve())


def known_sources(platform: Platform, definition: GraphDefinition) -> dict[str, SourceRef] | None:
    """Return what ``sources_of`` would without making any connector; None where it would."""
    roots = {c.root: c.id for c in platform.connectors()}
    found = {}
    for name, table in definition.tables.items():
        place = location_of(table.source_table)
        connector = place.connector_id or roots.get(_directory(place.root or ""))
        if connector is None:
            return None
        found[name] = SourceRef(connector, place.table or "")
    return found


def source_of(platform: Platform, source: SourceTableType) -> SourceRef:
    """Return connector and table of a wire source table."""
    location = location_of(source)
    return resolve(platform, location, location.table or "")


def sources_of(platform: Platform, definition: GraphDefinition) -> dict[str, SourceRef]:
    """Return connector and table of every table of a graph definition."""
    return {
        name: source_of(platform, table.source_table) for name, table in definition.tables.items()
    }
