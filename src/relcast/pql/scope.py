"""Where names lead: tables, columns, and the foreign keys between two tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from relcast.core.errors import Fault, Position, nearest
from relcast.core.schema import Graph, Link, Table
from relcast.pql.ast import Aggregation, ColumnRef
from relcast.pql.catalogue import fault
from relcast.pql.literals import name_text
from relcast.pql.paths import MOST_HOPS, chains, distance
from relcast.pql.values import label

__all__ = ["Scope"]

_MOST_CHAINS = 100
_CHAINS_SHOWN = 5


class Scope:
    """Resolve names against a graph and collect what is wrong with them.

    Attributes:
        graph: What the names refer to.
        faults: What was wrong so far.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.faults: list[Fault] = []

    def add(self, code: str, message: str, hint: str, position: Position | None) -> None:
        """Note a fault of the catalogue."""
        self.faults.append(fault(code, message, hint, position))

    def table(self, ref: ColumnRef) -> Table | None:
        """Return the table of a reference, or note ``pql.unknown_table``."""
        table = self.graph.tables.get(ref.table)
        if table is None:
            self.add(
                "pql.unknown_table",
                f"The graph has no table {name_text(ref.table)}",
                nearest(ref.table, list(self.graph.tables)),
                ref.position,
            )
        return table

    def typed(self, ref: ColumnRef, *, star: bool = False, advice: str = "") -> ColumnRef:
        """Return the reference with its types, or note what is unknown.

        ``star`` allows ``table.*``; ``advice`` replaces the list of near columns. A reference that
        stays without types has a fault, unless it is a legal star.
        """
        table = self.table(ref)
        if ref.column is None:
            if not star:
                self.add(
                    "pql.wildcard_outside_count",
                    f"{label(ref)} stands for whole rows, which only COUNT can take",
                    f"Name a column of {name_text(ref.table)}, or write COUNT({label(ref)}, …).",
                    ref.position,
                )
            return ref
        if table is None:
            return ref
        if not table.has_column(ref.column):
            elsewhere = sorted(
                t.name for t in self.graph.tables.values() if t.has_column(ref.column)
            )
            advice = advice or nearest(ref.column, [c.name for c in table.columns])
            if elsewhere and advice.startswith("There are"):
                found = ", ".join(f"{name_text(t)}.{name_text(ref.column)}" for t in elsewhere[:3])
                advice = f"There is {found}. {advice}"
            self.add(
                "pql.unknown_column",
                f"The table {name_text(ref.table)} has no column {name_text(ref.column)}",
                advice,
                ref.position,
            )
            return ref
        column = table.column(ref.column)
        return replace(ref, dtype=column.dtype, stype=column.stype)

    def reachable(self, ref: ColumnRef, focus: Table | None) -> ColumnRef:
        """Return a typed column of ``focus`` or of a table one foreign key away from it."""
        typed = self.typed(ref)
        if focus is None or ref.table == focus.name or ref.table not in self.graph.tables:
            return typed
        links = [x for x in self.graph.links_from(focus.name) if x.to == ref.table]
        if len(links) == 1:
            return replace(typed, hop=links[0])
        here, there = name_text(focus.name), name_text(ref.table)
        if links:
            self._ambiguous(
                f"{here} points to {there} over {len(links)} foreign keys",
                links,
                f"Remove all but one of them from the graph to use {label(ref)}.",
                ref.position,
            )
        elif any(x.to == focus.name for x in self.graph.links_from(ref.table)):
            self.add(
                "pql.not_unique",
                f"{label(ref)} can have many values for one row of {here}, because {there} points "
                f"to {here}",
                f"Aggregate it, such as LAST({label(ref)}, 0, 30, days) in a target or "
                f"LAST({label(ref)}, -30, 0, days) in WHERE.",
                ref.position,
            )
        else:
            reach = sorted({x.to for x in self.graph.links_from(focus.name)} - {focus.name})
            names = ", ".join(name_text(t) for t in reach)
            self.add(
                "pql.missing_foreign_key",
                f"No foreign key leads from {here} to {there}",
                f"Link the two tables, or use columns of {here}{' or ' + names if names else ''}.",
                ref.position,
            )
        return typed

    def path(self, node: Aggregation, entity: Table | None) -> tuple[Link, ...]:
        """Return the foreign keys from the aggregated table up to the entity table.

        One direct foreign key wins; without one, the only chain of at most ``MOST_HOPS`` of them.
        """
        name = node.column.table
        if entity is None or name not in self.graph.tables:
            return ()
        direct = [x for x in self.graph.links_from(name) if x.to == entity.name]
        if len(direct) == 1:
            return (direct[0],)
        here, there = name_text(name), name_text(entity.name)
        if direct:
            self._ambiguous(
                f"{here} points to {there} over {len(direct)} foreign keys",
                direct,
                "Keep one of them in the graph, and take the others out.",
                node.column.position,
            )
            return ()
        found = chains(self.graph, name, entity.name, most=_MOST_CHAINS)
        if len(found) == 1:
            return found[0]
        if found:
            number = f"{len(found)}" if len(found) < _MOST_CHAINS else f"{_MOST_CHAINS} or more"
            listed = "; ".join(map(_chain_text, found[:_CHAINS_SHOWN]))
            more = "; …" if len(found) > _CHAINS_SHOWN else ""
            self.add(
                "pql.ambiguous_link",
                f"{here} leads to {there} over {number} chains of foreign keys: {listed}{more}",
                "Take a foreign key out of the graph, so that one chain is left, or aggregate a "
                f"table that points to {there} itself.",
                node.column.position,
            )
        else:
            self.add(
                "pql.missing_foreign_key",
                f"No foreign key leads from {here} to the entity table {there}",
                self._way(name, entity),
                node.column.position,
            )
        return ()

    def _way(self, name: str, entity: Table) -> str:
        here, there = name_text(name), name_text(entity.name)
        if name == entity.name:
            return (
                "An aggregation goes over rows that point to an entity; name a column of "
                f"{here} without an aggregation."
            )
        if any(x.to == name for x in self.graph.links_from(entity.name)):
            return (
                f"The foreign key leads from {there} to {here}; use its columns without an "
                "aggregation, or predict for the rows of " + here + "."
            )
        far = distance(self.graph, name, entity.name)
        if far is not None:
            return (
                f"{here} is {far} foreign keys away from {there}, and an aggregation follows at "
                f"most {MOST_HOPS}; add a foreign key to {there} closer to {here}."
            )
        pointing = {x.table for x in self.graph.links_to(entity.name)} - {entity.name}
        usable = sorted(
            t for t in pointing if self.graph.tables[t].time_column is not None
        ) or sorted(pointing)
        if not usable:
            return f"Link a table to {there} first."
        return f"Link the two, or aggregate {', '.join(name_text(t) for t in usable)}."

    def _ambiguous(
        self, what: str, links: Sequence[Link], mend: str, position: Position | None
    ) -> None:
        listed = ", ".join(_chain_text((x,)) for x in links)
        self.add("pql.ambiguous_link", f"{what}: {listed}", mend, position)


def _chain_text(chain: Sequence[Link]) -> str:
    """Return ``a.key -> b.key -> c`` for the links from a over b to c."""
    keys = [f"{name_text(x.table)}.{name_text(x.foreign_key)}" for x in chain]
    return " -> ".join([*keys, name_text(chain[-1].to)])
