"""The aggregations of a query: each is staged once, however often its clauses mention it."""

from __future__ import annotations

from typing import NamedTuple

from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    Arithmetic,
    ColumnRef,
    Comparison,
    Expression,
    aggregations,
)
from relcast.tasks.conditions import leaves
from relcast.tasks.fact_rows import fact_of
from relcast.tasks.facts import Fact, Sight
from relcast.tasks.scan import Catalog

__all__ = ["FactSet"]


class _Use(NamedTuple):
    """An aggregation in its place."""

    aggregation: Aggregation
    sight: Sight
    of_target: bool


class FactSet:
    """What the aggregations of a query read.

    Attributes:
        facts: By number, in the order in which they were added.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.facts: list[Fact] = []
        self._catalog = catalog
        self._uses: dict[_Use, int] = {}

    def of(self, aggregation: Aggregation, sight: Sight, *, of_target: bool) -> Fact:
        """Return the fact of an aggregation that was added."""
        return self.facts[self._uses[_Use(aggregation, sight, of_target)]]

    def add_list(self, target: Aggregation, sight: Sight, *, dense_rows: bool) -> int:
        """Add a target that is a list, of keys or values or of ``dense_rows``; return its number.

        The conditions of other clauses on the same list read facts of their own.
        """
        number = len(self.facts)
        self.facts.append(
            fact_of(
                self._catalog,
                target,
                number,
                sight=sight,
                of_target=True,
                rows_listed=dense_rows,
            )
        )
        return number

    def add_target(self, target: Expression | None, sight: Sight, *, stepped: bool) -> None:
        """Add the aggregations of a target that is no list; ``stepped`` where it is a forecast."""
        self._add(target, sight, of_target=True, stepped=stepped)

    def add(self, clause: Expression | None, sight: Sight) -> None:
        """Add the aggregations of a filter."""
        self._add(clause, sight, of_target=False, stepped=False)

    def _add(
        self, clause: Expression | None, sight: Sight, *, of_target: bool, stepped: bool
    ) -> None:
        tested = _list_tests(clause)
        for aggregation in aggregations(clause):
            use = _Use(aggregation, sight, of_target)
            if use in self._uses:
                continue
            self._uses[use] = len(self.facts)
            fact = fact_of(
                self._catalog,
                aggregation,
                len(self.facts),
                sight=sight,
                of_target=of_target,
                stepped=stepped,
                tested=tested.get(aggregation, ()),
            )
            self.facts.append(fact)


def _list_tests(clause: Expression | None) -> dict[Aggregation, tuple[Comparison, ...]]:
    """Return what the lists of a clause are asked to contain."""
    found: dict[Aggregation, tuple[Comparison, ...]] = {}
    if clause is None or isinstance(clause, Aggregation | Arithmetic | ColumnRef):
        return found
    for leaf in leaves(clause):
        operand = leaf.operand
        if (
            isinstance(leaf, Comparison)
            and isinstance(operand, Aggregation)
            and operand.kind is AggregationKind.LIST_DISTINCT
        ):
            found[operand] = (*found.get(operand, ()), leaf)
    return found
