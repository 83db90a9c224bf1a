"""The candidates that a schema and a query call for, and what is asked when they are made.

``Offers`` names and ranks candidates; which paths they are made of is told in the ``offer_``
modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from relcast.core.schema import Graph, Link
from relcast.learners.features.columns import Columns, unusable
from relcast.learners.features.groups import shared_moments
from relcast.learners.features.phrases import Phrases
from relcast.learners.features.spec import Feature, Recipe, Stream, Value
from relcast.learners.features.target import Target
from relcast.learners.features.windows import ALL, YEAR, Window, choose, length, typical_gap
from relcast.pql.ast import CheckedQuery, aggregations
from relcast.relations import Relations, events_below

__all__ = ["FADES", "Offers"]

FADES = (2, 8)
"""Half-lives, in rows, of the means that favour what is new."""


@dataclass
class Offers:
    """Collects candidates with their ranks: small is strong and cheap."""

    relations: Relations
    query: CheckedQuery
    target: Target | None
    until: int | None
    allow_mutable: bool = False
    found: list[tuple[float, Feature]] = field(default_factory=list)
    _answers: dict[tuple[str, Link], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        left_out = unusable(self.relations.graph, self.query, allow_mutable=self.allow_mutable)
        self.graph = _without(self.relations.graph, left_out)
        self.entity_table = self.query.entity_table
        self.columns = Columns(
            self.relations, self.query, self.until, allow_mutable=self.allow_mutable
        )
        self.phrases = Phrases(self.graph, self.entity_table)
        gap, self.span = float("nan"), 0
        if self.target is not None:
            part = self.target.aggregations[0]
            events = events_below(self.relations, part.down)
            moments = self.relations.table(part.table).time
            if moments is not None:
                owners = self.columns.known(self.entity_table)
                gap = typical_gap(events.indptr, events.time, owners, self.until)
                past = moments[self.columns.known(part.table)]
                if len(past):
                    last = int(past.max()) if self.until is None else self.until
                    self.span = max(0, last - int(past.min()))
        self.answer = {
            a.path[-1]
            for a in aggregations(self.query.query.target)
            if not self.query.temporal and a.path
        }
        self.windows = choose(self.target, gap, self.span)
        self.horizon = self.windows[0].width if self.target is not None else 0

    # -- measures of events -----------------------------------------------------------------------

    def numbers(self, rank: float, stream: Stream, value: Value, *, full: bool) -> None:
        """Offer statistics of a number over windows, and of its last values."""
        self.means(rank, stream, value, self.windows if full else self.some())
        self.recent(rank, stream, value, counts=(1, 3, 10), fades=FADES)
        late = rank + (0.5 if full else 1.2)
        for window in self.some():
            for measure in ("sum", "std", "min", "max"):
                self.measure(late, stream, value, measure, window)
        if len(self.windows) > 2:
            short, long = self.windows[len(self.windows) // 2 - 1], ALL
            recipe = Recipe("numbers", "trend", (), stream, value, short.width, long.width)
            what, of = self.phrases.value(value), self.phrases.stream(stream)
            name = f"mean of {what} over {short.label} minus that over {long.label}{of}"
            self.add(late, name, recipe, value, short.label)

    def means(self, rank: float, stream: Stream, value: Value, windows: Sequence[Window]) -> None:
        """Offer means over windows, those of a middling length and of a year first."""
        first = (self.middle(), self.year())
        for window in dict.fromkeys(windows):
            late = 0.0 if window in first or len(windows) == 1 else 0.2
            self.measure(rank + late, stream, value, "mean", window)

    def measure(
        self, rank: float, stream: Stream, value: Value, measure: str, window: Window
    ) -> None:
        if window.width >= 0 and not self.timed(stream.table):
            return
        recipe = Recipe("numbers", measure, (), stream, value, window.width)
        what, of = self.phrases.value(value), self.phrases.stream(stream)
        name = f"{measure} of {what} over {window.label}{of}"
        self.add(rank, name, recipe, value, window.label)

    def recent(
        self,
        rank: float,
        stream: Stream,
        value: Value,
        *,
        counts: Sequence[int],
        fades: Sequence[int],
    ) -> None:
        """Offer the last values and means that favour them; an order needs times."""
        if not self.timed(stream.table) or self.target is None:
            return
        what, of = self.phrases.value(value), self.phrases.stream(stream)
        for k, count in enumerate(counts):
            recipe = Recipe("recent", "last", (), stream, value, other=count)
            label = "the last row" if count == 1 else f"the last {count} rows"
            name = f"last {what}{of}" if count == 1 else f"mean of {what} over {label}{of}"
            self.add(rank + 0.15 + 0.05 * k, name, recipe, value, label)
        timed = [w for w in self.windows if w.width >= 0]
        for window in timed[len(timed) // 2 :: 2][: len(fades) - 1]:
            recipe = Recipe("recent", "half-life", (), stream, value, other=window.width)
            half = window.label.removeprefix("the last ")
            name = f"mean of {what}{of}, weights halving every {half}"
            self.add(rank, name, recipe, value, None)
        for fade in fades:
            recipe = Recipe("recent", "fade", (), stream, value, other=fade)
            name = f"mean of {what}{of}, weights halving every {fade} rows"
            self.add(rank + (0.0 if fade == max(fades) else 0.15), name, recipe, value, None)

    def codes(self, rank: float, stream: Stream, value: Value, *, brief: bool) -> None:
        """Offer shares of the frequent categories, how many there are, and the last."""
        timed = self.timed(stream.table) and self.target is not None
        what, of = self.phrases.value(value), self.phrases.stream(stream)
        words: tuple[str, ...] = ()
        if value.kind != "parent" and value.column is not None:
            words = self.columns.shared(value.table, value.column)
        for window in [self.middle()] if brief else self.some():
            if window.width >= 0 and not self.timed(stream.table):
                continue
            for word in words:
                recipe = Recipe("codes", "share", (), stream, value, window.width, word=word)
                name = f"share of {what} = {word!r} over {window.label}{of}"
                self.add(rank, name, recipe, value, window.label)
            if not brief:
                recipe = Recipe("codes", "distinct", (), stream, value, window.width)
                name = f"distinct {what} over {window.label}{of}"
                self.add(rank + 0.3, name, recipe, value, window.label)
        if not brief:
            window = self.middle()
            for measure, phrase in (("entropy", "entropy"), ("top share", "largest share")):
                if window.width < 0 or self.timed(stream.table):
                    recipe = Recipe("codes", measure, (), stream, value, window.width)
                    name = f"{phrase} of {what} over {window.label}{of}"
                    self.add(rank + 0.7, name, recipe, value, window.label)
        if timed and not brief:
            recipe = Recipe("codes", "run", (), stream, value)
            name = f"rows since {what} last changed{of}"
            self.add(rank + 0.2, name, recipe, value, None)
            if words and value.column is not None:
                vocabulary = self.columns.vocabulary(value.table, value.column)
                recipe = Recipe("codes", "last", (), stream, value)
                name = f"last {what}{of}"
                if self.has_number(value):
                    name = f"{name} as a category"
                self.add(rank + 0.1, name, recipe, value, "the last row", vocabulary)

    def timing(self, rank: float, stream: Stream, value: Value, *, brief: bool = False) -> None:
        """Offer how many events there were, and when."""
        what, of = self.phrases.rows(value), self.phrases.stream(stream)
        for window in self.some() if brief else self.windows:
            if window.width >= 0 and not self.timed(stream.table):
                continue
            recipe = Recipe("timing", "count", (), stream, value, window.width)
            name = f"count of {what} over {window.label}{of}"
            self.add(rank, name, recipe, value, window.label)
        if not self.timed(stream.table) or self.target is None:
            return
        row = what.replace(" rows", " row", 1)
        names = [("since last", f"days since the last {row}{of}")]
        if not brief:
            names += [
                ("since first", f"days since the first {row}{of}"),
                ("mean gap", f"mean days between {what}{of}"),
                ("last gap", f"days between the last two {what}{of}"),
                ("gap deviation", f"deviation of days between {what}{of}"),
                ("overdue", f"days since the last {row}{of}, against the mean gap"),
            ]
        for k, (measure, name) in enumerate(names):
            recipe = Recipe("timing", measure, (), stream, value)
            self.add(rank + 0.02 * k, name, recipe, value, None)
        if not brief:
            self.pace(rank + 0.12, stream, value)
            for window in [w for w in self.windows[1:3] if w.width >= 0]:
                recipe = Recipe("timing", "faded count", (), stream, value, other=window.width)
                half = window.label.removeprefix("the last ")
                name = f"count of {what}{of}, weights halving every {half}"
                self.add(rank + 0.15, name, recipe, value, None)

    def pace(self, rank: float, stream: Stream, value: Value) -> None:
        """Offer how many events there were lately against how many one would expect."""
        timed = [w for w in self.windows if w.width >= 0]
        if len(timed) < 3 or not self.timed(stream.table):
            return
        what, of = self.phrases.rows(value), self.phrases.stream(stream)
        short, long = timed[1], timed[-1]
        recipe = Recipe("timing", "pace", (), stream, value, short.width, long.width)
        name = f"pace of {what} over {short.label} against {long.label}{of}"
        self.add(rank, name, recipe, value, short.label)

    def year_so_far(self, rank: float, stream: Stream, value: Value) -> None:
        """Offer the mean of a number since the year began."""
        if self.span > YEAR and self.timed(stream.table):
            what, of = self.phrases.value(value), self.phrases.stream(stream)
            recipe = Recipe("span", "mean", (), stream, value, word="year")
            name = f"mean of {what} over the year so far{of}"
            self.add(rank, name, recipe, value, "the year so far")

    def season(self, rank: float, stream: Stream, value: Value, measures: Sequence[str]) -> None:
        """Offer what followed the same day of the year before, for as long as the horizon."""
        if self.span < 1.3 * YEAR or self.horizon >= YEAR or not self.timed(stream.table):
            return
        of = self.phrases.stream(stream)
        label = f"the season of {length(self.horizon)} a year ago"
        for measure in measures:
            if measure in ("count", "moments"):
                what = self.phrases.rows(value)
                what = what if measure == "count" else f"moments of {what}"
                name = f"count of {what} in {label}{of}"
            else:
                name = f"{measure} of {self.phrases.value(value)} in {label}{of}"
            recipe = Recipe("span", measure, (), stream, value, self.horizon, YEAR)
            self.add(rank, name, recipe, value, label)

    def standing(self, rank: float, stream: Stream, of: Recipe | None) -> None:
        """Offer where the entity stands with another feature among all that are active."""
        if not self.timed(stream.table) or not self.compares(stream):
            return
        width = self.year().width
        who = f"{stream.table} rows{self.phrases.stream(stream)}"
        active = f"those with {who} in {self.year().label.removeprefix('over ')}"
        value = of.value if of is not None and of.value is not None else Value("own", stream.table)
        if of is None:
            recipe = Recipe("standing", "active", (), stream, value, width)
            self.add(rank, f"count of {active}", recipe, value, self.year().label)
            return
        feature = self.phrases.value(value)
        what = {
            "numbers": f"mean of {feature} over {self.label(of.width)}",
            "timing": f"count of {self.phrases.rows(value)} over {self.label(of.width)}",
            "recent": f"last {feature}"
            if of.measure == "last"
            else f"mean of {feature}, weights halving every {of.other} rows",
        }[of.family]
        for measure, phrase in (("rank", "rank of"), ("off", "distance to the mean of")):
            recipe = Recipe("standing", measure, (), stream, value, width, of=of)
            name = f"{phrase} {what}, among {active}"
            self.add(rank + (0.0 if measure == "rank" else 0.2), name, recipe, value, None)

    # -- small questions --------------------------------------------------------------------------

    def add(
        self,
        rank: float,
        name: str,
        recipe: Recipe,
        about: object,
        window: str | None,
        categories: tuple[str, ...] | None = None,
    ) -> None:
        table, column = self.entity_table, None
        if isinstance(about, tuple):
            table, column = about
        elif about is not None:
            table, column = about.table, about.column  # type: ignore[attr-defined]
        kind = "number" if categories is None else "category"
        feature = Feature(name, table, column, window, kind, categories, recipe)  # type: ignore[arg-type]
        self.found.append((rank, feature))

    def timed(self, table: str) -> bool:
        return self.relations.table(table).time is not None

    def some(self) -> tuple[Window, ...]:
        """Return three windows: a short one, a middle one, and everything."""
        chosen = (self.windows[0], self.middle(), self.windows[-1])
        return tuple(dict.fromkeys(chosen))

    def middle(self) -> Window:
        return self.windows[(len(self.windows) - 1) // 2]

    def year(self) -> Window:
        """Return the window nearest to a year, where there is one as long as half of that."""
        found = min(
            (w for w in self.windows if w.width >= 0),
            key=lambda w: abs(np.log(w.width / YEAR)),
            default=ALL,
        )
        return found if found.width * 2 >= YEAR else ALL

    def label(self, width: int) -> str:
        """Return what a window of this width is called."""
        return next(w.label for w in self.windows if w.width == width)

    def words(self, table: str, column: str | None) -> tuple[str, ...]:
        """Return the categories of a column that is held as one, else none."""
        if column is None or self.relations.table(table).column(column).kind != "category":
            return ()
        return self.columns.vocabulary(table, column)

    def shares_moments(self, link: Link) -> float:
        """Return which share of the known rows has another row of its parent and moment."""
        key = ("moments", link)
        if key not in self._answers:
            arrays = self.relations.link(link)
            # A row whose parent is yet to come has no siblings so far.
            there = np.append(self.columns.known(link.to), False)[arrays.parent]
            self._answers[key] = shared_moments(arrays, self.columns.known(link.table) & there)
        return float(self._answers[key])

    def shares(self, table: str, column: str | None) -> bool:
        """Tell whether statistics over all rows of a table are affordable at every anchor.

        Running sums cost nothing, but rows that end and values that are known late are looked at
        one by one.
        """
        arrays = self.relations.table(table)
        late = column is not None and self.relations.value_known(table, column) is not None
        if arrays.end_time is None and not late:
            return True
        return float(self.columns.known(table).sum()) * self.span < 1e8 * max(1, self.horizon)

    def compares(self, stream: Stream) -> bool:
        """Tell whether looking at everybody active, one moment a horizon, is affordable."""
        rows = float(self.columns.known(stream.table).sum())
        width = self.year().width
        held = self.span if width < 0 else width
        return self.horizon > 0 and rows * held / self.horizon < 1e8

    def numeric(self, table: str, first: Sequence[str | None]) -> list[str]:
        """Return a table's numbers, the named ones first."""
        numbers = self.columns.of(table).numbers
        return sorted(numbers, key=lambda c: c not in first)

    def across(self, stream: Stream) -> Iterator[Link]:
        return (link for link in self.graph.links_from(stream.table) if link not in stream.down)

    def worded(self, table: str, column: str | None) -> bool:
        if column is None:
            return False
        dtype = self.graph.table(table).column(column).dtype
        return not (dtype.is_number or dtype.value == "bool")

    def has_number(self, value: Value) -> bool:
        return value.column in self.columns.of(value.table).numbers

    def spread(self, link: Link) -> bool:
        """Tell whether the known rows below one row ever come at different moments."""
        key = ("spread", link)
        if key not in self._answers:
            self._answers[key] = self._comes_apart(link)
        return bool(self._answers[key])

    def affordable(self, link: Link) -> bool:
        """Tell whether a mean over the year before every row is affordable.

        Running sums give it for nothing; rows that end and values that are known late are visited,
        at most 2 * 10^8 times.
        """
        key = ("affordable", link)
        if key not in self._answers:
            arrays = self.relations.table(link.table)
            late = any(arrays.value_known(c.name) is not None for c in arrays.table.columns)
            plain = arrays.end_time is None and not late and arrays.time is not None
            self._answers[key] = plain or self._visits(link) < 2e8
        return bool(self._answers[key])

    def _comes_apart(self, link: Link) -> bool:
        arrays = self.relations.link(link)
        if arrays.child_time is None:
            return False
        owners = self.columns.known(link.to)
        time = np.asarray(arrays.child_time)
        return not np.isnan(typical_gap(arrays.indptr, time, owners, self.until))

    def _visits(self, link: Link) -> float:
        arrays = self.relations.link(link)
        time = arrays.child_time
        if time is None or len(time) == 0:
            return float("inf")
        owner = np.repeat(np.arange(len(arrays.indptr) - 1), np.diff(arrays.indptr))
        known = self.columns.known(link.to)[owner] & self.columns.known(link.table)[arrays.child]
        owner = owner[known]
        sizes = np.bincount(owner, minlength=1).astype(np.float64)
        share = min(1.0, YEAR / max(1, self.span))
        return float((sizes**2).sum() * share)


def _without(graph: Graph, left_out: set[tuple[str, str]]) -> Graph:
    """Return the graph without the links whose foreign key is left out."""
    kept = tuple(k for k in graph.links if (k.table, k.foreign_key) not in left_out)
    return graph if len(kept) == len(graph.links) else replace(graph, links=kept)
