"""Chains of foreign keys from one table up to another, for aggregations over several links."""

from __future__ import annotations

from relcast.core.schema import Graph, Link

__all__ = ["MOST_HOPS", "chains", "distance"]

MOST_HOPS = 4
"""Links that an aggregation may follow from its table to the entity table."""


def distance(graph: Graph, start: str, end: str) -> int | None:
    """Return the least number of foreign keys from ``start`` to ``end``; None without a way."""
    return _distances(graph, end).get(start)


def chains(graph: Graph, start: str, end: str, *, most: int) -> list[tuple[Link, ...]]:
    """Return the chains of foreign keys from ``start`` to ``end``, the shortest first.

    A chain has at most ``MOST_HOPS`` links and visits no table twice. The search stops once it has
    found ``most`` chains, so that it stays short on graphs of any shape.
    """
    away = _distances(graph, end)
    found: list[tuple[Link, ...]] = []
    begun: list[tuple[Link, ...]] = [()] if start != end else []
    while begun and len(found) < most:
        chain = begun.pop()
        visited = {start, *(x.to for x in chain)}
        left = MOST_HOPS - len(chain) - 1
        for link in graph.links_from(chain[-1].to if chain else start):
            if link.to == end:
                found.append((*chain, link))
            elif link.to not in visited and away.get(link.to, MOST_HOPS) <= left:
                begun.append((*chain, link))
    return sorted(found, key=len)[:most]


def _distances(graph: Graph, end: str) -> dict[str, int]:
    """Return how many foreign keys each table is away from ``end``."""
    away = {end: 0}
    level = [end]
    while level:
        further: list[str] = []
        for table in level:
            for link in graph.links_to(table):
                if link.table not in away:
                    away[link.table] = away[table] + 1
                    further.append(link.table)
        level = further
    return away
