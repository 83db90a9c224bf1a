"""Sums of floats that are exact, and so the same whatever the order of rows and threads.

Floats are summed as 128-bit integers of 92 bits, which leaves room for 2**34 rows. How many of the
bits stand behind the point follows from the window's own largest value, in steps: were it the
table's, a huge value that comes in next year would round the labels of this one. The steps that a
table's values can need are found once its rows are staged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sqlglot import exp

from relcast.tasks.scan import Session
from relcast.tasks.sql import as_float, column, double, is_infinite, spread

__all__ = ["PLAIN", "Scale", "deviation", "find_scale", "total"]

_SUM_BITS = 92
_TOP_STEP = 16
_LOWEST_TOP = -896
# Beyond these powers of two a square leaves what doubles hold, so such windows are scaled first.
_SQUARES = 500
_SCALING = 600


@dataclass(frozen=True)
class Scale:
    """How large the values are that are added.

    Attributes:
        tops: Exponents of powers of two, ascending, of which the first above a window's largest
            value says how its values are scaled to integers. Empty when they are integers already;
            the one that is above all where every value is exact with it.
        infinite: Whether a value is infinite.
        huge: Whether a finite value's square would overflow, or nearly.
        tiny: Whether a value other than 0 has a square that would vanish, or nearly.
    """

    tops: tuple[int, ...] = ()
    infinite: bool = False
    huge: bool = False
    tiny: bool = False


PLAIN = Scale()


def total(value: exp.Expr, scale: Scale) -> exp.Expr:
    """Aggregate numbers to their sum; infinity and minus infinity have none: NaN."""
    if not scale.tops:
        return exp.Sum(this=value)
    finite, size = _finite(value)
    choice = exp.Case()
    for top in scale.tops[:-1]:
        largest = exp.LT(this=exp.Max(this=size.copy()), expression=_power(top))
        choice = choice.when(largest, _total(_below(finite, size, top), top), copy=False)
    found = _total(finite, scale.tops[-1])
    if len(scale.tops) > 1:
        found = exp.paren(choice.else_(found))
    if not scale.infinite:
        return found
    endless = is_infinite(value)
    beyond = exp.Sum(this=exp.Case().when(endless, value.copy()).else_(double("0")))
    none_is_infinite = exp.EQ(this=beyond.copy(), expression=double("0"))
    return exp.paren(exp.Case().when(none_is_infinite, found).else_(beyond))


def deviation(value: exp.Expr, scale: Scale) -> exp.Expr:
    """Aggregate floats to the standard deviation of the sample; NULL of fewer than two.

    A function of the window's values alone: which scale it takes follows from the largest of them.
    Where a value is infinite there is none: NULL.
    """
    finite, size = _finite(value)
    found = spread(_below(finite, size, _SQUARES) if scale.huge else finite)
    largest = exp.Max(this=size.copy())
    if scale.tiny:
        small = exp.LT(this=largest.copy(), expression=_power(-_SQUARES))
        near = _rescaled(_below(finite, size, -_SQUARES), _SCALING)
        found = exp.paren(exp.Case().when(small, near).else_(found))
    if scale.huge:
        large = exp.GTE(this=largest, expression=_power(_SQUARES))
        found = exp.paren(exp.Case().when(large, _rescaled(finite, -_SCALING)).else_(found))
    if scale.infinite:
        endless = exp.LogicalOr(this=is_infinite(value))
        found = exp.paren(exp.Case().when(endless, exp.null()).else_(found))
    return found


def find_scale(session: Session, table: str) -> Scale:
    """Look at the column ``value`` of a staged table of floats."""
    value = column("value", table)
    endless = is_infinite(value)
    size = exp.Case().when(exp.not_(endless), exp.Abs(this=value.copy()))
    source = exp.to_table(table)
    positive = exp.GT(this=exp.paren(size.copy()), expression=double("0"))
    least = exp.Min(this=exp.Case().when(positive, size.copy()))
    found = session.fetch(
        exp.select(
            exp.Max(this=size.copy()).as_("top"),
            least.as_("least"),
            exp.LogicalOr(this=endless.copy()).as_("infinite"),
        ).from_(source)
    ).to_pylist()[0]
    top = _top(math.frexp(found["top"] or 1.0)[1])
    scaled = exp.Mul(this=exp.paren(size.copy()), expression=_factor(top))
    exact = exp.EQ(this=scaled, expression=exp.Floor(this=scaled.copy()))
    lossless = session.fetch(
        exp.select(exp.LogicalAnd(this=exact).as_("exact")).from_(source.copy())
    ).to_pylist()[0]["exact"]
    return Scale(
        tops=(top,) if lossless is not False else _tops_of(session, source, size, positive),
        infinite=bool(found["infinite"]),
        huge=(found["top"] or 0.0) >= 2.0**_SQUARES,
        tiny=(found["least"] or 1.0) < 2.0**-_SQUARES,
    )


def _tops_of(
    session: Session, source: exp.Expr, size: exp.Expr, positive: exp.Expr
) -> tuple[int, ...]:
    """Return the tops that a window of these values can have."""
    exponent = exp.Floor(this=exp.Anonymous(this="log2", expressions=[size.copy()]))
    rows = session.fetch(
        exp.select(exponent.as_("exponent")).from_(source.copy()).where(positive.copy()).distinct()
    ).to_pylist()
    # A logarithm can be one off beside a power of two.
    near = {int(row["exponent"]) + off for row in rows for off in (0, 1, 2)}
    return tuple(sorted({_top(exponent) for exponent in near}))


def _top(exponent: int) -> int:
    """Return the multiple of the step at or above an exponent, within what doubles hold."""
    return min(1024, max(_LOWEST_TOP, -(-exponent // _TOP_STEP) * _TOP_STEP))


def _finite(value: exp.Expr) -> tuple[exp.Expr, exp.Expr]:
    """Return a value with 0 for infinity, and its size."""
    finite = exp.Case().when(is_infinite(value), double("0")).else_(value.copy())
    return finite, exp.Abs(this=exp.paren(finite.copy()))


def _below(value: exp.Expr, size: exp.Expr, top: int) -> exp.Expr:
    """Return a value with 0 for what another branch adds, so that nothing overflows in this one."""
    inside = exp.LT(this=size.copy(), expression=_power(top))
    return exp.Case().when(inside, value.copy()).else_(double("0"))


def _rescaled(value: exp.Expr, exponent: int) -> exp.Expr:
    scaled = exp.Mul(this=exp.paren(value.copy()), expression=_power(exponent))
    return exp.Mul(this=spread(scaled), expression=_power(-exponent))


def _power(exponent: int) -> exp.Expr:
    return double(repr(math.ldexp(1.0, exponent)) if exponent < 1024 else "inf")


def _factor(top: int) -> exp.Expr:
    return _power(_SUM_BITS - top)


def _total(value: exp.Expr, top: int) -> exp.Expr:
    """Return the sum of floats below ``2**top``, rounded once."""
    scaled = exp.Mul(this=exp.paren(value.copy()), expression=_factor(top))
    whole = exp.Sum(this=exp.cast(scaled, "HUGEINT"))
    return exp.Div(this=as_float(whole), expression=_factor(top))
