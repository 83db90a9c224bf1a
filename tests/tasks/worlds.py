"""Small worlds for the tests of tasks: data frames written as Parquet, with their schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from relcast.core.ids import new_id
from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table
from relcast.relations import Relations, build
from relcast.snapshots.records import IngestReport, Snapshot, TableSnapshot

KINDS = {
    "key": (Dtype.int64, Stype.ID, pa.int64()),
    "text_key": (Dtype.string, Stype.ID, pa.string()),
    "number": (Dtype.float64, Stype.numerical, pa.float64()),
    "single": (Dtype.float32, Stype.numerical, pa.float32()),
    "raw": (Dtype.float64, Stype.numerical, pa.float64()),  # NaN stays NaN
    "float_key": (Dtype.float64, Stype.ID, pa.float64()),
    "int": (Dtype.int64, Stype.numerical, pa.int64()),
    "bool": (Dtype.bool, Stype.categorical, pa.bool_()),
    "category": (Dtype.string, Stype.categorical, pa.string()),
    "code": (Dtype.int64, Stype.categorical, pa.int64()),
    "text": (Dtype.string, Stype.text, pa.string()),
    "tags": (Dtype.stringlist, Stype.multicategorical, pa.list_(pa.string())),
    "codes": (Dtype.intlist, Stype.multicategorical, pa.list_(pa.int64())),
    "time": (Dtype.date, Stype.timestamp, pa.timestamp("ns")),
}


@dataclass
class WorldTable:
    """One table: columns by kind, its roles, and the rows."""

    columns: dict[str, str]
    rows: pd.DataFrame
    key: str | None = None
    time: str | None = None
    end: str | None = None


@dataclass
class World:
    tables: dict[str, WorldTable]
    links: tuple[Link, ...] = ()
    _built: dict[str, Any] = field(default_factory=dict)

    def graph(self) -> Graph:
        return Graph(
            {
                name: Table(
                    name,
                    tuple(Column(c, KINDS[k][0], KINDS[k][1]) for c, k in t.columns.items()),
                    t.key,
                    t.time,
                    t.end,
                )
                for name, t in self.tables.items()
            },
            self.links,
        )

    def snapshot(self, root: Path) -> Snapshot:
        path = root / new_id("snapshot")
        path.mkdir(parents=True)
        graph = self.graph()
        tables: dict[str, TableSnapshot] = {}
        for name, t in self.tables.items():
            schema = pa.schema([(c, KINDS[k][2]) for c, k in t.columns.items()])
            rows = pa.table({c: _array(t.rows[c], k) for c, k in t.columns.items()}, schema)
            pq.write_table(rows, path / f"{name}.parquet")
            tables[name] = TableSnapshot(
                id=f"table-{name}@{path.name}",
                name=name,
                path=path / f"{name}.parquet",
                rows=rows.num_rows,
                table=graph.table(name),
                report=IngestReport(rows.num_rows, rows.num_rows, {}),
                statistics=(),
                source_digest="",
            )
        return Snapshot(path.name, path, graph, tables, ())

    def open(self, root: Path) -> tuple[Snapshot, Relations]:
        snapshot = self.snapshot(root)
        return snapshot, build(snapshot)


def _array(column: pd.Series, kind: str) -> pa.Array:
    values: list[Any] = [None if _missing(v, kind) else v for v in column]
    return pa.array(values, type=KINDS[kind][2])


def _missing(value: Any, kind: str) -> bool:
    if value is None or isinstance(value, list):
        return value is None
    return value is pd.NaT or (kind != "raw" and bool(pd.isna(value)))


def shop(orders: Mapping[str, Any], customers: Mapping[str, Any] | None = None) -> World:
    """Customers with a category, and their orders with a time, an amount and a kind."""
    frame = pd.DataFrame(dict(orders))
    keys = sorted(set(frame["customer"].dropna().astype(int)))
    people = pd.DataFrame(
        dict(customers) if customers is not None else {"id": keys, "country": ["US"] * len(keys)}
    )
    for name, value in (("amount", 1.0), ("kind", "a")):
        if name not in frame:
            frame[name] = value
    if "order_id" not in frame:
        frame["order_id"] = range(len(frame))
    return World(
        {
            "customers": WorldTable({"id": "key", "country": "category"}, people, "id"),
            "orders": WorldTable(
                {"order_id": "key", "customer": "key", "time": "time", "amount": "number",
                 "kind": "category"},
                frame, "order_id", "time",
            ),
        },
        (Link("orders", "customer", "customers"),),
    )  # fmt: skip
