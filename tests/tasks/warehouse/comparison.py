"""A world labelled twice: by relcast over a snapshot, and by its statement in another engine."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from relcast.pql import CheckedQuery
from relcast.snapshots import Snapshot
from relcast.tasks import examples_at
from relcast.tasks.warehouse import label_sql
from tests.properties.label_worlds import Case
from tests.tasks.warehouse.results import Row
from tests.tasks.worlds import KINDS, World, WorldTable

ROW_ORDER = "relcast row"
"""The column that numbers the rows of tables without a primary key."""


def arrow_tables(world: World, root: Path) -> dict[str, pa.Table]:
    """The world's rows as a warehouse holds them: times in microseconds."""
    found = {}
    for name, snapshot in world.snapshot(root).tables.items():
        rows = pa.parquet.read_table(snapshot.path)
        for n, field in enumerate(rows.schema):
            rows = rows.set_column(n, field.name, rows.column(n).cast(_held(field.type)))
        if world.tables[name].key is None:
            rows = rows.append_column(ROW_ORDER, pa.array(range(len(rows)), pa.int64()))
        found[name] = rows
    return found


def _held(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(kind.value_type)
    return pa.timestamp("us") if pa.types.is_timestamp(kind) else kind


def expected(
    snapshot: Snapshot, query: CheckedQuery, anchors: list[int] | None
) -> dict[tuple[Any, int | None], Any]:
    """relcast's own labels by (entity, anchor): numbers, classes, lists of them, lists of keys."""
    found, _ = examples_at(snapshot, query, anchors)
    keys = _keys(snapshot, query.entity_table)
    values: list[Any]
    if found.lists is not None:
        names = list(found.classes or ())
        if query.items is not None:
            names = _keys(snapshot, query.items.to)
        each = np.split(found.lists.values, found.lists.offsets[1:-1])
        values = [[names[int(i)] for i in part] for part in each] if len(found) else []
    else:
        assert found.target is not None
        values = found.target.tolist()
        if found.classes is not None:
            values = [found.classes[int(v)] for v in values]
    moments = [None] * len(found) if found.anchor is None else found.anchor.tolist()
    entities = [keys[e] for e in found.entity]
    return dict(zip(zip(entities, moments, strict=True), values, strict=True))


def _keys(snapshot: Snapshot, table: str) -> list[Any]:
    found = snapshot.tables[table]
    assert found.table.primary_key is not None
    rows = pa.parquet.read_table(found.path, columns=[found.table.primary_key])
    return rows.column(0).to_pylist()


def answered(
    engine: Any, world: World, tables: dict[str, pa.Table], query: CheckedQuery,
    anchors: list[int] | None,
) -> list[Row]:  # fmt: skip
    """The labels that an engine gives."""
    names = engine.load(tables)
    keyless = {name: ROW_ORDER for name, t in world.tables.items() if t.key is None}
    statement = label_sql(
        query, world.graph(), anchors, dialect=engine.dialect, tables=names, row_order=keyless
    )
    return engine.run(statement)


def differences(got: list[Row], want: dict[tuple[Any, int | None], Any]) -> list[str]:
    """What two tables of labels disagree in; empty when they are equal."""
    table = {(r.entity, r.anchor): r.target for r in got}
    found = [f"{key} twice" for key in table] if len(table) < len(got) else []
    found += [f"{key} is missing: {want[key]!r}" for key in want if key not in table]
    found += [f"{key} is too much: {table[key]!r}" for key in table if key not in want]
    return found + [
        f"{key}: {table[key]!r} rather than {want[key]!r}"
        for key in want
        if key in table and not same(table[key], want[key])
    ]


def same(got: Any, want: Any) -> bool:
    if isinstance(want, list):
        return len(got) == len(want) and all(same(g, w) for g, w in zip(got, want, strict=True))
    if isinstance(want, str) or isinstance(got, str):
        return bool(got == want)
    return math.isclose(float(got), float(want), rel_tol=1e-9, abs_tol=1e-12)


def tamed(case: Case) -> Case:
    """A case with times of whole microseconds, and floats that add up exactly in any order."""
    tables = {}
    for name, t in case.world.tables.items():
        rows = t.rows.copy()
        for column, kind in t.columns.items():
            if kind == "time":
                rows[column] = rows[column].dt.floor("us")
            elif KINDS[kind][2] in (pa.float64(), pa.float32()) and "key" not in kind:
                rows[column] = pd.Series([_tame(v) for v in rows[column]], dtype=object)
            elif kind == "int":
                small = [v if v is None or pd.isna(v) else _small(int(v)) for v in rows[column]]
                rows[column] = pd.Series(small, dtype=object)
        tables[name] = replace(t, rows=rows)
    anchors = sorted({a.floor("us") for a in case.anchors})
    return replace(case, world=World(tables, case.world.links), anchors=anchors)


def _tame(value: Any) -> Any:
    if value is None or math.isnan(value):
        return None
    if abs(value) > 1e6 or (value * 4) % 1:
        return math.copysign(0.25, value)
    return value


def _small(value: int) -> int:
    return value if abs(value) < 2**40 else value % 97


__all__ = [
    "ROW_ORDER", "WorldTable", "answered", "arrow_tables", "differences", "expected", "same",
    "tamed",
]  # fmt: skip
