"""Which dtype a column has: what its storage says, unless its values or its name say more."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import expressions as exp

from relcast.core.clock import FIRST_TIME, LAST_TIME
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
    if timed or stype is Stype.timestamp:
        if override is None and not column.type.dtype.is_time:
            override = Dtype.time
        elif override is not None and not override.is_time:
            override = Dtype.time  # what it means weighs more than how it is stored
    elif (
        stype is Stype.numerical
        and column.type.dtype is Dtype.string
        and override in (None, Dtype.string)
    ):
        override = Dtype.float64
    if override is not None:
        return _override(staged, profile, override)
    return _infer(staged, profile)


@dataclass(frozen=True, slots=True)
class TimeForm:
    """A way of writing times, how many of the values it reads, and its equal if there is one."""

    form: str
    readable: int
    present: int
    rival: str = ""

    def told(self) -> str:
        """Return the form in words, with the doubt that remains."""
        shown = "ISO 8601" if self.form == "iso" else self.form
        doubt = f" (every value would also be {self.rival}; ISO 8601 leaves no doubt)"
        return shown + doubt if self.rival else shown


def find_time_form(staged: Staged, column: StagedColumn) -> TimeForm:
    """Return the way of writing times that reads the most values.

    Looks at all rows. Of the ways that read equally many, the first of ``readings_of_time`` wins,
    so that 03/04/2020 alone is the fourth of March; the other is told as its rival.
    """
    forms = readings_of_time(column)
    if not forms:
        return TimeForm("", 0, 0)
    counts = [count_where(is_present(column))]
    for form in forms:
        readable = read_as(column, Reading(Dtype.time, form)).is_(exp.null()).not_()
        inside = _inside(column, form)
        counts.append(count_where(readable if inside is None else exp.and_(readable, inside)))
    row = staged.values(exp.select(*counts))[0]
    best = max(range(len(forms)), key=lambda i: (row[1 + i], -i))
    swapped = forms[best].replace("%m/%d", "%d/%m")
    rival = swapped if swapped != forms[best] and swapped in forms else ""
    if rival and row[1 + forms.index(rival)] < row[1 + best]:
        rival = ""
    return TimeForm(forms[best], row[1 + best], row[0], rival)


def _inside(column: StagedColumn, form: str) -> exp.Expr | None:
    """Bound numbers to the range that tells their unit."""
    if form not in EPOCH_RANGES:
        return None
    low, high = EPOCH_RANGES[form]
    return exp.Between(this=column.cell, low=exp.Literal.number(low), high=exp.Literal.number(high))


def _override(staged: Staged, profile: Profile, dtype: Dtype) -> DtypeChoice:
    column = profile.column
    form = told = ""
    if dtype.is_time and not column.type.is_presence:
        found = find_time_form(staged, column)
        form, told = found.form, found.told()
        if found.present and not found.readable and form == "native":
            raise SchemaError(
                f"Every time of column {column.name!r} is before {FIRST_TIME:%Y-%m-%d} or after "
                f"{LAST_TIME:%Y-%m-%d}, which times here cannot be",
                code="schema.bad_dtype",
                hint="Shift the times, or leave the column out.",
            )
        if not form or (found.present and not found.readable):
            raise SchemaError(
                f"No value of column {column.name!r} can be read as a time",
                code="schema.bad_dtype",
                hint="Write times as ISO 8601, such as 2024-02-27T10:00:00Z, or as whole seconds, "
                "milliseconds, microseconds or nanoseconds since 1970, between "
                f"{FIRST_TIME:%Y-%m-%d} and {LAST_TIME:%Y-%m-%d}.",
            )
    read_as(column, Reading(dtype, form))
    how = f", written as {told}" if form not in ("", "native") else ""
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
            found = find_time_form(staged, column)
            if found.form == "%Y%m%d" and found.readable == found.present:
                return DtypeChoice(
                    Reading(Dtype.date, found.form),
                    "named like a time, and all values are YYYYMMDD",
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
    found = find_time_form(staged, column)
    form, readable, present = found.form, found.readable, found.present
    needed = present if not named_time else _TEXT_SHARE * present
    if not readable or readable < needed or (form in ("%Y%m%d", "%Y%m%d%H%M%S") and not named_time):
        return plain
    left = present - readable
    odd = f"; {left:,} values cannot be read so and are missing" if left else ""
    return DtypeChoice(
        Reading(Dtype.time, form),
        f"text in which {readable:,} of {present:,} are {found.told()}{odd}",
    )
