"""Which columns point to which tables: by name, by type, and by the values that they share.

A name alone makes no link, and for small whole numbers shared values alone make none either: 1 to 9
stand in every table. So a column without a telling name is linked only where its values would
hardly all be keys by chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow.compute as pc

from relcast.core.schema import Column, Dtype, Link, Stype, Table
from relcast.snapshots.key_values import KeyValues, may_be_key
from relcast.snapshots.names import (
    has_key_word,
    is_generic_key,
    is_reference_phrase,
    singular,
    stem,
    words,
)

__all__ = ["KeyedTable", "LinkProposal", "infer_links"]

_CHANCE = 1e-3
_SELF = frozenset({"parent", "manager", "supervisor", "boss", "superior", "report", "reply",
                   "replies", "referred", "referrer", "predecessor", "previous", "root",
                   "mother", "father", "duplicate", "master", "head"})  # fmt: skip
_PERSONS = frozenset({"rep", "representative", "manager", "supervisor", "agent", "seller", "owner",
                      "author", "editor", "creator", "assignee", "salesperson", "clerk", "cashier",
                      "operator", "sender", "receiver", "recipient", "buyer", "member", "reviewer",
                      "created", "updated", "approved", "assigned", "reporter"})  # fmt: skip
_PEOPLE = frozenset({"employee", "staff", "user", "person", "people", "agent", "member", "account",
                     "contact", "personnel", "worker"})  # fmt: skip


class KeyedTable(Protocol):
    """A table whose key values can be looked at: a ``TableProposal``, say."""

    @property
    def table(self) -> Table: ...

    def key_values(self, column: str) -> KeyValues | None:
        """Return the distinct values of a column that may take part in links, else None."""


@dataclass(frozen=True, slots=True)
class LinkProposal:
    """A link, why it is proposed, and the share of filled foreign keys that meet a row.

    ``match_rate`` is None where no foreign key is filled.
    """

    link: Link
    reason: str
    match_rate: float | None

    def to_json(self) -> dict[str, Any]:
        return {"link": self.link.to_json(), "reason": self.reason, "match_rate": self.match_rate}


@dataclass(frozen=True, slots=True)
class _Named:
    """How much a column's name speaks for a table (0 to 1), in words, and the match it needs."""

    score: float
    why: str
    needed: float


@dataclass(frozen=True, slots=True)
class _Overlap:
    """How foreign keys meet keys: by rows, by distinct values, and how likely by chance."""

    rows: float
    distinct: float
    values: int
    chance: float


def infer_links(tables: Sequence[KeyedTable]) -> list[LinkProposal]:
    """Propose links between tables, in the order of tables and columns.

    A column gets one link at most: to the table that its name speaks for most, then to the one
    that it matches best. A table may be linked to itself, and two columns to the same table.
    """
    keyed = [t for t in tables if t.table.primary_key is not None]
    proposals: list[LinkProposal] = []
    for child in tables:
        for column in child.table.columns:
            if column.name == child.table.time_column or not may_be_key(column):
                continue
            likely = [(p, n) for p in keyed if (n := _likely(child.table, column, p.table))]
            values = child.key_values(column.name) if likely else None
            if values is None:
                continue
            found = [
                weighed
                for parent, named in likely
                if (weighed := _weigh(child.table, column, values, parent, named))
            ]
            if found:
                found.sort(key=lambda pair: pair[0], reverse=True)
                proposals.append(found[0][1])
    return proposals


def _weigh(
    child: Table, column: Column, values: KeyValues, parent: KeyedTable, named: _Named
) -> tuple[tuple[float, float, float], LinkProposal] | None:
    to = parent.table
    keys = parent.key_values(to.primary_key or "")
    if keys is None or keys.is_number != values.is_number:
        return None
    link = Link(child.name, column.name, to.name)
    if not len(values.values) or not len(keys.values):
        if named.score < 0.9:
            return None
        return (named.score, 0.0, 0.0), LinkProposal(
            link, f"{named.why}; no values to compare", None
        )
    overlap = _compare(values, keys)
    told = f"{overlap.rows:.1%} of the rows and {overlap.distinct:.1%} of the values match"
    if named.score and overlap.rows >= named.needed:
        reason = f"{named.why}; {told}"
    elif (
        _may_overlap(child, column)
        and overlap.rows >= 0.95
        and overlap.distinct >= 0.9
        and overlap.chance <= _CHANCE
    ):
        reason = f"the values are keys of {to.name!r}: {told}, which chance hardly explains"
        named = _Named(0.0, "", 0.0)
    else:
        return None
    rank = (named.score, overlap.rows, -overlap.chance)
    return rank, LinkProposal(link, reason, overlap.rows)


def _likely(child: Table, column: Column, to: Table) -> _Named | None:
    """Return what the name says, None where neither name nor values could make a link.

    Values are dear to look at, so that types and names are asked first.
    """
    key = to.primary_key
    if key is None or (to.name == child.name and column.name == key):
        return None
    if (to.column(key).dtype is Dtype.string) != (column.dtype is Dtype.string):
        return None
    named = _name(child, column, to, key)
    return named if named.score or _may_overlap(child, column) else None


def _name(child: Table, column: Column, to: Table, key: str) -> _Named:
    """Say how much the column's name speaks for the table, and what match rate it then needs."""
    nothing = _Named(0.0, "", 2.0)
    named, entity = stem(column.name), tuple(singular(w) for w in words(to.name))
    key_stem = stem(key)
    if column.name == child.primary_key and (
        is_generic_key(column.name) or named == tuple(singular(w) for w in words(child.name))
    ):
        return nothing  # a table's own key points nowhere, whatever else is called so
    shown = f"{to.name}.{key}"
    plain = tuple(singular(w) for w in words(column.name))
    if not is_generic_key(key) and plain == tuple(singular(w) for w in words(key)):
        if to.name == child.name:
            return nothing
        return _Named(1.0, f"named like {shown}", 0.1)
    is_key_named = has_key_word(column.name) or is_reference_phrase(column.name)
    if named and named == entity:
        # A bare word needs more: city may be the name of a city rather than a key.
        return _Named(0.98, f"named like the table {to.name!r}", 0.1 if is_key_named else 0.9)
    if named and key_stem and named == key_stem and is_key_named:
        return _Named(0.95, f"named like {shown}", 0.3)
    if not is_key_named or not named:
        return nothing
    if is_reference_phrase(column.name):
        named = named[:-1] if named and named[-1] == plain[-1] else named
    if to.name == child.name and set(named) & _SELF:
        return _Named(0.8, "named like a reference to another row of the table", 0.9)
    for ending in (entity, key_stem):
        if ending and len(named) > len(ending) and named[-len(ending) :] == ending:
            return _Named(0.85, f"its name ends like {to.name!r}", 0.5)
        if ending and len(named) < len(ending) and ending[-len(named) :] == named:
            return _Named(0.7, f"its name is the end of {shown!r}", 0.9)
    if "".join(named) == "".join(entity):
        return _Named(0.9, f"named like the table {to.name!r}", 0.5)
    if (
        named
        and entity
        and _root(named[0] if is_reference_phrase(column.name) else named[-1], entity[-1])
    ):
        return _Named(0.6, f"its name has the root of {to.name!r}", 0.99)
    if set(named) & _PERSONS and set(entity) & _PEOPLE and column.stype is not Stype.numerical:
        return _Named(0.5, f"its name is a role of people, who are in {to.name!r}", 0.99)
    return nothing


def _root(word: str, entity: str) -> bool:
    """Say whether one word begins the other: ship and shipper, dept and department."""
    short, long = sorted((word, entity), key=len)
    if len(short) < 3:
        return False
    if long.startswith(short):
        return True
    # An abbreviation keeps the first letters, and all its letters in order: dept, department.
    letters = iter(long)
    return len(short) >= 3 and long.startswith(short[:3]) and all(c in letters for c in short)


def _compare(values: KeyValues, keys: KeyValues) -> _Overlap:
    met = pc.is_in(values.values, value_set=keys.values)
    matched_rows = pc.sum(pc.if_else(met, values.counts, 0)).as_py() or 0
    matched = pc.sum(met).as_py() or 0
    return _Overlap(
        rows=matched_rows / values.present,
        distinct=matched / len(values.values),
        values=matched,
        chance=_density(values, keys) ** max(matched, 1),
    )


def _density(values: KeyValues, keys: KeyValues) -> float:
    """Return the share of conceivable values that are keys: how likely one match is by chance.

    Of numbers, conceivable are those between the smallest and the largest of both; of text, all
    words of the same lengths and sorts of characters.
    """
    if keys.is_number:
        numbers, theirs = values.values, keys.values
        low, high = pc.min(numbers).as_py(), pc.max(numbers).as_py()
        inside = pc.and_(pc.greater_equal(theirs, low), pc.less_equal(theirs, high))
        return float(min(1.0, (pc.sum(inside).as_py() or 0) / (high - low + 1)))
    shapes: dict[tuple[int, int], int] = {}
    step = max(1, len(keys.values) // 1000)
    for word in keys.values[::step].to_pylist():
        alphabet = 26 * any(c.islower() for c in word) + 26 * any(c.isupper() for c in word)
        alphabet += 10 * any(c.isdigit() for c in word)
        shape = (len(word), max(alphabet, 10))
        shapes[shape] = shapes.get(shape, 0) + step
    logs = [math.log(count) - length * math.log(size) for (length, size), count in shapes.items()]
    return float(min(1.0, math.exp(max(logs))))


def _may_overlap(child: Table, column: Column) -> bool:
    """Say whether shared values may speak for a column without a telling name."""
    if column.name == child.primary_key:
        return False
    if column.dtype is not Dtype.string:
        return has_key_word(column.name, sure=True) or is_reference_phrase(column.name)
    return True
