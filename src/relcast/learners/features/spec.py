"""What a feature is made of, as plain values that go to JSON and back.

A *seed* walks from the entity to one row (itself, a parent, the parent of its latest event); a
*stream* is the events below a seed, or a whole table; a *value* is something that every event has;
a *recipe* says what is done with the values. Everything is by name and by value, nothing by
position or code, so that a recipe means the same on a newer snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from relcast.core.schema import Link

__all__ = ["Feature", "Recipe", "Step", "Stream", "Value", "ValueKind"]


_ACTIVE = ("standing", "active")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a seed: ``up`` a foreign key, or to the ``latest`` known child over a link."""

    kind: Literal["up", "latest"]
    link: Link

    @property
    def table(self) -> str:
        """The table that the step ends on."""
        return self.link.to if self.kind == "up" else self.link.table

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Step:
        return cls(obj["kind"], Link.from_json(obj["link"]))


@dataclass(frozen=True, slots=True)
class Stream:
    """Events: the rows below a seed over links, or (no links) all rows of ``table``.

    ``by`` names a category of the seed's row: the events are then those below every row of its
    table that has the same category.
    """

    table: str
    seed: tuple[Step, ...] = ()
    down: tuple[Link, ...] = ()
    by: str | None = None

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Stream:
        return cls(
            obj["table"],
            tuple(Step.from_json(s) for s in obj["seed"]),
            tuple(Link.from_json(link) for link in obj["down"]),
            obj["by"],
        )


ValueKind = Literal[
    "own",
    "joined",
    "parent",
    "lag",
    "length",
    "element",
    "item",
    "text",
    "prior",
    "relative",
    "rank",
    "ratio",
    "others",
    "size",
    "target",
    "holds",
]


@dataclass(frozen=True, slots=True)
class Value:
    """Something that every row of a table has.

    Attributes:
        kind: ``own``: the column itself; ``joined``: a column of the table at the end of ``path``;
            ``parent``: which row the last link of ``path`` points to; ``lag``: days from the row's
            time to that in the column, known when it has come; ``length``: characters of a text,
            elements of a list; ``element``: 1 where a list holds ``word``; ``item``: the
            ``number``-th element of a list of numbers; ``text``: the ``number``-th of the columns
            that a text's n-grams are hashed to; ``prior``: the mean of the value over the rows
            below the row at the end of ``path`` in the ``width`` before the event, or how many
            there were. Among the rows with the same parent (``path``) and time: ``relative``: the
            value minus their mean; ``ratio``: the value over their mean; ``rank``: the share of
            them that have less; ``others``: the mean of all but the row; ``size``: how many they
            are. ``target``: the column of the ``number``-th aggregation of the query's target where
            its filter holds; ``holds``: whether that filter holds, 1 or 0.
        table: Where the column stands.
        column: The column; None counts rows.
        path: Links upwards from the event.
        below: ``prior`` only: the link from ``table`` to the end of ``path``.
        width: ``prior`` only: ns before the event; -1 is everything before.
        number: Which aggregation, element or part of a text.
        word: ``element`` only.
        of: What ``prior`` and the values among rows are taken of, where it is not the column.
    """

    kind: ValueKind
    table: str
    column: str | None = None
    path: tuple[Link, ...] = ()
    below: Link | None = None
    width: int = -1
    number: int = 0
    word: str | None = None
    of: Value | None = None

    @property
    def inner(self) -> Value:
        """What ``prior`` and the values among rows are taken of."""
        return self.of or Value("own", self.table, self.column)

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Value:
        below, of = obj["below"], obj["of"]
        return cls(
            obj["kind"],
            obj["table"],
            obj["column"],
            tuple(Link.from_json(link) for link in obj["path"]),
            None if below is None else Link.from_json(below),
            obj["width"],
            obj["number"],
            obj["word"],
            None if of is None else cls.from_json(of),
        )


Family = Literal[
    "own", "numbers", "recent", "codes", "timing", "calendar", "past", "span", "standing"
]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a feature is computed.

    Attributes:
        family: Which computation: ``own`` (values of the seed's row), ``numbers`` (windows over
            numbers), ``recent`` (the last events), ``codes`` (categories), ``timing`` (when events
            happened), ``calendar`` (the anchor itself), ``past`` (the target in past windows),
            ``span`` (the season a period ago, or the calendar's year to date), ``standing`` (a
            feature beside that of everybody who is active).
        measure: Which of the family's results.
        seed: ``own`` only: whose row.
        stream: Which events; None for ``own``, ``calendar`` and ``past``.
        value: Which of their values.
        width: Length of the window in ns; -1 is everything known.
        other: A second width, a count, a half-life, a period or a position, as the measure needs.
        word: The category, for shares.
        of: ``standing`` only: the feature that is compared.
    """

    family: Family
    measure: str
    seed: tuple[Step, ...] = ()
    stream: Stream | None = None
    value: Value | None = None
    width: int = -1
    other: int = 0
    word: str | None = None
    of: Recipe | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Recipe:
        parts = {f.name: obj[f.name] for f in fields(cls)}
        parts["seed"] = tuple(Step.from_json(s) for s in obj["seed"])
        parts["stream"] = None if obj["stream"] is None else Stream.from_json(obj["stream"])
        parts["value"] = None if obj["value"] is None else Value.from_json(obj["value"])
        parts["of"] = None if obj["of"] is None else cls.from_json(obj["of"])
        return cls(**parts)


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the feature matrix.

    Attributes:
        name: What a person reads, unique within a set.
        table: The table whose rows it sums up; for importance by table.
        column: The column that it reads; None where it counts rows or reads the calendar.
        window: Label of its window, such as ``the last 365 days``; None where it has none.
        kind: ``number``, or ``category``: an index into ``categories``.
        categories: The categories by value; None for a number. Others and missing are NaN.
        recipe: How it is computed.
    """

    name: str
    table: str
    column: str | None
    window: str | None
    kind: Literal["number", "category"]
    categories: tuple[str, ...] | None
    recipe: Recipe

    @property
    def shared(self) -> bool:
        """Whether many entities have one value at an anchor: it tells of the time, not of them.

        The calendar, whole tables, everybody with one category of the entity.
        """
        recipe, stream = self.recipe, self.recipe.stream
        if recipe.family == "calendar" or (recipe.family, recipe.measure) == _ACTIVE:
            return True
        return stream is not None and (not stream.down or stream.by is not None)

    def to_json(self) -> dict[str, Any]:
        obj = {f.name: getattr(self, f.name) for f in fields(self)}
        obj["categories"] = None if self.categories is None else list(self.categories)
        obj["recipe"] = self.recipe.to_json()
        return obj

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Feature:
        parts = {f.name: obj[f.name] for f in fields(cls)}
        words = obj["categories"]
        parts["categories"] = None if words is None else tuple(words)
        parts["recipe"] = Recipe.from_json(obj["recipe"])
        return cls(**parts)
