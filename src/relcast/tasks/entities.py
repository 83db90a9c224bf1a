"""The staged entity rows: key, life, weight, own conditions, and a target that is a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from relcast.core.errors import InternalError
from relcast.pql.ast import (
    Aggregation,
    Arithmetic,
    CheckedQuery,
    ColumnRef,
    Comparison,
    Condition,
    Expression,
    IsNull,
)
from relcast.tasks.conditions import leaves
from relcast.tasks.scan import Catalog
from relcast.tasks.sql import column, elements_of, present
from relcast.tasks.staging import Focus, StagedLeaves

__all__ = ["EntityRows"]

_OWN = "own"


@dataclass(frozen=True)
class EntityRows:
    """What to stage of the entity table, and how to read it.

    Attributes:
        rows: ``entity, has_key, since, until, weight, static_time``, a truth value for each own
            condition, and the target where it is a plain column: ``column``, or ``list_is_there``.
        elements: ``entity, value, first`` of a target that is a list; None otherwise.
        conditions: Where the leaves on plain columns stand.
        has_static_time: Whether a time orders the rows of a static query.
    """

    rows: exp.Select
    elements: exp.Select | None
    conditions: StagedLeaves
    has_static_time: bool

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        query: CheckedQuery,
        *,
        target: Expression | None,
        filters: Sequence[Condition | None],
        lists: bool,
        weight_column: str | None,
        chosen: str | None,
    ) -> EntityRows:
        """Write the rows for a target and filters; ``chosen`` names a table of the rows wanted."""
        scan = catalog.scan(query.entity_table)
        focus = Focus(catalog, scan, _OWN)
        key = scan.table.primary_key
        if key is None:
            raise InternalError("the query was not checked: the entity table has no primary key")
        value: exp.Expr = exp.null()
        list_is_there: exp.Expr = exp.null()
        if isinstance(target, ColumnRef):
            if lists:
                list_is_there = present(_raw(focus, target))
            else:
                value = focus.operand(target).value
        staged = StagedLeaves.of(focus, _own_leaves([*filters, _as_condition(target)]))
        extra = staged.projections(focus)
        for leaf, name in staged.columns.items():
            if isinstance(leaf.operand, ColumnRef):
                found = present(focus.operand(leaf.operand).value)
                extra.append(found.as_(f"{name}_present", quoted=True))
        static_time = None if query.temporal else _order_time(focus, target)
        weight = exp.null() if weight_column is None else scan.value(weight_column, _OWN)
        select = exp.select(
            scan.row(_OWN).as_("entity", quoted=True),
            present(scan.raw(key, _OWN)).as_("has_key", quoted=True),
            _whole(scan.time(_OWN)).as_("since", quoted=True),
            _whole(scan.end_time(_OWN)).as_("until", quoted=True),
            value.as_("column", quoted=True),
            list_is_there.as_("list_is_there", quoted=True),
            exp.cast(weight, "DOUBLE").as_("weight", quoted=True),
            _whole(static_time).as_("static_time", quoted=True),
            *extra,
        )
        rows = focus.from_(select)
        if chosen is not None:
            wanted = exp.select(column("entity", chosen)).from_(exp.to_table(chosen))
            rows = rows.where(exp.In(this=scan.row(_OWN), query=wanted.subquery()))
        elements = None
        if lists and isinstance(target, ColumnRef):
            elements = _elements(catalog, query, target)
        return cls(rows, elements, staged, static_time is not None)

    def is_present(self, leaf: Comparison, alias: str) -> exp.Expr:
        """Return whether a comparison's column has a value."""
        return column(f"{self.conditions.columns[leaf]}_present", alias)


def _elements(catalog: Catalog, query: CheckedQuery, target: ColumnRef) -> exp.Select:
    """Return the different elements of a column that holds lists, or texts of several."""
    scan = catalog.scan(query.entity_table)
    focus = Focus(catalog, scan, _OWN)
    holder, alias, name = focus.source(target)
    source = focus.from_(
        exp.select(
            scan.row(_OWN).as_("entity", quoted=True),
            holder.elements(name, alias).as_("list", quoted=True),
        )
    )
    return elements_of(source, trimmed=not holder.is_list(name))


def _raw(focus: Focus, ref: ColumnRef) -> exp.Expr:
    scan, alias, name = focus.source(ref)
    return scan.raw(name, alias)


def _order_time(focus: Focus, target: Expression | None) -> exp.Expr | None:
    """Return the time that orders a static query's rows: the entity's, else the target's."""
    own = focus.scan.time(focus.alias)
    if own is not None:
        return own
    refs: list[Expression] = [target] if isinstance(target, ColumnRef) else []
    refs += [n.operand for n in _own_leaves([_as_condition(target)])]
    for ref in refs:
        if isinstance(ref, ColumnRef) and ref.hop is not None and ref.hop in focus.hops:
            found = focus.session.scan(ref.hop.to).time(focus.hops[ref.hop])
            if found is not None:
                return found
    return None


def _as_condition(target: Expression | None) -> Condition | None:
    return None if isinstance(target, Aggregation | Arithmetic | ColumnRef) else target


def _own_leaves(conditions: Sequence[Condition | None]) -> list[Comparison | IsNull]:
    return [n for c in conditions for n in leaves(c) if isinstance(n.operand, ColumnRef)]


def _whole(value: exp.Expr | None) -> exp.Expr:
    return exp.cast(exp.null() if value is None else value, "BIGINT")
