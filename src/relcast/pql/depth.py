"""How deep a tree nests, found without recursion, so that whoever recurses can be guarded."""

from __future__ import annotations

from decimal import Decimal

from relcast.core.errors import PqlError
from relcast.pql.ast import (
    Aggregation,
    And,
    Arithmetic,
    Comparison,
    Expression,
    IsNull,
    Not,
    Or,
    Query,
)
from relcast.pql.catalogue import fault
from relcast.pql.operand_builder import MAX_DEPTH

__all__ = ["guard"]

# Aggregations inside aggregations, which no text has, would count here as well.
_MOST = MAX_DEPTH + 8


def guard(node: Query | Expression) -> None:
    """Raise ``pql.syntax`` when a tree nests deeper than any parsed text can."""
    level: list[Query | Expression | None] = [node]
    for _ in range(_MOST):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise PqlError.of(
        [
            fault(
                "pql.syntax",
                f"The query nests more than {MAX_DEPTH} conditions",
                "Write IN (a, b, …) in place of many comparisons with the same column.",
                None,
            )
        ]
    )


def _children(node: Query | Expression | None) -> list[Query | Expression | None]:
    match node:
        case Query():
            return [node.target, node.where, node.assuming]
        case Aggregation():
            return [node.where]
        case Comparison() | IsNull():
            return [node.operand]
        case Not():
            return [node.condition]
        case And() | Or():
            return [node.left, node.right]
        case Arithmetic():
            return [x for x in (node.left, node.right) if not isinstance(x, int | Decimal)]
        case _:
            return []
