"""The temporal neighbour sampler: from (row, cut-off) to the rows and links known there.

Needs no torch. A seed's sample holds each row once; rows come out ordered by (table, hop), so that
a network can leave out, layer by layer, what can no longer reach a seed. A row is walked to only
when it is known and not over at the seed's own cut-off (``relcast.relations.asof``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from relcast.core.errors import InvalidRequest, nearest
from relcast.core.schema import Link
from relcast.learners.gnn import kernels
from relcast.relations import NEVER, NOT_A_TIME, Relations, TableArrays

__all__ = ["EdgeType", "Edges", "Sample", "Sampler", "Strategy"]

Index = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]
Strategy = Literal["last", "uniform", "stratified"]

_STRATEGIES: Mapping[str, int] = {
    "last": kernels.LAST,
    "uniform": kernels.UNIFORM,
    "stratified": kernels.STRATIFIED,
}


@dataclass(frozen=True, slots=True, order=True)
class EdgeType:
    """One way along a foreign key: ``up`` finds a row's parent, ``down`` its children."""

    link: Link
    way: Literal["up", "down"]

    @property
    def target(self) -> str:
        """The table that is walked from, and that messages go to."""
        return self.link.table if self.way == "up" else self.link.to

    @property
    def source(self) -> str:
        """The table that is walked to, and that messages come from."""
        return self.link.to if self.way == "up" else self.link.table

    def __str__(self) -> str:
        return f"{self.link} ({self.way})"


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges of one type, ordered by hop and, within it, by target.

    Attributes:
        source: int32[m] places in the sample's rows of the source table.
        target: int32[m] places in the sample's rows of the target table.
        hops: int64[hops + 1]; those found in hop h are ``hops[h]:hops[h + 1]``; their targets are
            rows found in hop h (the seeds are hop 0).
    """

    source: Rows
    target: Rows
    hops: Index


@dataclass(frozen=True)
class Sample:
    """What was found around n seeds.

    Attributes:
        seeds: Number of seeds; seed i is row i of the seeds' table.
        rows: int32[] dense rows per table, ordered by hop; one row may stand for several seeds.
        owner: int32[] which seed each row belongs to.
        hops: int64[hops + 2] per table; rows found in hop h are ``hops[h]:hops[h + 1]``.
        edges: Per edge type.
    """

    seeds: int
    rows: Mapping[str, Rows]
    owner: Mapping[str, Rows]
    hops: Mapping[str, Index]
    edges: Mapping[EdgeType, Edges]


class Sampler:
    """Samples neighbourhoods of one snapshot; safe to share between threads.

    Args:
        relations: The snapshot's arrays; its links are copied into flat arrays once.
        without: Foreign keys that may not be walked, such as the one that a static target is.
    """

    def __init__(self, relations: Relations, without: Iterable[Link] = ()) -> None:
        hidden = set(without)
        self.tables = tuple(relations.tables)
        self.edge_types = tuple(
            EdgeType(link, way) for link in relations.links if link not in hidden for way in _WAYS
        )
        number = {name: k for k, name in enumerate(self.tables)}
        sizes = [relations.tables[name].rows for name in self.tables]
        self._number = number
        self._row_base = _starts(sizes)
        self._source = np.array([number[e.source] for e in self.edge_types], dtype=np.int64)
        self._is_up = np.array([e.way == "up" for e in self.edge_types], dtype=np.bool_)
        self._edges_from, self._edges_of = _by_table(
            [number[e.target] for e in self.edge_types], len(self.tables)
        )
        self._link(relations)
        parents = {e.source for e in self.edge_types if e.way == "up"}
        self._since_base, self._since = _per_row(
            [relations.tables[t] for t in self.tables], parents, _since
        )
        self._over_base, self._over = _per_row(
            [relations.tables[t] for t in self.tables], set(self.tables), _over
        )

    def sample(
        self,
        table: str,
        seeds: npt.NDArray[Any],
        cutoffs: Index | None,
        fanouts: Sequence[int | Mapping[EdgeType, int]],
        *,
        strategy: Strategy = "last",
        salt: int = 0,
    ) -> Sample:
        """Return what was known around each seed at its own cut-off.

        Args:
            table: The seeds' table.
            seeds: int64[n] dense rows; a row may be asked for more than once.
            cutoffs: int64[n] ns UTC, rows at the cut-off included; None knows everything.
            fanouts: Per hop the most children per row and edge type, for all types or by type
                (types that are not named are not walked). A parent is one row at any fan-out above
                zero.
            strategy: Which children, where there are more: the ``last`` known, ``uniform`` without
                replacement, or ``stratified``: one at random of as many equal parts of the past.
            salt: Names the draw; a seed's sample depends on its row, cut-off and salt alone.

        Raises ``schema.unknown_table`` for another snapshot's table, ``gnn.strategy``.
        """
        if strategy not in _STRATEGIES:
            raise InvalidRequest(
                f"There is no sampling strategy {strategy!r}",
                code="gnn.strategy",
                hint=nearest(str(strategy), list(_STRATEGIES)),
            )
        rows = np.ascontiguousarray(seeds, dtype=np.int64)
        times = np.full(len(rows), NEVER) if cutoffs is None else np.ascontiguousarray(cutoffs)
        fanout = np.zeros((len(fanouts), len(self.edge_types)), dtype=np.int64)
        for hop, most in enumerate(fanouts):
            for k, edge in enumerate(self.edge_types):
                fanout[hop, k] = most if isinstance(most, int) else most.get(edge, 0)
        n, m, *logs = kernels.walk(
            rows,
            times.astype(np.int64, copy=False),
            self._number[table],
            np.uint64(salt & 0xFFFFFFFFFFFFFFFF),
            self._row_base,
            self._edges_from,
            self._edges_of,
            self._is_up,
            self._source,
            self._base,
            self._parent,
            self._indptr,
            self._child,
            self._time_shift,
            self._child_time,
            self._since_base,
            self._since,
            self._over_base,
            self._over,
            fanout,
            _STRATEGIES[strategy],
        )
        found = kernels.arrange(n, m, len(self.tables), len(fanouts), len(self.edge_types), *logs)
        return self._named(len(rows), len(fanouts), *found)

    def _named(
        self,
        seeds: int,
        hops: int,
        rows: Rows,
        owner: Rows,
        source: Rows,
        target: Rows,
        row_ends: Index,
        edge_ends: Index,
    ) -> Sample:
        of_rows, of_owner, of_hops = {}, {}, {}
        for k, name in enumerate(self.tables):
            ends = row_ends[k * (hops + 1) : (k + 1) * (hops + 1) + 1]
            part = slice(int(ends[0]), int(ends[-1]))
            of_rows[name], of_owner[name] = rows[part], owner[part]
            of_hops[name] = ends - ends[0]
        edges = {}
        for k, edge in enumerate(self.edge_types):
            ends = edge_ends[k * hops : (k + 1) * hops + 1]
            part = slice(int(ends[0]), int(ends[-1]))
            edges[edge] = Edges(source[part], target[part], ends - ends[0])
        return Sample(seeds, of_rows, of_owner, of_hops, edges)

    def _link(self, relations: Relations) -> None:
        """Lay the links end to end: parents, children, their times."""
        parents: list[npt.NDArray[Any]] = []
        indptrs: list[npt.NDArray[Any]] = []
        children: list[npt.NDArray[Any]] = []
        times: list[npt.NDArray[Any]] = []
        base, shift = [], []
        at_parent = at_indptr = at_child = at_time = 0
        for edge in self.edge_types:
            arrays = relations.links[edge.link]
            if edge.way == "up":
                base.append(at_parent)
                shift.append(NEVER)
                parents.append(arrays.parent)
                at_parent += len(arrays.parent)
                continue
            base.append(at_indptr)
            indptrs.append(arrays.indptr + at_child)
            children.append(arrays.child)
            if arrays.child_time is None:
                shift.append(NEVER)
            else:
                shift.append(at_time - at_child)
                times.append(arrays.child_time)
                at_time += len(arrays.child_time)
            at_indptr += len(arrays.indptr)
            at_child += len(arrays.child)
        self._base = np.array(base, dtype=np.int64)
        self._time_shift = np.array(shift, dtype=np.int64)
        self._parent = _joined(parents, np.int32)
        self._indptr = _joined(indptrs, np.int64)
        self._child = _joined(children, np.int32)
        self._child_time = _joined(times, np.int64)


_WAYS: tuple[Literal["up"], Literal["down"]] = ("up", "down")


def _joined(parts: list[npt.NDArray[Any]], dtype: Any) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *(part.astype(dtype) for part in parts)])


def _starts(sizes: Sequence[int]) -> Index:
    return np.append(0, np.cumsum(sizes)).astype(np.int64)[: len(sizes)]


def _by_table(tables: Sequence[int], count: int) -> tuple[Index, Index]:
    """Return the edge types that start from each table, as a CSR."""
    order = np.argsort(np.array(tables, dtype=np.int64), kind="stable").astype(np.int64)
    sizes = np.bincount(np.array(tables, dtype=np.int64), minlength=count)
    return np.append(0, np.cumsum(sizes)).astype(np.int64), order


def _per_row(
    tables: Sequence[TableArrays], wanted: set[str], of: Any
) -> tuple[Index, npt.NDArray[np.int64]]:
    """Lay one number per row end to end, for the wanted tables that have one; -1 for others."""
    base = np.full(len(tables), -1, dtype=np.int64)
    parts = []
    at = 0
    for k, table in enumerate(tables):
        found = of(table) if table.table.name in wanted else None
        if found is not None:
            base[k] = at
            parts.append(found)
            at += len(found)
    return base, _joined(parts, np.int64)


def _since(table: TableArrays) -> Index | None:
    if table.time is None:
        return None
    return np.where(table.time == NOT_A_TIME, NEVER, table.time)


def _over(table: TableArrays) -> Index | None:
    if table.end_time is None:
        return None
    return np.where(table.end_time == NOT_A_TIME, NEVER, table.end_time)
