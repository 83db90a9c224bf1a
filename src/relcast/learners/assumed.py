"""What a model takes for granted of when values are known: for the leakage certificate.

The engine keeps what people said (``known_at``, ``known_after``, ``mutable``); that it is true is
theirs to say. So is what they did not say, of columns that look as if they came late.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from relcast.learners.features.columns import unusable
from relcast.relations import longest_wait
from relcast.tasks.waiting import label_wait

if TYPE_CHECKING:
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["Assumed", "LateColumn", "assumed"]

_HOUR = 3_600 * 10**9


@dataclass(frozen=True, slots=True)
class LateColumn:
    """A column that is known later than its rows.

    Attributes:
        table, column: Which.
        known_at: The time column from which it is known; None without one.
        known_after: How long after that, or after its row, in words; None without a delay.
        longest_hours: The longest that a value of it took to become known after its row.
        implied: Whether it is late because it says when others are known.
    """

    table: str
    column: str
    known_at: str | None
    known_after: str | None
    longest_hours: float
    implied: bool


@dataclass(frozen=True, slots=True)
class Assumed:
    """What was taken for granted.

    Attributes:
        late: Columns that are known later than their rows.
        label_wait_hours: How long after its windows a label is settled.
        left_out: Mutable columns, ``table.column``, that were not read.
        insisted: Mutable columns that may have been read because the plan insists.
        unheeded: Columns that look as if they came late, and nobody said so: a sentence each.
    """

    late: tuple[LateColumn, ...]
    label_wait_hours: float
    left_out: tuple[str, ...]
    insisted: tuple[str, ...]
    unheeded: tuple[str, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user must hear: mutable columns that are read, late ones that nobody named."""
        return tuple(self._warnings())

    def _warnings(self) -> Iterator[str]:
        if self.insisted:
            yield (
                f"Mutable columns may be read at anchors of the past ({', '.join(self.insisted)}): "
                "what they held then is lost, and the figures may be too good."
            )
        for reason in self.unheeded:
            yield f"{reason}: if its values come later than its rows, the figures are too good."

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "warnings": list(self.warnings)}


def assumed(relations: Relations, query: CheckedQuery, *, allow_mutable: bool = False) -> Assumed:
    """Return what a model of a query takes for granted of when values are known.

    Nothing of a static query, which has no past.
    """
    if not query.temporal:
        return Assumed((), 0.0, (), (), ())
    graph = relations.graph
    mutable = sorted(f"{t}.{c}" for t, c in unusable(graph, query))
    return Assumed(
        late=tuple(_late(relations)),
        label_wait_hours=label_wait(relations, query) / _HOUR,
        left_out=() if allow_mutable else tuple(mutable),
        insisted=tuple(mutable) if allow_mutable else (),
        unheeded=tuple(
            str(found["reason"])
            for table in graph.tables
            for found in relations.proposals.get(table, ())
        ),
    )


def _late(relations: Relations) -> Iterator[LateColumn]:
    for table in relations.graph.tables.values():
        for column in table.columns:
            said = table.known_by(column.name)
            if said is not None:
                yield LateColumn(
                    table.name,
                    column.name,
                    said[0],
                    None if said[1] is None else str(said[1]),
                    longest_wait(relations.table(table.name), column.name) / _HOUR,
                    column.known_at is None and column.known_after is None,
                )
