"""Which columns can be predicted as they are; each refusal names the form to use instead."""

from __future__ import annotations

from relcast.core.errors import Position
from relcast.core.schema import Stype
from relcast.pql.ast import ColumnRef
from relcast.pql.literals import name_text
from relcast.pql.scope import Scope
from relcast.pql.values import Kind, column_kind, label

__all__ = ["predictable", "refuse_key"]


def predictable(
    column: ColumnRef, scope: Scope, position: Position | None, written: str | None = None
) -> bool:
    """Whether values of a column can be predicted as they are; notes why not.

    ``written`` is the aggregation around the column, which a condition would be about.
    """
    name, table = label(column), scope.graph.tables[column.table]
    subject = written or name
    if column.column == table.primary_key:
        refuse_key(column, scope, position)
        return False
    keys = [x for x in scope.graph.links_from(table.name) if x.foreign_key == column.column]
    if keys:
        to = keys[0].to
        others = [x.to for x in scope.graph.links_from(table.name) if x.to != to]
        whom = others[0] if others else None
        key = scope.graph.tables[whom].primary_key if whom is not None else None
        form = f"LIST_DISTINCT({name}, 0, 30, days) RANK TOP 10"
        each = f" FOR EACH {name_text(whom)}.{name_text(key)}" if whom and key else ""
        scope.add(
            "pql.not_predictable",
            f"{name} is a foreign key to {name_text(to)}, which is not predicted as a plain value",
            f"Write {form}{each} to predict which rows of {name_text(to)} come next.",
            position,
        )
        return False
    dtype, stype = column.dtype, column.stype
    if dtype is None or stype is None:
        return False
    if column_kind(dtype, stype) is Kind.time:
        scope.add(
            "pql.not_predictable",
            f"{name} is a time, which is not predicted as it is",
            f"Predict a condition such as {subject} > 2024-01-01"
            + (
                f", or whether something happens: COUNT({name_text(column.table)}.*, …) > 0."
                if written
                else "."
            ),
            position,
        )
        return False
    if stype is Stype.text:
        scope.add(
            "pql.not_predictable",
            f"{name} is free text, which is not predicted as it is",
            f"Predict a condition such as {subject} CONTAINS 'word', or set the semantic type to "
            "categorical when it has few values.",
            position,
        )
        return False
    kind = column_kind(dtype, stype)
    number_wanted = stype is Stype.numerical and kind not in {
        Kind.integer,
        Kind.number,
        Kind.boolean,
        Kind.duration,
    }
    if (
        number_wanted
        or stype in {Stype.sequence, Stype.image, Stype.unsupported}
        or kind is Kind.other
        or (kind is Kind.list and stype is not Stype.multicategorical)
    ):
        what = f"column of the semantic type {stype.value}"
        if number_wanted:
            what = f"numerical column with {kind.value} in each row"
        scope.add(
            "pql.not_predictable",
            f"{name} is a {what}, which is not predicted",
            "Put the one value that you want to know into a column of its own and predict that; "
            f"{name} can stay as an input.",
            position,
        )
        return False
    return True


def refuse_key(column: ColumnRef, scope: Scope, position: Position | None) -> None:
    name = name_text(column.table)
    scope.add(
        "pql.predicts_primary_key",
        f"{label(column)} is the primary key of {name}, which names a row and says nothing of it",
        f"Predict another column of {name}, or count rows by COUNT(table.*, 0, 30, days).",
        position,
    )
