"""Columns whose values seem to be filled in later than their rows come: proposals with evidence.

Nothing here is applied by itself. A person says ``known_at``, ``known_after`` or ``mutable``, or
knows why the values are missing where they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
from sqlglot import expressions as exp

from relcast.core.schema import Dtype, Table
from relcast.snapshots.parquet_rows import numbered_cell
from relcast.snapshots.records import LateProposal

__all__ = ["late_proposals", "sentence"]

_NEWEST = (20, 100, 500, 2500)
"""How many of the newest rows are looked at; at most a fifth of all."""

_MISSING_NEW = 0.9
_MISSING_OLD = 0.25


def late_proposals(
    connection: duckdb.DuckDBPyConnection, rows: exp.Expr, table: Table, count: int
) -> tuple[LateProposal, ...]:
    """Look for values that come after their rows.

    Proposed are columns that are missing in nine of ten of the newest rows (20 to 2,500, a fifth of
    all at most) but in less than a quarter of the others; and columns that are there exactly where
    another time is, which is never before the row's own and later in some rows.

    Args:
        connection: Reads ``rows``.
        rows: The copied rows, cells by number.
        table: The copied table; columns of which something is said already are left alone.
        count: How many rows there are.
    """
    if table.time_column is None or count < 5 * _NEWEST[0]:
        return ()
    places = {c.name: place for place, c in enumerate(table.columns)}
    looked_at = [
        c.name
        for c in table.columns
        if c.name not in (table.primary_key, table.time_column, table.end_time_column)
        and not c.mutable
        and not table.is_late(c.name)
        and c.dtype is not Dtype.unsupported
    ]
    cells = {name: numbered_cell(places[name]) for name in looked_at}
    there = _row(connection, rows, [exp.func("count", cell.copy()) for cell in cells.values()])
    holes = [n for n, found in zip(looked_at, there, strict=True) if 0 < found < count]
    if not holes:
        return ()
    present = dict(zip(looked_at, there, strict=True))
    time = numbered_cell(places[table.time_column])
    companions = _companions(connection, rows, table, time, holes, cells)
    recent = _missing_in_newest(
        connection, rows, time, {n: cells[n] for n in holes}, present, count
    )
    found = []
    for name in holes:
        said = [*_of_companion(table, companions.get(name)), *recent.get(name, ())]
        if said:
            reason = f"{table.name}.{name} {' and '.join(said)}"
            found.append(LateProposal(name, companions.get(name), reason))
    return tuple(found)


def sentence(table: str, proposal: LateProposal) -> str:
    """Return a proposal as a sentence with what one would say to take it up."""
    name = f"{table}.{proposal.column}"
    if proposal.known_at is not None:
        mend = f"known_at={{'{name}': '{proposal.known_at}'}}"
        return f"{proposal.reason}. Its values may be known only from then on: if so, say {mend}."
    return (
        f"{proposal.reason}. It may be filled in later than its rows come: if so, say after how "
        f"long, known_after={{'{name}': '…'}}, or that it is overwritten, mutable=['{name}']."
    )


def _row(
    connection: duckdb.DuckDBPyConnection, rows: exp.Expr, measures: Sequence[exp.Expr]
) -> list[Any]:
    if not measures:
        return []
    return list(
        connection.sql(exp.select(*measures).from_(rows.copy()).sql("duckdb")).fetchall()[0]
    )


def _companions(
    connection: duckdb.DuckDBPyConnection,
    rows: exp.Expr,
    table: Table,
    time: exp.Expr,
    holes: list[str],
    cells: Mapping[str, exp.Expr],
) -> dict[str, str]:
    """Return, by column, the first time that is there exactly where it is, never before the row."""
    clocks = [name for name in holes if table.column(name).dtype.is_time]
    pairs = [(name, clock) for clock in clocks for name in holes if name != clock]
    measures: list[exp.Expr] = []
    for name, clock in pairs:
        apart = exp.NEQ(
            this=exp.paren(_gone(cells[name])), expression=exp.paren(_gone(cells[clock]))
        )
        before = exp.LT(this=cells[clock].copy(), expression=time.copy())
        after = exp.GT(this=cells[clock].copy(), expression=time.copy())
        measures += [exp.func("count_if", apart), exp.func("count_if", before),
                     exp.func("count_if", after)]  # fmt: skip
    told = _row(connection, rows, measures)
    found: dict[str, str] = {}
    for number, (name, clock) in enumerate(pairs):
        apart, before, after = told[3 * number : 3 * number + 3]
        if apart == 0 and before == 0 and after > 0:
            found.setdefault(name, clock)
    return found


def _of_companion(table: Table, clock: str | None) -> list[str]:
    if clock is None:
        return []
    return [f"is there exactly where {clock} is, which is never before {table.time_column}"]


def _missing_in_newest(
    connection: duckdb.DuckDBPyConnection,
    rows: exp.Expr,
    time: exp.Expr,
    cells: Mapping[str, exp.Expr],
    present: Mapping[str, int],
    count: int,
) -> dict[str, list[str]]:
    """Return, by column, how many of the newest rows miss it, where few of the others do."""
    sizes = [k for k in _NEWEST if k <= count // 5]
    newest = exp.Anonymous(this="max", expressions=[time.copy(), exp.Literal.number(sizes[-1])])
    edges = _row(connection, rows, [newest])[0]
    bounds = [edges[k - 1] for k in sizes]
    measures: list[exp.Expr] = []
    for bound in bounds:
        moment = exp.cast(
            exp.Literal.string(bound.isoformat(sep=" ")), exp.DataType.build("TIMESTAMP")
        )
        late = exp.GTE(this=time.copy(), expression=moment)
        measures.append(exp.func("count_if", late))
        measures += [
            exp.func("count_if", exp.and_(late.copy(), _gone(cell))) for cell in cells.values()
        ]
    told = _row(connection, rows, measures)
    width = len(cells) + 1
    found: dict[str, list[str]] = {}
    for number in range(len(bounds)):
        rows_new, *missing_new = told[number * width : (number + 1) * width]
        for name, gone in zip(cells, missing_new, strict=True):
            old = count - rows_new
            if name in found or not old or rows_new > count // 5:
                continue
            share_old = (count - present[name] - gone) / old
            if gone >= _MISSING_NEW * rows_new and share_old <= _MISSING_OLD:
                where = f"{gone:,} of the newest {rows_new:,} rows"
                found[name] = [f"is missing in {where} and in {share_old:.0%} of the others"]
    return found


def _gone(cell: exp.Expr) -> exp.Expr:
    return exp.Is(this=cell.copy(), expression=exp.null())
