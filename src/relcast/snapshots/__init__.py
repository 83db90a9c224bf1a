"""Immutable, versioned copies of tables, with inference, statistics and the health of links.

``infer_table`` and ``infer_links`` say how tables would be read and linked, and why;
``SnapshotStore`` copies them.
"""

from __future__ import annotations

from relcast.snapshots.graphs import link_graph
from relcast.snapshots.key_values import KeyValues
from relcast.snapshots.links import KeyedTable, LinkProposal, infer_links
from relcast.snapshots.primary_keys import Candidate
from relcast.snapshots.proposal import ColumnProposal, TableProposal, infer_table
from relcast.snapshots.readings import Reading
from relcast.snapshots.records import (
    ColumnStatistics,
    IngestReport,
    LateProposal,
    LinkHealth,
    Snapshot,
    TableSnapshot,
)
from relcast.snapshots.spec import INFER, Infer, TableSpec
from relcast.snapshots.store import SnapshotStore

__all__ = [
    "INFER",
    "Candidate",
    "ColumnProposal",
    "ColumnStatistics",
    "Infer",
    "IngestReport",
    "KeyValues",
    "KeyedTable",
    "LateProposal",
    "LinkHealth",
    "LinkProposal",
    "Reading",
    "Snapshot",
    "SnapshotStore",
    "TableProposal",
    "TableSnapshot",
    "TableSpec",
    "infer_links",
    "infer_table",
    "link_graph",
]
