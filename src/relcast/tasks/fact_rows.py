"""The rows that an aggregation reads, as SQL: joined to their entity, filtered, numbered.

``facts`` says what is done with them. Here is how they are staged, once for all anchors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlglot import exp

from relcast.core.errors import InternalError
from relcast.core.schema import Link
from relcast.pql.ast import Aggregation, AggregationKind, Comparison, Condition, Operator
from relcast.tasks.conditions import Kind, Operand, compile_leaf, leaves
from relcast.tasks.facts import Fact, Sight
from relcast.tasks.late_sql import settled
from relcast.tasks.scan import Catalog, Scan
from relcast.tasks.sql import appearance_order, earliest, latest, present
from relcast.tasks.staging import Focus, StagedLeaves

__all__ = ["fact_of", "rows_by_key"]

_ITEM = "item"
_ORDERED = (AggregationKind.FIRST, AggregationKind.LAST, AggregationKind.LIST_DISTINCT)


def fact_of(
    catalog: Catalog,
    aggregation: Aggregation,
    place: int,
    *,
    sight: Sight,
    of_target: bool = False,
    stepped: bool = False,
    rows_listed: bool = False,
    tested: tuple[Comparison, ...] = (),
) -> Fact:
    """Return an aggregation as ``fact_<place>``: the SQL of its rows and how to aggregate them.

    Args:
        catalog: The tables.
        aggregation: A checked aggregation.
        place: Its number in the query.
        sight: Whether its windows lie ahead of the anchor or, in the WHERE clause, in the past.
        of_target: Whether it stands in the target.
        stepped: Whether each window of a forecast has a value of its own.
        rows_listed: Whether LIST_DISTINCT of a foreign key lists dense rows rather than keys.
        tested: For LIST_DISTINCT in a condition: the comparisons with it.
    """
    if not aggregation.path or aggregation.column.table != aggregation.path[0].table:
        raise InternalError("the query was not checked: an aggregation has no link")
    scan = catalog.scan(aggregation.column.table)
    time = scan.time("own")
    if time is None and aggregation.window is not None:
        raise InternalError(f"the query was not checked: {scan.table.name} has no time column")
    looks_back = sight is not Sight.ahead
    focus = Focus(catalog, scan, "own", settled=of_target or not looks_back)
    way = _Way.of(catalog, aggregation, looks_back=looks_back)
    kind, value = _value(catalog, scan, aggregation, rows_listed=rows_listed, tested=bool(tested))
    begins = list(way.begins)
    name = aggregation.column.column
    if name is not None and value is not None:
        late = scan.known(name, "own") if looks_back else None
        begins += [] if late is None else [late]
        if focus.settled:
            value = settled(catalog, scan, name, "own", value)

    tests: list[exp.Expr] = [present(v) for v in (time, value) if v is not None]
    extra: list[exp.Expr] = []
    staged: StagedLeaves | None = None
    if aggregation.where is not None:
        staged = _as_of_anchor(focus, aggregation.where) if looks_back else None
        condition = focus.condition(aggregation.where)
        if staged is None:
            tests.append(condition)
        else:
            extra += staged.projections(focus)
    end = scan.end_time("own") if looks_back else None
    ends = ([] if end is None else [end]) + way.ends
    if begins:
        extra.append(latest(begins).as_("begun", quoted=True))
    if ends:
        extra.append(earliest(ends).as_("ended", quoted=True))
    entity = catalog.scan(aggregation.path[-1].to).row(way.last)
    if aggregation.kind in _ORDERED:
        extra.append(_row_order(scan, entity).as_("place", quoted=True))
    holds: dict[Comparison, str] = {}
    for n, leaf in enumerate(dict.fromkeys(tested)):
        holds[leaf] = f"holds_{n}"
        extra.append(_has_constant(scan, aggregation, leaf).as_(holds[leaf], quoted=True))

    select = focus.from_(
        exp.select(
            entity.as_("entity", quoted=True),
            exp.cast(exp.null() if time is None else time.copy(), "BIGINT").as_(
                "time", quoted=True
            ),
            (exp.Literal.number(1) if value is None else value).as_("value", quoted=True),
            *extra,
        )
    )
    select = way.join(catalog, select)
    return Fact(
        aggregation,
        place,
        kind,
        select.where(*tests) if tests else select,
        of_target=of_target,
        stepped=stepped,
        sight=sight,
        staged=staged,
        begins=bool(begins),
        ends=bool(ends),
        holds=holds,
    )


def rows_by_key(catalog: Catalog, fact: Fact) -> exp.Select:
    """Return a fact's rows with the foreign key in place of the entity's row, not yet joined.

    For facts that carry nothing of their entity; NULL keys are left out.
    """
    path = fact.aggregation.path
    link, steps = path[-1], len(path)
    child = "own" if steps == 1 else _alias(steps - 2)
    key = catalog.scan(link.table).raw(link.foreign_key, child)
    select = fact.rows.copy()
    joins = [j for j in select.args["joins"] if j.alias_or_name != _alias(steps - 1)]
    select.set("joins", joins)
    kept = [e for e in select.expressions if e.alias not in ("entity", "place")]
    select.set("expressions", [key.as_("entity", quoted=True), *kept])
    return select.where(present(key), copy=False)


def _alias(step: int) -> str:
    """Return the alias of the table that the link ``step`` of a path points to."""
    return f"up_{step}"


@dataclass(frozen=True)
class _Way:
    """The tables between a row and its entity, and the one whose rows are listed.

    Attributes:
        joins: Link, alias of its table and alias of the table that it points to.
        last: Alias of the entity table.
        begins, ends: For a window in the past: times at which the rows between become known, and
            end.
    """

    joins: tuple[tuple[Link, str, str], ...]
    last: str
    begins: list[exp.Expr]
    ends: list[exp.Expr]

    @classmethod
    def of(cls, catalog: Catalog, aggregation: Aggregation, *, looks_back: bool) -> _Way:
        joins: list[tuple[Link, str, str]] = []
        at = "own"
        for n, link in enumerate(aggregation.path):
            joins.append((link, at, _alias(n)))
            at = _alias(n)
        between = joins[:-1]
        if aggregation.items is not None:
            joins.append((aggregation.items, "own", _ITEM))
            between = [*between, joins[-1]]
        begins: list[exp.Expr] = []
        ends: list[exp.Expr] = []
        for link, _, alias in between if looks_back else ():
            other = catalog.scan(link.to)
            begin, end = other.time(alias), other.end_time(alias)
            begins += [] if begin is None else [begin]
            ends += [] if end is None else [end]
        return cls(tuple(joins), at, begins, ends)

    def join(self, catalog: Catalog, select: exp.Select) -> exp.Select:
        """Add the joins; a key that names no row is no edge."""
        for link, child, parent in self.joins:
            other = catalog.scan(link.to).relation(parent)
            select = select.join(other, on=catalog.join_on(link, child, parent), copy=False)
        return select


def _as_of_anchor(focus: Focus, condition: Condition) -> StagedLeaves | None:
    """Return the leaves of an inner filter that must be decided at each anchor, if any must."""
    staged = StagedLeaves.of(focus, list(leaves(condition)))
    return staged if staged.lives else None


def _value(
    catalog: Catalog, scan: Scan, aggregation: Aggregation, *, rows_listed: bool, tested: bool
) -> tuple[Kind, exp.Expr | None]:
    """Return the kind of an aggregation's value and the SQL of a row's; None counts rows."""
    name = aggregation.column.column
    if name is None:
        return "integer", None
    value, kind = scan.value(name, "own"), scan.kind(name)
    match aggregation.kind:
        case AggregationKind.COUNT | AggregationKind.COUNT_DISTINCT:
            return "integer", value
        case AggregationKind.LIST_DISTINCT:
            items = aggregation.items
            if items is not None and not tested:
                other = catalog.scan(items.to)
                key = other.table.primary_key
                listed = rows_listed or key is None
                value = other.row(_ITEM) if listed else other.value(str(key), _ITEM)
            return "list", value
        case AggregationKind.SUM | AggregationKind.AVG:
            if kind == "bool":
                value, kind = exp.cast(value, "BIGINT"), "integer"
            elif kind != "integer":
                value, kind = exp.cast(value, "DOUBLE"), "double"
            return ("double" if aggregation.kind is AggregationKind.AVG else kind), value
        case AggregationKind.MEDIAN | AggregationKind.STDDEV:
            if kind == "bool":
                value = exp.cast(value, "BIGINT")
            return "double", exp.cast(value, "DOUBLE")
        case _:
            return kind, value


def _has_constant(scan: Scan, aggregation: Aggregation, leaf: Comparison) -> exp.Expr:
    """Return whether a row has the constant that a list is asked to contain."""
    name = aggregation.column.column
    if name is None:
        raise InternalError("the query was not checked: a list of no column")
    equal = replace(leaf, operator=Operator.EQ)
    return compile_leaf(equal, Operand(scan.value(name, "own"), scan.kind(name)))


def _row_order(scan: Scan, entity: exp.Expr) -> exp.Expr:
    """Return each row's place among its entity's, by time, primary key and row order."""
    keys = [scan.time("own")]
    if scan.table.primary_key is not None:
        keys.append(scan.value(scan.table.primary_key, "own"))
    keys.append(scan.row("own"))
    return appearance_order([key for key in keys if key is not None], among=entity)
