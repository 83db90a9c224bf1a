"""How well each foreign key meets its primary key, counted over all rows."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
from sqlglot import expressions as exp

from relcast.core.schema import Dtype, Graph, Link
from relcast.snapshots.key_values import key_value
from relcast.snapshots.parquet_rows import numbered_cell, parquet_rows
from relcast.snapshots.readings import count_where, sql_type
from relcast.snapshots.records import LinkHealth, TableSnapshot

__all__ = ["link_health"]


def link_health(
    connection: duckdb.DuckDBPyConnection,
    graph: Graph,
    tables: Mapping[str, TableSnapshot],
    link: Link,
) -> LinkHealth:
    """Count matches, dangling keys and fan-out of a link."""
    child, parent = tables[link.table], tables[link.to]
    key = graph.table(link.to).primary_key or ""
    text = not (_is_whole(child, link.foreign_key) and _is_whole(parent, key))
    keys = (
        exp.select(exp.alias_(_key(parent, key, as_text=text), "key"))
        .distinct()
        .from_(_rows(parent))
    )
    counted = (
        exp.select(
            exp.alias_(_key(child, link.foreign_key, as_text=text), "key"),
            exp.alias_(exp.func("count", exp.Star()), "occurs"),
        )
        .from_(_rows(child))
        .group_by("1")
    )
    theirs, ours = exp.column("key", table="parents"), exp.column("key", table="children")
    occurs = exp.column("occurs", table="children")
    pairs = (
        exp.select(
            exp.alias_(ours.copy(), "child_key"),
            exp.alias_(theirs.copy(), "parent_key"),
            exp.alias_(occurs, "occurs"),
        )
        .from_(counted.subquery("children"))
        .join(keys.subquery("parents"), on=exp.EQ(this=theirs, expression=ours), join_type="left")
    )
    n, has_key, has_parent = exp.column("occurs"), _filled("child_key"), _filled("parent_key")
    summary = exp.select(
        _sum_where(n, exp.not_(has_key.copy())),
        _sum_where(n, has_parent.copy()),
        _sum_where(n, exp.and_(has_key, exp.not_(has_parent.copy()))),
        count_where(has_parent.copy()),
        exp.func("max", exp.case().when(has_parent.copy(), n.copy())),
    ).from_(pairs.subquery("pairs"))
    null, matched, dangling, met, most = connection.sql(summary.sql("duckdb")).fetchall()[0]
    return LinkHealth(
        link=link,
        children=child.rows,
        parents=parent.rows,
        null=null,
        matched=matched,
        dangling=dangling,
        parents_matched=met,
        fan_out_mean=matched / parent.rows if parent.rows else 0.0,
        fan_out_p99=_p99(connection, pairs, parent.rows, met),
        fan_out_max=most or 0,
        ambiguous=sum(1 for o in graph.links if (o.table, o.to) == (link.table, link.to)) > 1,
    )


def _p99(connection: duckdb.DuckDBPyConnection, pairs: exp.Select, parents: int, met: int) -> float:
    """Return the fan-out that 99 % of all parents do not exceed; parents without child count 0."""
    rank = max(0, -(-99 * parents // 100) - 1 - (parents - met))
    if not parents or parents - met > -(-99 * parents // 100) - 1:
        return 0.0
    query = (
        exp.select("occurs")
        .from_(pairs.subquery("pairs"))
        .where(_filled("parent_key"))
        .order_by("occurs")
        .limit(1)
        .offset(rank)
    )
    found = connection.sql(query.sql("duckdb")).fetchall()
    return float(found[0][0]) if found else 0.0


def _rows(table: TableSnapshot) -> exp.Expr:
    return parquet_rows(table.path, len(table.table.columns))


def _key(table: TableSnapshot, column: str, *, as_text: bool) -> exp.Expr:
    index = [c.name for c in table.table.columns].index(column)
    cell, dtype = numbered_cell(index), table.table.columns[index].dtype
    if not as_text:
        return exp.cast(cell, sql_type("BIGINT"))
    plain = exp.cast(cell, sql_type("VARCHAR"))
    if dtype not in (Dtype.float, Dtype.float32, Dtype.float64):
        return plain
    # 7.0 is the key 7; a fraction is a key as well, though hardly one that anybody meant.
    whole = exp.cast(key_value(cell, dtype), sql_type("VARCHAR"))
    return exp.func("coalesce", whole, plain)


def _is_whole(table: TableSnapshot, column: str) -> bool:
    return table.table.column(column).dtype.is_integer


def _filled(name: str) -> exp.Expr:
    return exp.column(name).is_(exp.null()).not_()


def _sum_where(value: exp.Expr, condition: exp.Expr) -> exp.Expr:
    zero = exp.Literal.number(0)
    total = exp.func("sum", exp.case().when(condition, value.copy()).else_(zero))
    as_int = exp.cast(total, exp.DataType.build("BIGINT", dialect="duckdb"))
    return exp.func("coalesce", as_int, zero.copy())
