"""Conditions on a row's own columns and one foreign key away, decided once per row.

Staging a table stores each comparison as a truth value. Where the row one foreign key away has a
time of its own, or the value is known later than its row, the comparison holds only from then on
(and until the row's end time), so that time is stored beside it, and the condition is put together
as of each anchor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from relcast.core.errors import InternalError
from relcast.core.schema import Link
from relcast.pql.ast import ColumnRef, Condition
from relcast.tasks.conditions import (
    FALSE,
    TRUE,
    Leaf,
    Operand,
    compile_condition,
    compile_leaf,
    value_when_absent,
)
from relcast.tasks.late_sql import settled
from relcast.tasks.scan import Catalog, Scan

__all__ = ["Focus", "StagedLeaves", "within_life"]


@dataclass
class Focus:
    """The table in focus and the tables that it points to, as joined so far."""

    session: Catalog
    scan: Scan
    alias: str
    hops: dict[Link, str] = field(default_factory=dict)
    settled: bool = False
    """Whether values are those of labels: without what labels do not wait for."""

    def operand(self, ref: ColumnRef) -> Operand:
        """Return a column of the table in focus, or of one that it points to."""
        scan, alias, name = self.source(ref)
        value = scan.value(name, alias)
        if self.settled:
            value = settled(self.session, scan, name, alias, value)
        return Operand(value, scan.kind(name))

    def source(self, ref: ColumnRef) -> tuple[Scan, str, str]:
        """Return the table that a column stands in, its alias, and the column's name."""
        if ref.column is None:
            raise InternalError("a row has no column *")
        if ref.hop is None:
            return self.scan, self.alias, ref.column
        alias = self.hops.setdefault(ref.hop, f"{self.alias}_hop_{len(self.hops)}")
        return self.session.scan(ref.hop.to), alias, ref.column

    def leaf(self, leaf: Leaf) -> exp.Expr:
        """Return a comparison or null test on columns, whatever the time."""
        if not isinstance(leaf.operand, ColumnRef):
            raise InternalError("a row's condition aggregates nothing")
        return compile_leaf(leaf, self.operand(leaf.operand))

    def condition(self, condition: Condition) -> exp.Expr:
        return compile_condition(condition, self.leaf)

    def from_(self, select: exp.Select) -> exp.Select:
        """Add FROM and the joins that the operands asked for; ask for all operands first."""
        select = select.from_(self.scan.relation(self.alias), copy=False)
        for link, alias in self.hops.items():
            select = select.join(
                self.session.scan(link.to).relation(alias),
                on=self.session.join_on(link, self.alias, alias),
                join_type="left",
                copy=False,
            )
        return select

    def life(self, leaf: Leaf) -> Life | None:
        """Return what the life of a leaf's column depends on; None where it is always known."""
        ref = leaf.operand
        if not isinstance(ref, ColumnRef):
            return None
        table = self.scan.table if ref.hop is None else self.session.scan(ref.hop.to).table
        late = ref.column if ref.column is not None and table.is_late(ref.column) else None
        if ref.hop is None:
            return None if late is None else (None, late)
        if late is None and table.time_column is None and table.end_time_column is None:
            return None
        return ref.hop, late


Life = tuple[Link | None, str | None]
"""The link to the row that a column stands in (None: the row in focus), and the column if late."""


@dataclass(frozen=True)
class StagedLeaves:
    """Where the leaves of conditions stand in a staged table.

    Attributes:
        columns: Name of the truth value of each leaf.
        lives: For leaves that are not always known: the columns ``(since, until)``, ns.
    """

    columns: dict[Leaf, str]
    lives: dict[Leaf, tuple[str, str]]

    @classmethod
    def of(cls, focus: Focus, leaves: Sequence[Leaf]) -> StagedLeaves:
        """Name the columns of leaves on columns; equal leaves share one."""
        columns = {leaf: f"leaf_{n}" for n, leaf in enumerate(dict.fromkeys(leaves))}
        lives = {leaf: focus.life(leaf) for leaf in columns}
        distinct = dict.fromkeys(life for life in lives.values() if life is not None)
        names = {life: (f"since_{n}", f"until_{n}") for n, life in enumerate(distinct)}
        return cls(columns, {k: names[life] for k, life in lives.items() if life is not None})

    def projections(self, focus: Focus) -> list[exp.Expr]:
        """Return the columns to store, under their names."""
        found = [focus.leaf(leaf).as_(name, quoted=True) for leaf, name in self.columns.items()]
        named = {names: focus.life(leaf) for leaf, names in self.lives.items()}
        for (since, until), life in named.items():
            link, late = life or (None, None)
            other = focus.scan if link is None else focus.session.scan(link.to)
            alias = focus.alias if link is None else focus.hops[link]
            # A row that is not there (a dangling key) has no life: since is NULL, never reached.
            begin = other.time(alias) if late is None else other.known(late, alias)
            if begin is None:
                row = exp.Is(this=other.row(alias), expression=exp.null())
                begin = (
                    exp.Case()
                    .when(exp.not_(exp.paren(row)), exp.Literal.number(0))
                    .else_(exp.null())
                )
            end = None if link is None else other.end_time(alias)
            found.append(exp.cast(begin, "BIGINT").as_(since, quoted=True))
            found.append(
                exp.cast(exp.null() if end is None else end, "BIGINT").as_(until, quoted=True)
            )
        return found

    def condition(self, condition: Condition, alias: str, moment: exp.Expr | None) -> exp.Expr:
        """Return a condition over the staged table ``alias`` as of a moment; None is any time."""
        return compile_condition(condition, lambda leaf: self.leaf(leaf, alias, moment))

    def leaf(self, leaf: Leaf, alias: str, moment: exp.Expr | None) -> exp.Expr:
        """Return one staged leaf as of a moment; a column that is not known then is NULL."""
        held = exp.column(self.columns[leaf], table=alias, quoted=True)
        if moment is None or leaf not in self.lives:
            return held
        since, until = (exp.column(c, table=alias, quoted=True) for c in self.lives[leaf])
        otherwise = TRUE if value_when_absent(leaf) else FALSE
        return exp.paren(
            exp.Case().when(within_life(since, until, moment), held).else_(otherwise.copy())
        )


def within_life(since: exp.Expr | None, until: exp.Expr | None, moment: exp.Expr) -> exp.Expr:
    """Return ``since <= moment AND (until IS NULL OR until > moment)``; None is no bound."""
    tests: list[exp.Expr] = []
    if since is not None:
        tests.append(exp.LTE(this=since.copy(), expression=moment.copy()))
    if until is not None:
        absent = exp.Is(this=until.copy(), expression=exp.null())
        tests.append(
            exp.paren(exp.or_(absent, exp.GT(this=until.copy(), expression=moment.copy())))
        )
    return exp.paren(exp.and_(*tests)) if tests else TRUE.copy()
