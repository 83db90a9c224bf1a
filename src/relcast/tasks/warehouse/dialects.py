"""What the engines do differently: one ``Dialect`` each.

A dialect says how a column of a time, a text or a list is read, how a moment is written, what it
cannot hold, and has ``rules``: rewritings of parts of the statement, by kind of node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from relcast.core.errors import InvalidRequest, TaskError, nearest
from relcast.tasks.warehouse import clocks
from relcast.tasks.warehouse import rules as to

__all__ = ["DIALECTS", "Dialect", "find_dialect"]


def _as_it_is(value: exp.Expr) -> exp.Expr:
    return value


def _by_code_point(value: exp.Expr) -> exp.Expr:
    return exp.Collate(this=value, expression=exp.to_identifier("C", quoted=True))


@dataclass(frozen=True)
class Dialect:
    """One engine's SQL.

    Attributes:
        name: Its name, ours and sqlglot's.
        title: Its name for people.
        nanoseconds: From a column of a time to int64 ns.
        moment: The type of TIMESTAMP in the answer: without zone, in UTC.
        rules: Rewritings by kind of node.
        fine: Whether TIMESTAMP holds nanoseconds; microseconds otherwise.
        text: From a text to one whose order is that of its code points.
        typed_arrays: Whether a list's elements have a type that a cast can name.
        longest_name: Bytes of the longest name; longer ones would be cut off in silence.
        not_in_names: What a name cannot hold, however it is quoted.
    """

    name: str
    title: str
    nanoseconds: Callable[[exp.Expr], exp.Expr]
    moment: exp.DataType
    rules: Mapping[type[exp.Expr], to.Rule] = field(default_factory=dict)
    fine: bool = False
    text: Callable[[exp.Expr], exp.Expr] = _as_it_is
    typed_arrays: bool = True
    longest_name: int | None = None
    not_in_names: tuple[str, ...] = ("\0",)

    def identifier(self, name: str) -> exp.Identifier:
        """Return a name, quoted; raises ``task.dialect_cannot_name`` where it cannot be one."""
        cut = self.longest_name is not None and len(name.encode()) > self.longest_name
        if not name or cut or any(sign in name for sign in self.not_in_names):
            raise TaskError(
                f"{self.title} cannot have a table or column named {name!r}",
                code="task.dialect_cannot_name",
                hint="Give it another name at the source, and in the graph.",
            )
        return exp.to_identifier(name, quoted=True)

    def array(self, value: exp.Expr, kind: str) -> exp.Expr:
        """Return a list, its elements of a type."""
        return exp.cast(value, kind) if self.typed_arrays else value


_ZONELESS = exp.DataType.build("TIMESTAMPNTZ")
_SPARK: dict[type[exp.Expr], to.Rule] = {
    exp.Literal: to.dollar_apart,
    exp.IsInf: to.infinite_by_size,
    exp.TryCast: to.whole_or_null,
    exp.DataType: to.long_integer("DECIMAL(38, 0)"),
    exp.StringToArray: to.split_by_comma,
    exp.Case: to.median_by_name,
    exp.StddevSamp: to.deviation_in_any_order,
    exp.ArrayAgg: to.sorted_structs,
    exp.Filter: to.filtered_inside,
}

DIALECTS: dict[str, Dialect] = {
    d.name: d
    for d in (
        Dialect(
            "duckdb", "DuckDB", clocks.duckdb, exp.DataType.build("TIMESTAMP_NS", dialect="duckdb"),
            fine=True,
        ),
        Dialect(
            "postgres", "PostgreSQL", clocks.postgres, _ZONELESS,
            rules={
                exp.Literal: to.backslash_by_code,
                exp.Contains: to.contains_by_position,
                exp.EndsWith: to.ends_by_right,
                exp.Cast: to.truth_as_number,
                exp.IsInf: to.infinite_by_size,
                exp.IsNan: to.nan_by_value,
                exp.TryCast: to.whole_or_null,
                exp.DataType: to.long_integer("DECIMAL"),
                exp.ArgMin: to.first_of_array,
                exp.ArgMax: to.first_of_array,
            },
            text=_by_code_point, longest_name=63,
        ),
        Dialect(
            "spark", "Spark", clocks.spark, _ZONELESS, rules=_SPARK, not_in_names=("\0", "${"),
        ),
        Dialect(
            "databricks", "Databricks", clocks.spark, _ZONELESS, rules=_SPARK,
            not_in_names=("\0", "${"),
        ),
        Dialect(
            "snowflake", "Snowflake", clocks.snowflake, _ZONELESS, fine=True, typed_arrays=False,
            rules={
                exp.Cast: to.single_as_double,
                exp.IsInf: to.infinite_by_size,
                exp.IsNan: to.nan_by_value,
                exp.TryCast: to.whole_or_null,
                exp.DataType: to.long_integer("DECIMAL(38, 0)"),
                exp.StringToArray: to.split_by_comma,
                exp.StddevSamp: to.deviation_in_any_order,
            },
        ),
        Dialect(
            "bigquery", "BigQuery", clocks.bigquery, _ZONELESS,
            rules={
                exp.Cast: to.single_as_double,
                exp.Contains: to.contains_by_position,
                exp.IsInf: to.infinite_by_size,
                exp.TryCast: to.whole_or_null,
                exp.DataType: to.long_integer("BIGDECIMAL"),
                exp.Least: to.smallest_there,
                exp.Greatest: to.smallest_there,
                exp.StringToArray: to.split_by_comma,
                exp.WithinGroup: to.percentile_by_place,
                exp.StddevSamp: to.deviation_in_any_order,
                exp.ArrayAgg: to.array_without_null_order,
            },
        ),
    )
}  # fmt: skip
"""The engines, by name."""


def find_dialect(name: str) -> Dialect:
    """Return a dialect by name; raises ``task.unknown_dialect``."""
    found = DIALECTS.get(name)
    if found is None:
        raise InvalidRequest(
            f"There is no dialect {name!r}",
            code="task.unknown_dialect",
            hint=nearest(name, list(DIALECTS)),
        )
    return found
