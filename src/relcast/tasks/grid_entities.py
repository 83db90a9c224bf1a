"""The entities as arrays by dense row: when they live, what they weigh, their own conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlglot import exp

from relcast.tasks.label_sql import ENTITIES, LabelSql
from relcast.tasks.offsets import LATEST, Times
from relcast.tasks.scan import Session
from relcast.tasks.sql import column

__all__ = ["GridEntities", "unended"]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class GridEntities:
    """The entities by dense row; whoever is not looked at has no key.

    Attributes:
        has_key: bool[E].
        since: int64[E] ns, when each begins; None where all always were.
        until: int64[E] ns, when each ends; None where none does.
        weight: float64[E], NaN for none; None where entities have no weights.
        columns: By name, the truth values of conditions on own columns, and since when and until
            when they hold.
    """

    has_key: Mask
    since: Times | None
    until: Times | None
    weight: npt.NDArray[np.float64] | None
    columns: dict[str, npt.NDArray[Any]]

    @classmethod
    def read(cls, session: Session, sql: LabelSql) -> GridEntities:
        """Read what the clauses ask of the entities."""
        stage = sql.stages[0]
        scan = session.scan(sql.query.entity_table)
        times = []
        if scan.table.time_column is not None:
            times.append("since")
        if scan.table.end_time_column is not None:
            times.append("until")
        staged = sql.own_conditions
        for pair in dict.fromkeys(staged.lives.values()):
            times += pair
        truths = [*staged.columns.values(), *(f"{c}_present" for c in staged.columns.values())]
        names = ["entity", "has_key", *(["weight"] if sql.weighted else []), *times, *truths]
        rows = session.fetch(
            exp.select(*(column(n, ENTITIES) for n in dict.fromkeys(names))).from_(
                stage.rows.subquery(alias=exp.to_identifier(ENTITIES, quoted=True))
            )
        )
        place = rows.column("entity").to_numpy()
        in_order = len(place) == sql.rows and bool((place == np.arange(sql.rows)).all())

        def spread(name: str, missing: Any, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
            values = _filled(rows.column(name), missing)
            if in_order and values.dtype == dtype:
                return values
            found = np.full(sql.rows, missing, dtype=dtype)
            found[place] = values
            return found

        # A begin that is missing never comes; an end that is missing neither.
        held = {name: spread(name, LATEST, np.int64) for name in times}
        held |= {name: spread(name, False, np.bool_) for name in truths}
        return cls(
            has_key=spread("has_key", False, np.bool_),
            since=held.get("since"),
            until=held.get("until"),
            weight=spread("weight", np.nan, np.float64) if sql.weighted else None,
            columns=held,
        )


def unended(until: Times, moment: int) -> Mask:
    """Return who has not ended; an end that is missing stands as ``LATEST``."""
    found: Mask = (until > moment) | (until == LATEST)
    return found


def _filled(values: pa.ChunkedArray, missing: Any) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = (
        values.fill_null(missing).to_numpy() if values.null_count else values.to_numpy()
    )
    return found
