"""One statement that gives a query's labels, from the SQL that labels a snapshot.

table_<i>    a table of the warehouse: the columns that matter, with their types
entities     one row per entity: life, key, own conditions
elements     one row per element of a static list
fact_<i>     one row per row that an aggregation reads
bounds       the anchors, and the ends of each window, as rows of constants
pairs        the examples: entity and anchor
labelled     their targets, and whether WHERE and ASSUMING hold
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlglot import ErrorLevel, exp

from relcast.core.errors import InternalError, InvalidRequest, TaskError
from relcast.core.schema import Graph, TaskType
from relcast.pql.ast import CheckedQuery, ColumnRef
from relcast.tasks.conditions import number
from relcast.tasks.label_sql import LabelSql
from relcast.tasks.offsets import LATEST, Times, from_datetime, iso
from relcast.tasks.sql import column, present
from relcast.tasks.sums import Scale
from relcast.tasks.warehouse.dialects import Dialect, find_dialect
from relcast.tasks.warehouse.rules import rewrite, within_doubles
from relcast.tasks.warehouse.shape import (
    named_apart,
    tidy,
    without_nothing,
    without_pair_numbers,
)
from relcast.tasks.warehouse.tables import NamedTables, TableName

__all__ = ["MOST_ANCHORS", "Moment", "label_sql"]

MOST_ANCHORS = 10_000
"""Each is a line of the statement."""

Moment = int | datetime
"""Nanoseconds since 1970 UTC, or a time; one without zone is UTC."""

_BOUNDS, _LABELLED, _TIMESTAMP = "bounds", "labelled", "timestamp"
_NUMBERS = frozenset({TaskType.REGRESSION, TaskType.FORECASTING})


def label_sql(
    query: CheckedQuery,
    graph: Graph,
    anchors: Sequence[Moment] | npt.NDArray[np.int64] | None = None,
    *,
    dialect: str,
    tables: Mapping[str, TableName] | None = None,
    row_order: Mapping[str, str] | None = None,
) -> str:
    """Return one SELECT that gives the labels of a query where its tables live.

    Its rows are those of ``examples_at``, in any order: ``ENTITY`` (the key), ``TIMESTAMP`` (the
    anchor, UTC, without zone; temporal queries only) and ``TARGET``: a number, a truth value or a
    class; a list of h numbers for a forecast; a list of classes or of keys, in order of first
    appearance, where the target is a list. Sums of floats are the engine's own.

    Args:
        query: A checked query.
        graph: The graph that it was checked against. The tables hold what it says: columns of its
            types, primary keys that tell rows apart.
        anchors: At most ``MOST_ANCHORS`` moments, in any order; None for a static query.
        dialect: ``duckdb``, ``postgres``, ``spark``, ``databricks``, ``snowflake`` or ``bigquery``.
        tables: What the warehouse calls the graph's tables; a table that is not here has its own
            name. ``"shop.orders"`` is read as the dialect reads it, ``("shop", "orders")`` word
            for word.
        row_order: For tables without a primary key: a column of the warehouse's table that numbers
            the rows in the order of the source. It decides which of two rows of one time is first.

    Returns:
        The statement's text, without a semicolon.

    Raises:
        InvalidRequest: ``task.unknown_dialect``, ``task.anchors_required``, ``task.not_temporal``,
            ``task.too_many_anchors``, ``task.unknown_table``, ``task.invalid_table_name``.
        TaskError: What the engine cannot do: ``task.dialect_cannot_name`` (a table or column),
            ``task.dialect_cannot_read`` (a type), ``task.dialect_cannot_order`` (rows without a
            primary key), ``task.dialect_cannot_hold_nanoseconds`` (of an anchor).
    """
    engine = find_dialect(dialect)
    moments = _moments(query, anchors, engine)
    catalog = NamedTables(graph, engine, tables, row_order)
    sql = LabelSql(catalog, query)
    for fact in list(sql.facts):
        if fact.adds_floats:
            # Nobody has looked at the values: there may be infinite ones.
            sql.set_scale(fact.number, Scale(infinite=True))
    stages = [(stage.name, stage.rows) for stage in sql.stages]
    stages += [("pairs", _pairs(sql, len(moments))), (_LABELLED, _labelled(sql))]
    read = {c.name for _, rows in stages for c in rows.find_all(exp.Column) if c.table == _BOUNDS}
    bounds = sql.moments(moments).table
    stages.insert(-2, (_BOUNDS, _constants(bounds.select(_among(bounds, read)), moments, engine)))
    stages = [(scan.view, scan.read()) for scan in catalog.scans] + stages
    statement = _answer(sql, engine)
    for name, rows in stages:
        statement = statement.with_(exp.to_identifier(name, quoted=True), as_=rows, copy=False)
    statement = without_nothing(without_pair_numbers(statement))
    statement = named_apart(statement, {s.source.name for s in catalog.scans})
    return tidy(rewrite(statement, engine.rules)).sql(
        dialect, pretty=True, unsupported_level=ErrorLevel.RAISE, comments=False
    )


def _moments(
    query: CheckedQuery,
    anchors: Sequence[Moment] | npt.NDArray[np.int64] | None,
    dialect: Dialect,
) -> Times:
    """Return the distinct anchors, ascending, int64 ns; a static query has the last of all."""
    if not query.temporal:
        if anchors is not None:
            raise InvalidRequest(
                "A static query has no anchors",
                code="task.not_temporal",
                hint="Leave them out: its labels are the same at any time.",
            )
        return np.array([LATEST], dtype=np.int64)
    given = [] if anchors is None else list(anchors)
    if not given:
        raise InvalidRequest(
            "The labels of a temporal query need anchors: moments to look forward from",
            code="task.anchors_required",
            hint="Give at least one, such as datetime(2024, 1, 31).",
        )
    found = np.unique(
        [from_datetime(a) if isinstance(a, datetime) else int(a) for a in given]
    ).astype(np.int64)
    if len(found) > MOST_ANCHORS:
        raise InvalidRequest(
            f"{len(found):,} anchors are too many for one statement; {MOST_ANCHORS:,} are the most",
            code="task.too_many_anchors",
            hint="Ask for several statements, each with a part of them.",
        )
    if not dialect.fine and (found % 1000).any():
        raise TaskError(
            f"{dialect.title} has times of whole microseconds, and an anchor has nanoseconds",
            code="task.dialect_cannot_hold_nanoseconds",
            hint="Give anchors in whole microseconds.",
        )
    return found


def _pairs(sql: LabelSql, anchors: int) -> exp.Select:
    """Return the examples; what a batch of anchors needs is of no use where all are asked for."""
    if not sql.query.temporal:
        return sql.static_pairs()
    pairs = sql.living_pairs(range(anchors), range(0))
    idle = {"anchor"} if sql.steps > 1 else {"anchor", "step"}
    tests = [
        test
        for test in pairs.args["where"].this.flatten()
        if not (isinstance(test, exp.Binary) and test.left.name in idle)
    ]
    return pairs.where(*tests, append=False)


def _among(rows: pa.Table, read: set[str]) -> list[str]:
    return [name for name in rows.column_names if name in read]


def _constants(rows: pa.Table, anchors: Times, dialect: Dialect) -> exp.Select:
    """Return the anchors and the ends of the windows as rows of constants."""
    columns: dict[str, list[exp.Expr]] = {
        name: [number(int(cell)) for cell in rows.column(name).to_pylist()]
        for name in rows.column_names
    }
    if not (len(anchors) == 1 and anchors[0] == LATEST):
        each = np.repeat(anchors, len(rows) // len(anchors)).tolist()
        columns[_TIMESTAMP] = [
            exp.Literal.string(iso(moment)[:-1].replace("T", " ")) for moment in each
        ]
    given = exp.TableAlias(
        this=exp.to_identifier("given", quoted=True),
        columns=[exp.to_identifier(name, quoted=True) for name in columns],
    )
    cells = zip(*columns.values(), strict=True)
    values = exp.Values(
        expressions=[exp.Tuple(expressions=list(row)) for row in cells], alias=given
    )
    typed = [
        exp.cast(column(name, "given"), dialect.moment if name == _TIMESTAMP else "BIGINT").as_(
            name, quoted=True
        )
        for name in columns
    ]
    return exp.select(*typed).from_(values)


def _labelled(sql: LabelSql) -> exp.Select:
    """Return the labels with what puts their parts in order, themselves in no order."""
    select = sql.labels()
    parts = [p for p in select.expressions if p.alias_or_name not in _unasked(sql)]
    parts += [p for p in select.args["order"].expressions if p.name in ("step", "first")]
    if sql.query.temporal:
        parts.append(column(_TIMESTAMP, _BOUNDS))
    select.set("order", None)
    select.set("expressions", parts)
    return select


def _unasked(sql: LabelSql) -> set[str]:
    """Return the columns of the labels that say nothing here."""
    found = {"weight", "static_time"}
    if sql.query.query.where is None:
        found.add("chosen")
    if sql.query.query.assuming is None:
        found.add("assumed")
    return found


def _answer(sql: LabelSql, dialect: Dialect) -> exp.Select:
    """Return ENTITY, TIMESTAMP and TARGET of the examples that are labelled."""
    query = sql.query
    keys = [("entity", "ENTITY")] + ([(_TIMESTAMP, "TIMESTAMP")] if query.temporal else [])
    target: exp.Expr = column("target", _LABELLED)
    tests: list[exp.Expr] = [
        column(name, _LABELLED) for name in ("chosen", "assumed") if name not in _unasked(sql)
    ]
    if sql.lists:
        tests.append(column("present", _LABELLED))
    may_be_empty = sql.lists and _may_be_empty(query)
    if query.task_type in _NUMBERS:
        target = exp.cast(target, "DOUBLE")
        tests.append(within_doubles(target))
    elif not may_be_empty:
        tests.append(present(target))
    complete: exp.Expr | None = None
    if sql.steps > 1:
        complete = exp.EQ(this=exp.Count(this=exp.Star()), expression=number(sql.steps))
    in_order = sql.lists or query.task_type is TaskType.FORECASTING
    if in_order and sql.steps == 1 and not sql.lists:
        target = exp.Array(expressions=[target])
    elif in_order:
        target = _gathered(target, "first" if sql.lists else "step")
    if may_be_empty:
        there = exp.Where(this=present(column("target", _LABELLED)))
        nothing = dialect.array(exp.Array(expressions=[]), _list_type(sql))
        target = exp.Coalesce(this=exp.Filter(this=target, expression=there), expressions=[nothing])
    answer = exp.select(
        *(column(name, _LABELLED).as_(shown, quoted=True) for name, shown in keys),
        target.as_("TARGET", quoted=True),
    )
    answer = answer.from_(exp.to_table(_LABELLED))
    if tests:
        answer = answer.where(*tests)
    if sql.lists or sql.steps > 1:
        answer = answer.group_by(*(column(name, _LABELLED) for name, _ in keys))
    return answer if complete is None else answer.having(complete)


def _gathered(value: exp.Expr, place: str) -> exp.Expr:
    by = exp.Ordered(this=column(place, _LABELLED), nulls_first=False)
    return exp.ArrayAgg(this=exp.Order(this=value, expressions=[by]))


def _may_be_empty(query: CheckedQuery) -> bool:
    """Return whether a list of nothing is a target: none of the labels of a column."""
    return query.task_type is TaskType.MULTILABEL_CLASSIFICATION and not query.temporal


def _list_type(sql: LabelSql) -> str:
    """Return the type of a list of a column's elements."""
    ref = sql.query.query.target
    if not isinstance(ref, ColumnRef) or ref.column is None:
        raise InternalError("only a column holds lists of nothing")
    kind = sql.catalog.scan(ref.table).types[ref.column]
    return kind if kind.endswith("]") else f"{kind}[]"
