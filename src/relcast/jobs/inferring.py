"""A graph from a source's tables: what is inferred, what was said instead, and why.

The inference itself is that of ``relcast.snapshots``; here tables and links come together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from relcast.core.errors import InvalidRequest, SchemaError, nearest
from relcast.core.schema import Graph, Link
from relcast.snapshots import LinkProposal, TableProposal, TableSpec
from relcast.snapshots import infer_links as propose_links
from relcast.snapshots import infer_table as propose_table
from relcast.sources import Source, SourceRef

__all__ = ["infer_graph", "infer_links"]

_ROLES = frozenset(
    {"primary_key", "time_column", "end_time_column", "dtypes", "stypes", "columns", "known_at",
     "known_after", "mutable"}
)  # fmt: skip


def infer_graph(
    source: Source, tables: Sequence[str] | None, overrides: Mapping[str, Any], *, threads: int = 1
) -> tuple[Graph, dict[str, Any]]:
    """Return the graph of a source's tables and the reasons for it as JSON.

    Raises ``graph.no_tables``, ``graph.bad_override``, ``source.*`` and ``schema.*`` errors.
    """
    chosen = list(source.list_tables() if tables is None else tables)
    if not chosen:
        raise SchemaError(
            "This source has no tables",
            code="graph.no_tables",
            hint="Put .parquet or .csv files there, one per table, or upload some.",
        )
    said = _said(overrides, chosen)
    proposals = [
        propose_table(source, name, _spec(name, said.get(name, {})), threads=threads)
        for name in chosen
    ]
    reasons: dict[str, Any] = {"tables": {p.name: p.reasons() for p in proposals}}
    given = overrides.get("links")
    if given is None:
        found = propose_links(proposals)
        links = tuple(proposal.link for proposal in found)
        reasons["links"] = [proposal.to_json() for proposal in found]
    else:
        links = tuple(Link.from_json(link) for link in given)
        reasons["links"] = [{**link.to_json(), "reason": "it was given"} for link in links]
    return Graph({p.name: p.table for p in proposals}, links), reasons


def infer_links(
    graph: Graph, sources: Mapping[str, tuple[Source, SourceRef]], *, threads: int = 1
) -> list[LinkProposal]:
    """Propose links between tables as the graph describes them, with reasons."""
    proposals: Iterable[TableProposal] = [
        propose_table(source, ref.table, TableSpec.of(graph.table(name)), threads=threads)
        for name, (source, ref) in sources.items()
    ]
    return list(propose_links(list(proposals)))


def _said(overrides: Mapping[str, Any], tables: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    unknown = sorted(set(overrides) - {"tables", "links"})
    if unknown:
        raise _bad(f"There is no override {unknown[0]!r}", "Use 'tables' and 'links'.")
    said: Mapping[str, Mapping[str, Any]] = overrides.get("tables", {})
    for name, roles in said.items():
        if name not in tables:
            raise _bad(f"There is no table {name!r} to override", nearest(name, tables))
        odd = sorted(set(roles) - _ROLES)
        if odd:
            raise _bad(f"A table has no {odd[0]!r} to override", nearest(odd[0], _ROLES))
    return said


def _spec(name: str, said: Mapping[str, Any]) -> TableSpec:
    try:
        return TableSpec.from_json({"name": name, **said})
    except ValueError as error:
        raise _bad(
            f"Table {name!r}: {error}", "Types are those of relcast.core.schema, such as 'int64'."
        ) from None


def _bad(message: str, hint: str) -> InvalidRequest:
    return InvalidRequest(message, code="graph.bad_override", hint=hint)
