"""Small pieces of SQL with a name: columns, exact sums, orders, lists.

What SQL engines do differently stands here and in ``scan`` and ``sums``, one function each, so that
another engine has few places to look at. The rest of the room builds on plain SQL.
"""

from __future__ import annotations

from sqlglot import exp

__all__ = [
    "absent",
    "appearance_order",
    "as_float",
    "at_earliest",
    "at_latest",
    "column",
    "double",
    "earliest",
    "elements_of",
    "entries_of_text",
    "if_finite",
    "is_infinite",
    "latest",
    "middle",
    "present",
    "same",
    "spread",
    "without_nan",
]

_LARGEST = "1.7976931348623157e308"
_BLANKS = " \t\r\n"


def column(name: str, table: str) -> exp.Column:
    """Return a quoted column of a table or alias."""
    return exp.column(name, table=table, quoted=True)


def same(name: str, left: str, right: str) -> exp.Expr:
    """Return whether two tables agree in a column that both have."""
    return exp.EQ(this=column(name, left), expression=column(name, right))


def absent(value: exp.Expr) -> exp.Expr:
    return exp.paren(exp.Is(this=value.copy(), expression=exp.null()))


def present(value: exp.Expr) -> exp.Expr:
    return exp.paren(exp.not_(absent(value)))


def double(text: str) -> exp.Expr:
    """Return a 64-bit float from its digits, ``inf`` or ``NaN``."""
    return exp.cast(exp.Literal.string(text), "DOUBLE")


def is_infinite(value: exp.Expr) -> exp.Expr:
    return exp.IsInf(this=value.copy())


def without_nan(value: exp.Expr) -> exp.Expr:
    """Return a float, NULL where it is NaN."""
    return exp.paren(exp.Case().when(exp.IsNan(this=value.copy()), exp.null()).else_(value.copy()))


def if_finite(value: exp.Expr) -> exp.Expr:
    """Return a float, NULL where it is infinite or NaN (which is above every number)."""
    size = exp.Abs(this=exp.paren(value.copy()))
    inside = exp.LTE(this=size, expression=double(_LARGEST))
    return exp.paren(exp.Case().when(inside, value.copy()))


def as_float(value: exp.Expr) -> exp.Expr:
    """Return an exact number as a 64-bit float, rounded once.

    The engine's conversion of a long integer to a float rounds both halves; adding what it missed
    mends that, so that an exact sum is the same whatever it was scaled by.
    """
    near = exp.cast(value.copy(), "DOUBLE")
    missed = exp.Sub(this=value.copy(), expression=exp.cast(near.copy(), "HUGEINT"))
    return exp.paren(exp.Add(this=near, expression=exp.cast(exp.paren(missed), "DOUBLE")))


# -- aggregates -------------------------------------------------------------------------------


def at_earliest(value: exp.Expr, place: exp.Expr) -> exp.Expr:
    """Aggregate to the value that stands at the least place."""
    return exp.ArgMin(this=value, expression=place)


def at_latest(value: exp.Expr, place: exp.Expr) -> exp.Expr:
    """Aggregate to the value that stands at the greatest place."""
    return exp.ArgMax(this=value, expression=place)


def middle(value: exp.Expr) -> exp.Expr:
    """Aggregate floats to the middle one, or the mean of the two middle ones.

    The two are found by order, so no rounding depends on the order of rows. Infinity on one side
    and minus infinity on the other have no mean: NaN.
    """
    low, high = _ranked_middle(value, desc=False), _ranked_middle(value, desc=True)
    half = double("0.5")
    mean = exp.Add(
        this=exp.Mul(this=low.copy(), expression=half),
        expression=exp.Mul(this=high.copy(), expression=half.copy()),
    )
    alike = exp.EQ(this=low.copy(), expression=high)
    return exp.paren(exp.Case().when(alike, low).else_(mean))


def _ranked_middle(value: exp.Expr, *, desc: bool) -> exp.Expr:
    """Return the value half way in an order; the first of two."""
    order = exp.Order(expressions=[exp.Ordered(this=value.copy(), desc=desc, nulls_first=False)])
    return exp.WithinGroup(
        this=exp.PercentileDisc(this=exp.Literal.number("0.5")), expression=order
    )


def spread(value: exp.Expr) -> exp.Expr:
    """Aggregate floats to the standard deviation of the sample; NULL of fewer than two.

    The values are taken in ascending order, so that the last bit is the same whatever the order of
    the rows and the number of threads.
    """
    ascending = exp.Ordered(this=value.copy(), nulls_first=False)
    return exp.StddevSamp(this=exp.Order(this=value.copy(), expressions=[ascending]))


# -- rows -------------------------------------------------------------------------------------


def appearance_order(keys: list[exp.Expr], *, among: exp.Expr) -> exp.Expr:
    """Number the rows of each group by keys that no two of them share; NULL last."""
    ordered = [exp.Ordered(this=key, nulls_first=False) for key in keys]
    return exp.Window(
        this=exp.RowNumber(),
        partition_by=[among.copy()],
        order=exp.Order(expressions=ordered),
    )


def latest(times: list[exp.Expr]) -> exp.Expr:
    """Return the latest of times of a row; NULL when one of them is."""
    first, *rest = times
    if not rest:
        return first
    found = exp.Greatest(this=first, expressions=rest, ignore_nulls=True)
    return exp.Case().when(exp.and_(*(present(time) for time in times)), found)


def earliest(times: list[exp.Expr]) -> exp.Expr:
    """Return the earliest of times of a row, leaving out NULL; NULL when all are."""
    first, *rest = times
    return exp.Least(this=first, expressions=rest, ignore_nulls=True) if rest else first


def entries_of_text(value: exp.Expr) -> exp.Expr:
    """Return the list of what stands between ``,``, ``;`` and ``|`` in a text, untrimmed."""
    for sign in (";", "|"):
        value = exp.Replace(
            this=value, expression=exp.Literal.string(sign), replacement=exp.Literal.string(",")
        )
    return exp.StringToArray(this=value, expression=exp.Literal.string(","))


def elements_of(source: exp.Select, *, trimmed: bool) -> exp.Select:
    """Turn rows ``entity, list`` into ``entity, value, first``, one for each different element.

    ``first`` is an element's earliest place in its list. NULL is no element; where texts are
    ``trimmed``, what is left of blanks alone is none either.
    """
    place = exp.to_identifier("first", quoted=True)
    names = exp.TableAlias(
        this=exp.to_identifier("item", quoted=True),
        columns=[exp.to_identifier("value", quoted=True)],
    )
    each = exp.Unnest(expressions=[column("list", "held")], alias=names, offset=place)
    value: exp.Expr = column("value", "item")
    if trimmed:
        value = exp.Nullif(
            this=exp.Trim(this=value, expression=exp.Literal.string(_BLANKS)),
            expression=exp.Literal.string(""),
        )
    entity = column("entity", "held")
    return (
        exp.select(
            entity,
            value.as_("value", quoted=True),
            exp.Min(this=column("first", "item")).as_("first", quoted=True),
        )
        .from_(source.subquery(alias=exp.to_identifier("held", quoted=True)))
        .join(each, join_type="cross")
        .where(present(value))
        .group_by(entity.copy(), value.copy())
    )
