"""A snapshot as linked, time-sorted arrays: the one structure under every learner.

``build`` turns a snapshot into memory-mapped arrays once; later opens are loads. What was known at
an anchor is a binary search in a slice of ``LinkArrays``; nothing above this room looks at time in
any other way. This room knows nothing of queries.
"""

from relcast.relations.arrays import (
    NEVER,
    NOT_A_TIME,
    ColumnArray,
    LinkArrays,
    Relations,
    TableArrays,
)
from relcast.relations.asof import known_slices, latest_known, rows_known
from relcast.relations.build import FORMAT, build
from relcast.relations.knowing import longest_wait
from relcast.relations.streams import Events, events_below, events_by_category, events_of

__all__ = [
    "FORMAT",
    "NEVER",
    "NOT_A_TIME",
    "ColumnArray",
    "Events",
    "LinkArrays",
    "Relations",
    "TableArrays",
    "build",
    "events_below",
    "events_by_category",
    "events_of",
    "known_slices",
    "latest_known",
    "longest_wait",
    "rows_known",
]
