"""What a staged column looks like: counts over all rows, and a sample of values.

The sample is taken at even steps of the source's order, so that it is the same every time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import expressions as exp

from relcast.snapshots.readings import count_where, is_present
from relcast.snapshots.staging import Staged, StagedColumn

__all__ = ["Profile", "is_unique", "profile_table"]

_SAMPLE_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Profile:
    """One staged column.

    Attributes:
        rows: Rows of the table.
        present: Rows with a value.
        distinct: Different values, estimated within some percent.
        whole: Whether each number is whole and below 2^53.
        minimum, maximum: Of numbers and times; None for others.
        sample: Up to 5,000 values that are present, from all over the table.
    """

    column: StagedColumn
    rows: int
    present: int
    distinct: int
    whole: bool
    minimum: Any
    maximum: Any
    sample: pa.Array

    @property
    def sample_distinct_share(self) -> float:
        return (
            pc.count_distinct(self.sample).as_py() / len(self.sample) if len(self.sample) else 0.0
        )

    @property
    def distinct_share(self) -> float:
        """Distinct values per present value, at most 1."""
        return min(1.0, self.distinct / self.present) if self.present else 0.0


def profile_table(staged: Staged) -> Mapping[str, Profile]:
    """Look at every staged column: one pass for the counts, one for the sample."""
    columns = list(staged.columns.values())
    wanted: list[exp.Expr] = []
    for column in columns:
        wanted += _measures(column)
    row = staged.values(exp.select(*wanted))[0] if wanted else ()
    step = max(1, staged.rows // _SAMPLE_ROWS)
    at_step = exp.EQ(
        this=exp.Mod(this=exp.column("rowid"), expression=exp.Literal.number(step)),
        expression=exp.Literal.number(0),
    )
    sample = staged.table(exp.select(*[c.cell for c in columns]).where(at_step))
    profiles: dict[str, Profile] = {}
    for column in columns:
        present, distinct, broken, low, high = row[5 * column.index : 5 * column.index + 5]
        values = sample.column(column.index).combine_chunks() if sample.num_rows else None
        profiles[column.name] = Profile(
            column=column,
            rows=staged.rows,
            present=present,
            distinct=distinct or 0,
            whole=broken == 0,
            minimum=low,
            maximum=high,
            sample=_present(values) if values is not None else pa.array([], pa.string()),
        )
    return profiles


def is_unique(staged: Staged, column: StagedColumn) -> tuple[int, int]:
    """Return how many values are present and how many different ones, exactly, over all rows."""
    value = exp.case().when(is_present(column), column.cell)
    counts = exp.select(
        exp.func("count", value), exp.Count(this=exp.Distinct(expressions=[value.copy()]))
    )
    present, distinct = staged.values(counts)[0]
    return present, distinct


def _measures(column: StagedColumn) -> list[exp.Expr]:
    cell, staged = column.cell, column.type.arrow
    present = is_present(column)
    value = exp.case().when(present.copy(), cell)
    nothing: exp.Expr = exp.null()
    low, high, broken = nothing, nothing.copy(), nothing.copy()
    is_float = pa.types.is_floating(staged)
    if is_float:
        fits = exp.LT(this=exp.func("abs", cell.copy()), expression=exp.Literal.number(2**53))
        same = exp.EQ(this=exp.func("trunc", cell.copy()), expression=cell.copy())
        broken = count_where(exp.and_(present.copy(), exp.not_(exp.and_(same, fits))))
    elif pa.types.is_integer(staged) or pa.types.is_decimal(staged):
        broken = exp.Literal.number(0)
    if is_float or pa.types.is_integer(staged) or pa.types.is_decimal(staged):
        low, high = exp.func("min", value.copy()), exp.func("max", value.copy())
    elif pa.types.is_timestamp(staged) or pa.types.is_date(staged):
        # As text: Python's datetime ends at the year 9999.
        text = exp.DataType.build("VARCHAR", dialect="duckdb")
        low = exp.cast(exp.func("min", value.copy()), text)
        high = exp.cast(exp.func("max", value.copy()), text.copy())
    distinct: exp.Expr = exp.Anonymous(this="approx_count_distinct", expressions=[value.copy()])
    if column.type.is_presence or pa.types.is_list(staged):
        distinct = nothing.copy()
    return [count_where(present), distinct, broken, low, high]


def _present(values: pa.Array) -> pa.Array:
    kept = values.drop_null()
    if pa.types.is_floating(kept.type):
        return kept.filter(pc.invert(pc.is_nan(kept)))
    if pa.types.is_string(kept.type):
        return kept.filter(pc.not_equal(pc.utf8_trim_whitespace(kept), ""))
    return kept
