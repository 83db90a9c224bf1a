"""Rewritings of parts of a statement, for engines that have another form for them.

Each takes a node and returns it or another; parts are rewritten before what they are part of. Some
only keep sqlglot from a translation that reads well and means something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from sqlglot import exp

from relcast.tasks.conditions import number
from relcast.tasks.sql import double

__all__ = ["Rule", "rewrite", "within_doubles"]

Rule = Callable[[exp.Expr], exp.Expr]

_LARGEST = "1.7976931348623157e308"
_WHOLE = "9.2e18"


def rewrite(statement: exp.Select, rules: Mapping[type[exp.Expr], Rule]) -> exp.Select:
    """Apply the rules to every node, innermost first; returns a new statement."""
    statement = statement.copy()
    for node in reversed(list(statement.walk(bfs=True))):
        rule = rules.get(type(node))
        if rule is not None and node is not statement:
            found = rule(node)
            if found is not node:
                node.replace(found)
    return statement


# -- texts ------------------------------------------------------------------------------------


def contains_by_position(node: exp.Expr) -> exp.Expr:
    """``STRPOS(text, part) > 0``; CONTAINS_SUBSTR and the like fold case."""
    place = exp.Anonymous(this="STRPOS", expressions=[node.this, node.expression])
    return exp.paren(exp.GT(this=place, expression=number(0)))


def ends_by_right(node: exp.Expr) -> exp.Expr:
    """``RIGHT(text, LENGTH(end)) = end``."""
    end = node.expression
    size = exp.Anonymous(this="LENGTH", expressions=[end.copy()])
    tail = exp.Anonymous(this="RIGHT", expressions=[node.this, size])
    return exp.paren(exp.EQ(this=tail, expression=end))


def backslash_by_code(node: exp.Expr) -> exp.Expr:
    """Write a backslash as ``CHR(92)``: whether one in a literal escapes is a server's setting."""
    if not node.args.get("is_string") or "\\" not in node.name:
        return node
    code = exp.Anonymous(this="CHR", expressions=[number(92)])
    first, *rest = node.name.split("\\")
    joined: exp.Expr = exp.Literal.string(first)
    for part in rest:
        joined = exp.DPipe(this=joined, expression=code.copy(), safe=True)
        joined = exp.DPipe(this=joined, expression=exp.Literal.string(part), safe=True)
    return exp.paren(joined)


def dollar_apart(node: exp.Expr) -> exp.Expr:
    """Part ``${``, which would be taken for a variable even inside a literal."""
    if not node.args.get("is_string") or "${" not in node.name:
        return node
    first, *rest = node.name.split("${")
    parts = [exp.Literal.string(first + "$")]
    parts += [exp.Literal.string("{" + part + "$") for part in rest[:-1]]
    parts.append(exp.Literal.string("{" + rest[-1]))
    return exp.Anonymous(this="CONCAT", expressions=parts)


def split_by_comma(node: exp.Expr) -> exp.Expr:
    """``SPLIT(text, ',')``."""
    return exp.Anonymous(this="SPLIT", expressions=[node.this, node.expression])


# -- numbers ----------------------------------------------------------------------------------


def infinite_by_size(node: exp.Expr) -> exp.Expr:
    """Return whether a number is beyond the largest; no value here is NaN."""
    return exp.paren(exp.not_(exp.paren(within_doubles(node.this))))


def within_doubles(value: exp.Expr) -> exp.Expr:
    """Return whether a number is finite; NaN is above all numbers, or compares with none."""
    return exp.LTE(this=exp.Abs(this=value.copy()), expression=double(_LARGEST))


def nan_by_value(node: exp.Expr) -> exp.Expr:
    """``value = NaN``, where there is no test for it and NaN equals itself."""
    return exp.paren(exp.EQ(this=node.this, expression=double("NaN")))


def single_as_double(node: exp.Expr) -> exp.Expr:
    """Round a constant to 32 bits beforehand, where columns of 32 bits are held as 64."""
    if not node.args["to"].is_type("float") or not isinstance(node.this, exp.Literal):
        return node
    return double(repr(float(np.float32(node.this.name))))


def truth_as_number(node: exp.Expr) -> exp.Expr:
    """Convert a truth value by way of a 32-bit integer; no other conversion exists."""
    if node.args["to"].is_type("bigint") and node.this.is_type("boolean"):
        return exp.cast(exp.cast(node.this, "INT"), "BIGINT")
    return node


def long_integer(kind: str) -> Rule:
    """Return the rule for integers of more than 64 bits."""

    def rule(node: exp.Expr) -> exp.Expr:
        return exp.DataType.build(kind) if node.this is exp.DataType.Type.INT128 else node

    return rule


def whole_or_null(node: exp.Expr) -> exp.Expr:
    """Convert a float to an integer, or give NULL where it is too large for one."""
    size = exp.Abs(this=node.this.copy())
    inside = exp.LT(this=size, expression=double(_WHOLE))
    return exp.Case().when(inside, exp.cast(node.this, node.args["to"]))


def smallest_there(node: exp.Expr) -> exp.Expr:
    """LEAST or GREATEST that leaves NULL out, where the engine's own gives NULL."""
    if not node.args.get("ignore_nulls"):
        return node
    found: exp.Expr = node.this
    for other in node.expressions:
        both = type(node)(this=found.copy(), expressions=[other.copy()])
        found = exp.Coalesce(this=both, expressions=[found, other.copy()])
    return found


# -- aggregates -------------------------------------------------------------------------------


def first_of_array(node: exp.Expr) -> exp.Expr:
    """``(ARRAY_AGG(value ORDER BY place))[1]`` for the value at the least or greatest place."""
    order = exp.Ordered(this=node.expression, desc=isinstance(node, exp.ArgMax), nulls_first=False)
    ordered = exp.ArrayAgg(this=exp.Order(this=node.this, expressions=[order]))
    return exp.Bracket(this=exp.paren(ordered), expressions=[exp.Literal.number(1)], offset=1)


def median_by_name(node: exp.Expr) -> exp.Expr:
    """``MEDIAN(value)`` for the two middle values' mean; PERCENTILE_APPROX is no such thing."""
    middle = _disc(node.args["ifs"][0].this.this) if _is_median(node) else None
    return node if middle is None else exp.Median(this=middle)


def percentile_by_place(node: exp.Expr) -> exp.Expr:
    """Return the middle of all values in order, where there is no such aggregate."""
    value = _disc(node)
    if value is None:
        return node
    desc = bool(node.expression.expressions[0].args.get("desc"))
    count: exp.Expr = exp.Count(this=exp.Star())
    if not desc:
        count = exp.Sub(this=count, expression=number(1))
    place = exp.Anonymous(this="DIV", expressions=[count, number(2)])
    ascending = exp.Ordered(this=value.copy(), nulls_first=True)
    ordered = exp.ArrayAgg(this=exp.Order(this=value, expressions=[ascending]))
    return exp.Bracket(this=ordered, expressions=[place], offset=0, safe=False)


def deviation_in_any_order(node: exp.Expr) -> exp.Expr:
    """Leave out the order, which only settles the last bit."""
    ordered = node.this
    return exp.StddevSamp(this=ordered.this) if isinstance(ordered, exp.Order) else node


def sorted_structs(node: exp.Expr) -> exp.Expr:
    """Collect pairs of place and value, sort these, keep the values: COLLECT_LIST has no order."""
    ordered = node.this
    if not isinstance(ordered, exp.Order):
        return node
    (by,) = ordered.expressions
    pair = exp.Anonymous(
        this="NAMED_STRUCT",
        expressions=[
            exp.Literal.string("place"), by.this, exp.Literal.string("value"), ordered.this,
        ],
    )  # fmt: skip
    collected = exp.Anonymous(this="COLLECT_LIST", expressions=[pair])
    in_order = exp.Anonymous(this="ARRAY_SORT", expressions=[collected])
    value = exp.Lambda(
        this=exp.column("value", table="pair"), expressions=[exp.to_identifier("pair")]
    )
    return exp.Anonymous(this="TRANSFORM", expressions=[in_order, value])


def filtered_inside(node: exp.Expr) -> exp.Expr:
    """Filter what is collected, where what is done with the list came around it."""
    for found in node.this.find_all(exp.Anonymous):
        if found.name == "COLLECT_LIST":
            whole: exp.Expr = node.this
            found.replace(exp.Filter(this=found.copy(), expression=node.expression))
            return whole
    return node


def array_without_null_order(node: exp.Expr) -> exp.Expr:
    """Leave out NULLS LAST inside ARRAY_AGG, where it is no syntax; nothing here is NULL."""
    ordered = node.this
    if isinstance(ordered, exp.Order):
        for by in ordered.expressions:
            by.set("nulls_first", not by.args.get("desc"))
    return node


def _is_median(node: exp.Expr) -> bool:
    ifs = node.args.get("ifs") or []
    return len(ifs) == 1 and isinstance(ifs[0].this, exp.EQ) and _disc(ifs[0].this.this) is not None


def _disc(node: exp.Expr) -> exp.Expr | None:
    """Return what PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY ...) orders."""
    if isinstance(node, exp.WithinGroup) and isinstance(node.this, exp.PercentileDisc):
        found = node.expression.expressions[0].this
        return found if isinstance(found, exp.Expr) else None
    return None
