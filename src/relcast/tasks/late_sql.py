"""When a value is known, as SQL: what ``relcast.relations.knowing`` is on arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from relcast.core.delays import Delay
from relcast.relations.knowing import LAST
from relcast.tasks.conditions import number
from relcast.tasks.sql import double, present

if TYPE_CHECKING:
    from relcast.tasks.scan import Catalog, Scan

__all__ = ["delayed", "not_before", "settled"]


def delayed(base: exp.Expr, delay: Delay | None, length: exp.Expr | None) -> exp.Expr:
    """Return a time (int64 ns) and a delay after it, NULL where that never comes.

    ``length`` is the SQL of the column that the delay names, in the delay's unit.
    """
    wide = exp.cast(base.copy(), "DOUBLE")
    if delay is None:
        in_time = exp.LTE(this=base.copy(), expression=number(LAST))
        return exp.Case().when(in_time, base.copy())
    per = double(repr(float(delay.nanoseconds)))
    added: exp.Expr = per
    if length is not None:
        product = exp.Mul(this=exp.cast(length.copy(), "DOUBLE"), expression=per)
        added = exp.Greatest(
            this=exp.Ceil(this=exp.paren(product)), expressions=[double("0.0")], ignore_nulls=True
        )
        there = present(length)
    else:
        there = present(base)
    within = exp.and_(
        there,
        exp.LTE(this=base.copy(), expression=number(LAST)),
        exp.LT(this=exp.Add(this=wide, expression=added.copy()), expression=double(f"{LAST}.0")),
    )
    whole = exp.TryCast(this=added, to=exp.DataType.build("BIGINT"))
    return exp.Case().when(within, exp.Add(this=base.copy(), expression=whole))


def not_before(known: exp.Expr, time: exp.Expr | None) -> exp.Expr:
    """Return when a value is known, at its row's time at the earliest; NULL where it never is."""
    if time is None:
        return known
    later = exp.Greatest(this=known.copy(), expressions=[time.copy()], ignore_nulls=True)
    return exp.Case().when(exp.and_(present(known), present(time)), later)


def settled(catalog: Catalog, scan: Scan, name: str, alias: str, value: exp.Expr) -> exp.Expr:
    """Return a value where a label may hold it: NULL where it took longer than labels wait."""
    known, time = scan.known(name, alias), scan.time(alias)
    if known is None:
        return value
    if time is None:
        return exp.Case().when(present(known), value)
    wait = number(catalog.wait(scan.table.name, name))
    within = exp.LTE(this=known, expression=exp.Add(this=time, expression=wait))
    return exp.Case().when(within, value)
