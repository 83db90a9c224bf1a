"""The query's target as plain values: what happened in past windows is the strongest feature.

Only the shape of the target is kept here (aggregations, filters, arithmetic, conditions) in JSON's
words; what rows it reads is ``resolver``'s matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import Link
from relcast.learners.features.conditions import (
    Tree,
    column_leaf,
    constant_of,
    tree_of,
)
from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    And,
    Arithmetic,
    ColumnRef,
    Comparison,
    Condition,
    Expression,
    IsNull,
    Not,
    Operator,
    Or,
    Unit,
)
from relcast.tasks.offsets import shift

__all__ = ["Target", "TargetAggregation"]


@dataclass(frozen=True)
class TargetAggregation:
    """One aggregation of the target.

    Attributes:
        kind: What is computed.
        table: The aggregated table.
        column: The aggregated column; None for ``*``.
        path: The foreign keys from ``table`` up to the entity table.
        where: The inner filter.
        length: Length of the window, in ``unit``.
        unit: Months are calendar months.
        element: For a list of which a condition asks whether it contains something: what. The
            value of a row is then 1 where its cell is that and 0 elsewhere, and the list's MAX.
        items: For a list of a foreign key, the link to what it lists: dangling keys are none of it.
    """

    kind: AggregationKind
    table: str
    column: str | None
    path: tuple[Link, ...]
    where: Tree | None
    length: int
    unit: Unit
    element: Tree | None = None
    items: Link | None = None

    @property
    def down(self) -> tuple[Link, ...]:
        """The same links from the entity table down to ``table``."""
        return tuple(reversed(self.path))

    def edges(self, anchors: npt.NDArray[np.int64], windows: int) -> npt.NDArray[np.int64]:
        """Return the ends of past windows, int64[n, windows + 1] from each anchor backwards."""
        steps = [shift(anchors, -k * self.length, self.unit) for k in range(windows + 1)]
        return np.stack(steps, axis=1)

    @property
    def nanoseconds(self) -> int:
        """The window's length in ns; a month counts as a twelfth of a year."""
        if self.unit is Unit.months:
            return self.length * (31_556_952 * 10**9 // 12)
        return int(shift(np.zeros(1, dtype=np.int64), self.length, self.unit)[0])

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "table": self.table,
            "column": self.column,
            "path": [link.to_json() for link in self.path],
            "where": self.where,
            "length": self.length,
            "unit": self.unit.value,
            "element": self.element,
            "items": None if self.items is None else self.items.to_json(),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> TargetAggregation:
        items = obj.get("items")
        return cls(
            AggregationKind(obj["kind"]),
            obj["table"],
            obj["column"],
            tuple(Link.from_json(link) for link in obj["path"]),
            obj["where"],
            int(obj["length"]),
            Unit(obj["unit"]),
            obj.get("element"),
            None if items is None else Link.from_json(items),
        )


@dataclass(frozen=True)
class Target:
    """A temporal target.

    Attributes:
        aggregations: Its aggregations, left to right.
        condition: The condition over them when it is one; None otherwise.
        formula: The arithmetic over them when it is that; None otherwise.
    """

    aggregations: tuple[TargetAggregation, ...]
    condition: Tree | None
    formula: Tree | None = None

    @classmethod
    def of(cls, target: Expression) -> Target | None:
        """Return the target's shape; None when it has no window that can be looked back to."""
        parts: list[TargetAggregation] = []
        try:
            match target:
                case ColumnRef():
                    return None
                case Aggregation():
                    parts.append(_part(target))
                    return cls(tuple(parts), None)
                case Arithmetic():
                    formula = _leaf(target, parts)
                    return cls(tuple(parts), None, formula)
                case condition:
                    tree = _condition(condition, parts)
                    return cls(tuple(parts), tree) if parts else None
        except _NoWindowError:
            return None

    def to_json(self) -> dict[str, Any]:
        return {
            "aggregations": [a.to_json() for a in self.aggregations],
            "condition": self.condition,
            "formula": self.formula,
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Target:
        parts = tuple(TargetAggregation.from_json(a) for a in obj["aggregations"])
        return cls(parts, obj["condition"], obj.get("formula"))


class _NoWindowError(Exception):
    """A part of the target has no window, or one without a beginning."""


def _part(node: Aggregation) -> TargetAggregation:
    window = node.window
    if not node.path or window is None or window.start is None:
        raise _NoWindowError
    return TargetAggregation(
        node.kind,
        node.column.table,
        node.column.column,
        node.path,
        None if node.where is None else tree_of(node.where, column_leaf),
        window.end - window.start,
        window.unit,
        items=node.items,
    )


def _leaf(node: Any, parts: list[TargetAggregation]) -> dict[str, Any]:
    """Return an operand in JSON's words; its aggregations are appended to ``parts``."""
    match node:
        case Aggregation():
            parts.append(_part(node))
            return {"aggregation": len(parts) - 1}
        case Arithmetic(operator=op, left=left, right=right):
            return {
                "arithmetic": op.value,
                "left": _leaf(left, parts),
                "right": _leaf(right, parts),
            }
        case int() | Decimal():
            return {"number": str(node)}
        case _:
            raise _NoWindowError


def _condition(node: Condition, parts: list[TargetAggregation]) -> dict[str, Any]:
    match node:
        case Not(condition=inner):
            return {"op": "not", "parts": [_condition(inner, parts)]}
        case And(left=left, right=right) | Or(left=left, right=right):
            op = "and" if isinstance(node, And) else "or"
            return {"op": op, "parts": [_condition(left, parts), _condition(right, parts)]}
        case Comparison(operand=Aggregation(kind=AggregationKind.LIST_DISTINCT) as listed):
            return _contains(listed, node, parts)
        case Comparison() | IsNull():
            return tree_of(node, lambda operand: _leaf(operand, parts))


def _contains(
    listed: Aggregation, node: Comparison, parts: list[TargetAggregation]
) -> dict[str, Any]:
    """Return whether a list contains something as a comparison of 1 where a row is that thing."""
    if node.operator not in (Operator.CONTAINS, Operator.NOT_CONTAINS):
        raise _NoWindowError
    if isinstance(node.constant, tuple):
        raise _NoWindowError
    part = _part(listed)
    element = constant_of(node.constant)
    parts.append(replace(part, kind=AggregationKind.MAX, element=element))
    wanted = "1" if node.operator is Operator.CONTAINS else "0"
    return {
        "op": Operator.EQ.value,
        "operand": {"aggregation": len(parts) - 1},
        "many": False,
        "constants": [{"number": wanted}],
    }
