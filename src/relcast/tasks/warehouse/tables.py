"""A graph's tables as a warehouse names them, read with the types that the graph gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import Dialect as SqlDialect
from sqlglot import TokenType, exp
from sqlglot.errors import SqlglotError

from relcast.core.errors import InvalidRequest, TaskError, nearest
from relcast.core.schema import Column, Dtype, Graph, Table
from relcast.tasks.scan import Catalog, Scan
from relcast.tasks.sql import column, without_nan
from relcast.tasks.warehouse.dialects import Dialect
from relcast.tasks.warehouse.shape import SOURCE

__all__ = ["NamedScan", "NamedTables", "TableName"]

TableName = str | Sequence[str]
"""``shop.orders`` as the dialect reads it, or the parts word for word: ``("shop", "Orders")``."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPES = {
    Dtype.bool: "BOOLEAN",
    Dtype.byte: "BIGINT",
    Dtype.int16: "BIGINT",
    Dtype.int32: "BIGINT",
    Dtype.int: "BIGINT",
    Dtype.int64: "BIGINT",
    Dtype.float32: "FLOAT",
    Dtype.float: "DOUBLE",
    Dtype.float64: "DOUBLE",
    Dtype.string: "VARCHAR",
    Dtype.date: "TIMESTAMP_NS",
    Dtype.time: "TIMESTAMP_NS",
    Dtype.intlist: "BIGINT[]",
    Dtype.floatlist: "DOUBLE[]",
    Dtype.stringlist: "VARCHAR[]",
}
"""What a column is once it has been read; a time is then int64 ns."""


@dataclass(frozen=True)
class NamedScan(Scan):
    """A table of the warehouse, read once: its columns have their types from then on.

    Attributes:
        source: The warehouse's table.
        row_order: The column that numbers its rows in the order of the source; None without one.
        dialect: Where it stands.
        used: The columns that the statement asked for so far, in order; None is ``row_order``.
    """

    source: exp.Table
    row_order: str | None
    dialect: Dialect
    used: dict[str | None, None] = field(default_factory=dict, compare=False)

    def raw(self, name: str, alias: str) -> exp.Expr:
        found = self.table.column(name)
        if found.dtype not in _TYPES:
            raise TaskError(
                f"{self.table.name}.{name} is a {found.dtype.value}, which a statement for "
                f"{self.dialect.title} cannot read",
                code="task.dialect_cannot_read",
                hint="Give the warehouse a view that has it as a number, a text or a time.",
            )
        self.used[name] = None
        held = super().raw(name, alias)
        if self.kind(name) == "bool":
            # For engines that have no conversion of a truth value to a long integer.
            held.type = exp.DataType.build("BOOLEAN")
        return held

    def value(self, name: str, alias: str) -> exp.Expr:
        """Return a column as it was read: NaN is NULL, a time is int64 ns."""
        return self.raw(name, alias)

    def known(self, name: str, alias: str) -> exp.Expr | None:
        """Return None: with its row; raises ``task.dialect_cannot_know`` for all others."""
        if self.table.is_late(name):
            raise _cannot_know(self.table.name, name, self.dialect)
        return None

    def elements(self, name: str, alias: str) -> exp.Expr:
        if self.is_list(name):
            return self.raw(name, alias)
        return super().elements(name, alias)

    def row(self, alias: str) -> exp.Expr:
        """Return what tells a row from all others: its key, else the order that the caller named.

        Raises ``task.dialect_cannot_order`` where there is neither.
        """
        if self.table.primary_key is not None:
            return self.raw(self.table.primary_key, alias)
        if self.row_order is None:
            raise TaskError(
                f"Table {self.table.name!r} has no primary key, so rows of one time have no order "
                "in a warehouse, and which is first or last is anybody's guess",
                code="task.dialect_cannot_order",
                hint="Set the table's primary key, or name a column that numbers its rows: "
                f"row_order={{{self.table.name!r}: ...}}.",
            )
        self.used[None] = None
        return column(self.row_name, alias)

    def read(self) -> exp.Select:
        """Return the query that reads the columns that were asked for."""
        found: list[exp.Expr] = []
        for name in self.used:
            if name is not None:
                read = self._typed(self.table.column(name), self._source(name))
                found.append(read.as_(self.names[name], quoted=True))
            elif self.row_order is not None:
                found.append(self._source(self.row_order).as_(self.row_name, quoted=True))
        nothing = exp.Literal.number(1).as_("nothing", quoted=True)
        source = self.source.copy()
        source.set("alias", exp.TableAlias(this=exp.to_identifier(SOURCE, quoted=True)))
        return exp.select(*(found or [nothing])).from_(source)

    def _source(self, name: str) -> exp.Column:
        return exp.Column(
            this=self.dialect.identifier(name), table=exp.to_identifier(SOURCE, quoted=True)
        )

    def _typed(self, what: Column, value: exp.Expr) -> exp.Expr:
        match self.kind(what.name):
            case "time":
                return self.dialect.nanoseconds(value)
            case "single" | "double":
                return without_nan(exp.cast(value, self.types[what.name]))
            case "text" if not self.is_list(what.name):
                return self.dialect.text(exp.cast(value, "TEXT"))
            case "text":
                return self.dialect.array(value, self.types[what.name])
            case _:
                return exp.cast(value, self.types[what.name])


class NamedTables(Catalog):
    """The tables of a graph, each under the name that the warehouse has for it."""

    def __init__(
        self,
        graph: Graph,
        dialect: Dialect,
        tables: Mapping[str, TableName] | None,
        row_order: Mapping[str, str] | None,
    ) -> None:
        for given, what in ((tables, "tables"), (row_order, "row_order")):
            for name in given or {}:
                if name not in graph.tables:
                    raise InvalidRequest(
                        f"{what} names {name!r}, which is no table of the graph",
                        code="task.unknown_table",
                        hint=nearest(name, list(graph.tables)),
                    )
        self._graph, self._dialect = graph, dialect
        self._tables, self._row_order = dict(tables or {}), dict(row_order or {})
        self._scans: dict[str, NamedScan] = {}

    def scan(self, name: str) -> NamedScan:
        if name not in self._scans:
            self._scans[name] = self._open(self._graph.table(name))
        return self._scans[name]

    def wait(self, table: str, column: str) -> int:
        raise _cannot_know(table, column, self._dialect)

    @property
    def scans(self) -> list[NamedScan]:
        """The tables that were asked for, in that order."""
        return list(self._scans.values())

    def _open(self, table: Table) -> NamedScan:
        return NamedScan(
            table=table,
            view=f"table_{len(self._scans)}",
            row_name="row_order",
            rows=0,
            names={c.name: f"c{n}_{_plain(c.name)}" for n, c in enumerate(table.columns)},
            types={c.name: _TYPES.get(c.dtype, "VARCHAR") for c in table.columns},
            source=_table(self._tables.get(table.name, (table.name,)), self._dialect),
            row_order=self._row_order.get(table.name),
            dialect=self._dialect,
        )


def _cannot_know(table: str, column: str, dialect: Dialect) -> TaskError:
    return TaskError(
        f"Values of {table}.{column} are known later than their rows, which a statement for "
        f"{dialect.title} does not honour",
        code="task.dialect_cannot_know",
        hint="Compute these labels here, or take known_at and known_after back.",
    )


def _table(name: TableName, dialect: Dialect) -> exp.Table:
    """Return a table's name as SQL: a text as the dialect reads it, parts word for word."""
    if isinstance(name, str):
        parts = _parsed(name, dialect)
    else:
        parts = [dialect.identifier(part) for part in name]
    if not 1 <= len(parts) <= 3:
        raise _bad_name(name, dialect)
    *outer, this = parts
    catalog, db = [None, None, *outer][-2:]
    return exp.Table(this=this, db=db, catalog=catalog)


def _parsed(name: str, dialect: Dialect) -> list[exp.Identifier]:
    """Read names between dots: words, which the engine may fold, and quoted ones; nothing else."""
    try:
        tokens = SqlDialect.get_or_raise(dialect.name).tokenize(name)
    except SqlglotError:
        raise _bad_name(name, dialect) from None
    parts: list[exp.Identifier] = []
    for n, token in enumerate(tokens):
        written = name[token.start : token.end + 1]
        if n % 2:
            if token.token_type is not TokenType.DOT:
                raise _bad_name(name, dialect)
        elif token.token_type is TokenType.IDENTIFIER:
            parts.append(dialect.identifier(token.text))
        elif _WORD.fullmatch(written):
            dialect.identifier(written)
            parts.append(exp.to_identifier(written, quoted=False))
        else:
            raise _bad_name(name, dialect)
    if len(tokens) % 2 == 0 or any(token.comments for token in tokens):
        raise _bad_name(name, dialect)
    return parts


def _bad_name(name: TableName, dialect: Dialect) -> InvalidRequest:
    return InvalidRequest(
        f"{name!r} is no name of a table in {dialect.title}",
        code="task.invalid_table_name",
        hint="Give one to three names, such as 'shop.orders', or the parts word for word: "
        "('shop', 'orders').",
    )


def _plain(name: str) -> str:
    """Return what of a name any engine reads as one, for people's eyes; may be empty."""
    return "".join(c for c in name if c.isascii() and (c.isalnum() or c == "_"))[:40]
