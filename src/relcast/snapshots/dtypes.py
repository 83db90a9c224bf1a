"""Which dtype a column has: what its storage says, unless its values or its name say more."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import expressions as exp

from relcast.core.errors import SchemaError
from relcast.core.schema import Dtype, Stype
from relcast.snapshots.names import has_key_word, words
from relcast.snapshots.profile import Profile
from relcast.snapshots.readings import (
    EPOCH_RANGES,
    Reading,
    count_where,
    is_present,
    read_as,
    readings_of_time,
)
from relcast.snapshots.staging import Staged, StagedColumn

__all__ = ["TIME_WORDS", "DtypeChoice", "choose_dtype", "find_time_form"]

TIME_WORDS = frozenset(
    {"date", "time", "timestamp", "datetime", "ts", "at", "on", "dt", "day", "epoch", "created",
     "updated", "modified", "moment", "when", "utc"}
)  # fmt: skip
"""Words of names that hold times."""

_TEXT_SHARE = 0.95
_INT64 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class DtypeChoice:
    """How a column is read, and why."""

    reading: Reading
    reason: str


def choose_dtype(
    staged: Staged, profile: Profile, override: Dtype | None, stype: Stype | None, *, timed: bool
) -> DtypeChoice:
    """Choose how a column is read.

    Args:
        staged: The table.
        profile: The column.
        override: The caller's dtype.
        stype: The caller's stype: a timestamp is read as time, a numerical text as a number.
        timed: Whether the caller made it a time column.

    Raises ``schema.bad_dtype`` when the values can never be read as asked.
    """
    column = profile.column
    if timed and (override is None or not override.is_time):
        override = Dtype.time
    if override is None and stype is Stype.timestamp and not column.type.dtype.is_time:
        override = Dtype.time
    if override is None and stype is Stype.numerical and column.type.dtype is Dtype.string:
        override = Dtype.float64
    if override is not None:
        return _override(staged, profile, override)
    return _infer(staged, profile)


def find_time_form(staged: Staged, column: StagedColumn) -> tuple[str, int, int]:
    """Return the way of writing times that reads the most values, with readable and present.

    Looks at all rows. Of the ways that read equally many, the first of ``readings_of_time`` wins,
    so that 03/04/2020 alone is the fourth of March.
    """
    forms = readings_of_time(column)
    if not forms:
        return "", 0, 0
    counts = [count_where(is_present(column))]
    for form in forms:
        readable = read_as(column, Reading(Dtype.time, form)).is_(exp.null()).not_()
        inside = _inside(column, form)
        counts.append(count_where(readable if inside is None else exp.and_(readable, inside)))
    row = staged.values(exp.select(*counts))[0]
    best = max(range(len(forms)), key=lambda i: (row[1 + i], -i))
    return forms[best], row[1 + best], row[0]


def _inside(column: StagedColumn, form: str) -> exp.Expr | None:
    """Bound numbers to the range that tells their unit."""
    if form not in EPOCH_RANGES:
        return None
    low, high = EPOCH_RANGES[form]
    return exp.Between(this=column.cell, low=exp.Literal.number(low), high=exp.Literal.number(high))


def _override(staged: Staged, profile: Profile, dtype: Dtype) -> DtypeChoice:
    column = profile.column
    form = ""
    if dtype.is_time and not column.type.is_presence:
        form, readable, present = find_time_form(staged, column)
        if not form or (present and not readable):
            raise SchemaError(
                f"No value of column {column.name!r} can be read as a time",
                code="schema.bad_dtype",
                hint="Write times as ISO 8601, such as 2024-02-27T10:00:00Z, or as whole seconds, "
                "milliseconds, microseconds or nanoseconds since 1970.",
            )
    read_as(column, Reading(dtype, form))
    how = f", written as {form}" if form not in ("", "native") else ""
    return DtypeChoice(Reading(dtype, form), f"asked for{how}")


def _infer(staged: Staged, profile: Profile) -> DtypeChoice:
    column = profile.column
    dtype, reason = column.type.dtype, column.type.reason
    named_time = bool(TIME_WORDS & set(words(column.name)))
    if dtype.is_time:
        return DtypeChoice(Reading(dtype, "native"), reason)
    if dtype is Dtype.string and profile.present:
        return _text(staged, profile, named_time=named_time)
    if dtype.is_integer and named_time and profile.present:
        for form, (low, high) in EPOCH_RANGES.items():
            if low <= profile.minimum and profile.maximum <= high:
                return DtypeChoice(
                    Reading(Dtype.time, form),
                    f"named like a time, and all values are {form.removeprefix('epoch_')} since "
                    "1970 between 1980 and 2100",
                )
        if profile.minimum >= 19_000_101 and profile.maximum <= 21_001_231:
            form, readable, present = find_time_form(staged, column)
            if form == "%Y%m%d" and readable == present:
                return DtypeChoice(
                    Reading(Dtype.date, form), "named like a time, and all values are YYYYMMDD"
                )
    if (
        dtype is Dtype.int64
        and profile.present
        and not pa.types.is_signed_integer(column.type.arrow)
    ):
        if profile.maximum is not None and profile.maximum > _INT64:
            return DtypeChoice(
                Reading(Dtype.string), reason + ", too large for 64-bit integers: kept as text"
            )
        return DtypeChoice(Reading(Dtype.int64), reason)
    if (
        dtype in (Dtype.float32, Dtype.float64)
        and profile.whole
        and profile.present > 0
        and has_key_word(column.name)
    ):
        return DtypeChoice(
            Reading(Dtype.int64),
            reason + ", but named like an identifier and all values are whole numbers",
        )
    return DtypeChoice(Reading(dtype), reason)


def _text(staged: Staged, profile: Profile, *, named_time: bool) -> DtypeChoice:
    """See whether text is a time: all of it, or nearly all where the name says so too."""
    column = profile.column
    likely = pc.sum(pc.match_substring_regex(profile.sample, r"\d[-/. :]|^\d{8}(\d{6})?$|, \d{4}$"))
    plain = DtypeChoice(Reading(Dtype.string), column.type.reason)
    if (likely.as_py() or 0) < _TEXT_SHARE * len(profile.sample) or not len(profile.sample):
        return plain
    form, readable, present = find_time_form(staged, column)
    needed = present if not named_time else _TEXT_SHARE * present
    if not readable or readable < needed or (form in ("%Y%m%d", "%Y%m%d%H%M%S") and not named_time):
        return plain
    left = present - readable
    odd = f"; {left:,} values cannot be read so and are missing" if left else ""
    how = "ISO 8601" if form == "iso" else form
    return DtypeChoice(
        Reading(Dtype.time, form), f"text in which {readable:,} of {present:,} are {how}{odd}"
    )
