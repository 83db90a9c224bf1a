"""Which features a schema and a query call for: paths, windows and measures under a budget.

Every candidate has a rank (small is strong and cheap); the budget takes the first. The order is
one for all data sets: what happened to the target before, the entity itself, its target events,
its other events, what these point to, and then the surroundings of what these point to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from relcast.core.schema import Link
from relcast.learners.features.columns import Columns
from relcast.learners.features.phrases import Phrases
from relcast.learners.features.spec import Feature, Recipe, Step, Stream, Value
from relcast.learners.features.target import Target
from relcast.learners.features.windows import ALL, YEAR, Window, choose, typical_gap
from relcast.pql.ast import AggregationKind, CheckedQuery, aggregations
from relcast.relations import Relations, events_below

__all__ = ["generate"]

_PAST_WINDOWS = 52
_FADES = (2, 8)
_DAY = 86_400 * 10**9


def generate(
    relations: Relations,
    query: CheckedQuery,
    target: Target | None,
    *,
    budget: int,
    until: int | None,
) -> tuple[Feature, ...]:
    """Return at most ``budget`` features, strongest families first, each name once."""
    offers = _Offers(relations, query, target, until)
    offers.past()
    offers.entity()
    offers.below()
    offers.around()
    ordered = sorted(offers.found, key=lambda offer: offer[0])  # stable: ties in order of making
    unique = {feature.name: feature for _, feature in reversed(ordered)}
    chosen = [f for _, f in ordered if unique[f.name] is f]
    return tuple(chosen[: max(1, budget)])


@dataclass
class _Offers:
    """Collects candidates with their ranks."""

    relations: Relations
    query: CheckedQuery
    target: Target | None
    until: int | None
    found: list[tuple[float, Feature]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.graph = self.relations.graph
        self.entity_table = self.query.entity_table
        self.columns = Columns(self.relations, self.query, self.until)
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

    # -- what is offered --------------------------------------------------------------------------

    def past(self) -> None:
        """Offer the target in past windows."""
        if self.target is None:
            return
        reach = min(_PAST_WINDOWS, max(1, self.span // max(1, self.horizon)))
        spans = sorted({min(k, reach) for k in (4, 13, 52)})
        for number, part in enumerate(self.target.aggregations):
            if self._worded(part.table, part.column) and part.kind in (
                AggregationKind.FIRST,
                AggregationKind.LAST,
            ):
                continue
            value = Value("target", part.table, part.column, number=number)
            what = self.phrases.target(part)
            for k in range(min(4, reach)):
                label = self.phrases.back(part, k)
                recipe = Recipe("past", "value", value=value, other=k)
                self._add(0.0 + 0.01 * k, f"{what} in {label}", recipe, part, label)
            for k in spans:
                label = _last_windows(k)
                recipe = Recipe("past", "mean", value=value, other=k)
                self._add(0.05, f"mean of {what} in {label}", recipe, part, label)
            self._target_stream(number, value)
        if self.target.formula is not None:
            part = self.target.aggregations[0]
            for k in range(min(4, reach)):
                label = self.phrases.back(part, k)
                recipe = Recipe("past", "formula", other=k)
                self._add(0.0 + 0.01 * k, f"target in {label}", recipe, part, label)
            for k in spans:
                label = _last_windows(k)
                recipe = Recipe("past", "mean formula", other=k)
                self._add(0.05, f"mean of target in {label}", recipe, part, label)
        if self.target.condition is not None:
            part = self.target.aggregations[0]
            for k in range(min(3, reach)):
                label = self.phrases.back(part, k)
                recipe = Recipe("past", "truth", other=k)
                self._add(0.0 + 0.01 * k, f"target was true in {label}", recipe, part, label)
            for k in spans:
                label = _last_windows(k)
                recipe = Recipe("past", "frequency", other=k)
                self._add(0.02, f"share of {label} in which target was true", recipe, part, label)
            recipe = Recipe("past", "windows since", other=reach)
            self._add(0.03, "windows since target was last true", recipe, part, None)

    def _target_stream(self, number: int, value: Value) -> None:
        """Offer longer windows over the target's own rows, where its filter holds."""
        if self.target is None:
            return
        part = self.target.aggregations[number]
        if part.where is None:
            return  # its rows are the entity's rows: ``below`` has them all
        stream = Stream(part.table, (), part.down)
        self._timing(0.1, stream, value)
        holds = Value("holds", part.table, part.column, number=number)
        self._means(0.06, stream, holds, self.windows)
        self._recent(0.06, stream, holds, counts=(1, 3, 10), fades=_FADES)
        if part.column is not None and not self._worded(part.table, part.column):
            self._numbers(0.1, stream, value, full=True)

    def entity(self) -> None:
        """Offer the entity's own columns, those of what it points to, and the calendar."""
        self._row(1.0, ())
        for link in self.graph.links_from(self.entity_table):
            step = (Step("up", link),)
            self._row(1.3, step)
            for second in self.graph.links_from(link.to):
                self._row(1.6, (*step, Step("up", second)))
        if self.target is None:
            return
        recipe = Recipe("calendar", "staleness")
        self._add(0.5, "days from what is known to the anchor", recipe, None, None)
        short = self.horizon < 28 * _DAY
        parts = ["month", "day of year", "year"] + (["weekday", "day"] if short else ["week"])
        for part in [*parts, *(["hour"] if self.horizon < _DAY else [])]:
            name = f"{part} of the anchor"
            self._add(1.2, name, Recipe("calendar", part), None, None)

    def below(self) -> None:
        """Offer windows over the events below the entity, over one link and over two.

        The target's own rows come first, however many links away they are. What a static list is
        made of is the answer itself and no feature.
        """
        wanted = [p.down for p in self.target.aggregations] if self.target else []
        direct = {down[0] for down in wanted}
        links = [link for link in self.graph.links_to(self.entity_table) if link not in self.answer]
        links.sort(key=lambda link: link not in direct)
        for down in dict.fromkeys(d for d in wanted if len(d) > 1):
            self._stream(1.1, Stream(down[-1].table, (), down), across=True)
        for place, link in enumerate(links):
            rank = 1.1 if (link,) in wanted else 2.0 + 0.3 * min(place, 4)
            self._stream(rank, Stream(link.table, (), (link,)), across=True)
            for second in self.graph.links_to(link.table):
                if second.table != self.entity_table and (link, second) not in wanted:
                    stream = Stream(second.table, (), (link, second))
                    self._stream(rank + 2.0, stream, across=False)

    def around(self) -> None:
        """Offer what happened to the parents: the entity's own, and those of its latest events."""
        targets = {p.down[0] for p in self.target.aggregations} if self.target else set()
        for link in self.graph.links_from(self.entity_table):
            self._parent(2.2, (Step("up", link),))
        if self.target is None:
            return
        for down in self.graph.links_to(self.entity_table):
            if not self._timed(down.table):
                continue
            for up in self.graph.links_from(down.table):
                if up != down:
                    seed = (Step("latest", down), Step("up", up))
                    self._parent(1.5 if down in targets else 3.5, seed)
        for number, part in enumerate(self.target.aggregations):
            stream = Stream(part.table)
            if part.where is not None:
                holds = Value("holds", part.table, part.column, number=number)
                self._means(2.3, stream, holds, self._some())
            if part.column in self.columns.of(part.table).numbers:
                self._means(2.3, stream, Value("own", part.table, part.column), self._some())

    def _parent(self, rank: float, seed: tuple[Step, ...]) -> None:
        """Offer the events below a parent, those of the target's table first."""
        tables = {p.table for p in self.target.aggregations} if self.target else set()
        wanted = {p.column for p in self.target.aggregations} if self.target else set()
        for link in self.graph.links_to(seed[-1].table):
            if not self._timed(link.table) and self.target is not None:
                continue
            if link.table in {answer.table for answer in self.answer}:
                continue
            stream = Stream(link.table, seed, (link,))
            near = link.table in tables
            base = rank if near else rank + 1.2
            # Where a parent's rows come all at one moment (a race, a basket), windows are one.
            spread = self._spread(link)
            for number, part in enumerate(self.target.aggregations if self.target else ()):
                if part.table == link.table and part.where is not None:
                    holds = Value("holds", part.table, part.column, number=number)
                    self._means(base, stream, holds, self.windows if spread else (ALL,))
                    if spread:
                        self._recent(base + 0.1, stream, holds, counts=(1, 5), fades=(8,))
            for k, column in enumerate(self._numeric(link.table, sorted(filter(None, wanted)))):
                value = Value("own", link.table, column)
                first = near and column in wanted
                at = base if first else base + 0.5 + 0.1 * k
                if not spread:
                    self._means(at, stream, value, (ALL,))
                    continue
                self._means(at, stream, value, self._some() if not first else self.windows)
                if self.target is not None:
                    self._recent(at + 0.1, stream, value, counts=(1, 5), fades=())
            if not spread:
                continue
            count = Value("own", link.table)
            self._timing(base + 1.0, stream, count, brief=True)
            for column in self.columns.of(link.table).categories:
                self._codes(base + 1.5, stream, Value("own", link.table, column), brief=True)

    # -- families ---------------------------------------------------------------------------------

    def _row(self, rank: float, seed: tuple[Step, ...]) -> None:
        """Offer the columns of the row at the end of a seed."""
        table = seed[-1].table if seed else self.entity_table
        columns = self.columns.of(table)
        where = self.phrases.seed(seed)
        for column in columns.numbers:
            recipe = Recipe("own", "number", seed, value=Value("own", table, column))
            self._add(rank, f"{table}.{column}{where}", recipe, (table, column), None)
        for column in columns.categories:
            words = self.columns.vocabulary(table, column)
            recipe = Recipe("own", "category", seed, value=Value("own", table, column))
            name = f"{table}.{column}{where}"
            if column in columns.numbers:
                name = f"{name} as a category"
            self._add(rank, name, recipe, (table, column), None, words)
        for column in columns.times:
            value = Value("own", table, column)
            measures = ["age"] if self.target is not None else ["epoch"]
            for measure in [*measures, "month", "weekday"]:
                if measure == "age":
                    name = f"days since {table}.{column}{where}"
                elif measure == "epoch":
                    name = f"{table}.{column} in days{where}"
                else:
                    name = f"{measure} of {table}.{column}{where}"
                late = 0.0 if measure == measures[0] else 1.0
                recipe = Recipe("own", measure, seed, value=value)
                self._add(rank + late, name, recipe, (table, column), None)

    def _stream(self, rank: float, stream: Stream, *, across: bool) -> None:
        """Offer everything about the events of one stream."""
        table, timed = stream.table, self._timed(stream.table)
        wanted = [p.column for p in self.target.aggregations] if self.target else []
        columns = self.columns.of(table)
        self._timing(rank, stream, Value("own", table))
        for k, column in enumerate(self._numeric(table, wanted)):
            value = Value("own", table, column)
            self._numbers(rank + 0.1 + 0.05 * k, stream, value, full=column in wanted)
        for k, column in enumerate(columns.categories):
            self._codes(rank + 0.2 + 0.05 * k, stream, Value("own", table, column), brief=False)
        if not across:
            return
        for link in self._across(stream):
            parent = Value("parent", link.to, path=(link,))
            self._codes(rank + 0.6, stream, parent, brief=False)
            joined = self.columns.of(link.to)
            for column in joined.numbers:
                value = Value("joined", link.to, column, (link,))
                self._numbers(rank + 0.8, stream, value, full=False)
            for column in joined.categories:
                value = Value("joined", link.to, column, (link,))
                self._codes(rank + 0.9, stream, value, brief=False)
            if timed and self.target is not None:
                self._context(rank, stream, link, wanted)

    def _context(
        self, rank: float, stream: Stream, link: Link, wanted: Sequence[str | None]
    ) -> None:
        """Offer events beside the others of one parent: at their moment, and before it."""
        table = stream.table
        for k, column in enumerate(self._numeric(table, wanted)):
            late = 0.0 if column in wanted else 0.5 + 0.1 * k
            value = Value("relative", table, column, (link,))
            self._means(rank + 0.4 + late, stream, value, self._some())
            self._recent(rank + 0.45 + late, stream, value, counts=(1, 5), fades=(8,))
            if column in wanted and self._cheap(link):
                prior = Value("prior", table, column, (link,), below=link, width=YEAR)
                self._means(rank + 0.7, stream, prior, self._some())
                self._recent(rank + 0.7, stream, prior, counts=(1, 5), fades=())

    def _numbers(self, rank: float, stream: Stream, value: Value, *, full: bool) -> None:
        """Offer statistics of a number over windows, and of its last values."""
        self._means(rank, stream, value, self.windows if full else self._some())
        self._recent(rank, stream, value, counts=(1, 3, 10), fades=_FADES)
        late = rank + (0.3 if full else 1.5)
        for window in self._some():
            for measure in ("sum", "std", "min", "max"):
                self._measure(late, stream, value, measure, window)
        if len(self.windows) > 2:
            short, long = self.windows[len(self.windows) // 2 - 1], ALL
            recipe = Recipe("numbers", "trend", (), stream, value, short.width, long.width)
            what, of = self.phrases.value(value), self.phrases.stream(stream)
            name = f"mean of {what} over {short.label} minus that over {long.label}{of}"
            self._add(late, name, recipe, value, short.label)

    def _means(self, rank: float, stream: Stream, value: Value, windows: Sequence[Window]) -> None:
        for window in windows:
            if window.width >= 0 and not self._timed(stream.table):
                continue
            self._measure(rank, stream, value, "mean", window)

    def _measure(
        self, rank: float, stream: Stream, value: Value, measure: str, window: Window
    ) -> None:
        if window.width >= 0 and not self._timed(stream.table):
            return
        recipe = Recipe("numbers", measure, (), stream, value, window.width)
        what, of = self.phrases.value(value), self.phrases.stream(stream)
        name = f"{measure} of {what} over {window.label}{of}"
        self._add(rank, name, recipe, value, window.label)

    def _recent(
        self,
        rank: float,
        stream: Stream,
        value: Value,
        *,
        counts: Sequence[int],
        fades: Sequence[int],
    ) -> None:
        """Offer the last values and means that favour them; an order needs times."""
        if not self._timed(stream.table) or self.target is None:
            return
        what, of = self.phrases.value(value), self.phrases.stream(stream)
        for k, count in enumerate(counts):
            recipe = Recipe("recent", "last", (), stream, value, other=count)
            label = "the last row" if count == 1 else f"the last {count} rows"
            name = f"last {what}{of}" if count == 1 else f"mean of {what} over {label}{of}"
            self._add(rank + 0.02 + 0.3 * (k > 0 and len(counts) < 3), name, recipe, value, label)
        for fade in fades:
            recipe = Recipe("recent", "fade", (), stream, value, other=fade)
            name = f"mean of {what}{of}, weights halving every {fade} rows"
            self._add(rank + 0.05, name, recipe, value, None)

    def _codes(self, rank: float, stream: Stream, value: Value, *, brief: bool) -> None:
        """Offer shares of the frequent categories, how many there are, and the last."""
        timed = self._timed(stream.table) and self.target is not None
        what, of = self.phrases.value(value), self.phrases.stream(stream)
        words: tuple[str, ...] = ()
        if value.kind != "parent" and value.column is not None:
            words = self.columns.shared(value.table, value.column)
        for window in [self._middle()] if brief else self._some():
            if window.width >= 0 and not self._timed(stream.table):
                continue
            for word in words:
                recipe = Recipe("codes", "share", (), stream, value, window.width, word=word)
                name = f"share of {what} = {word!r} over {window.label}{of}"
                self._add(rank, name, recipe, value, window.label)
            if not brief:
                recipe = Recipe("codes", "distinct", (), stream, value, window.width)
                name = f"distinct {what} over {window.label}{of}"
                self._add(rank + 0.3, name, recipe, value, window.label)
        if timed and not brief:
            recipe = Recipe("codes", "run", (), stream, value)
            name = f"rows since {what} last changed{of}"
            self._add(rank + 0.2, name, recipe, value, None)
            if words and value.column is not None:
                vocabulary = self.columns.vocabulary(value.table, value.column)
                recipe = Recipe("codes", "last", (), stream, value)
                name = f"last {what}{of}"
                if self._has_number(value):
                    name = f"{name} as a category"
                self._add(rank + 0.1, name, recipe, value, "the last row", vocabulary)

    def _timing(self, rank: float, stream: Stream, value: Value, *, brief: bool = False) -> None:
        """Offer how many events there were, and when."""
        what, of = self.phrases.rows(value), self.phrases.stream(stream)
        for window in self._some() if brief else self.windows:
            if window.width >= 0 and not self._timed(stream.table):
                continue
            recipe = Recipe("timing", "count", (), stream, value, window.width)
            name = f"count of {what} over {window.label}{of}"
            self._add(rank, name, recipe, value, window.label)
        if not self._timed(stream.table) or self.target is None:
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
            self._add(rank + 0.02 * k, name, recipe, value, None)
        if not brief:
            for window in self.windows[1:3]:
                if window.width < 0:
                    continue
                recipe = Recipe("timing", "faded count", (), stream, value, other=window.width)
                half = window.label.removeprefix("the last ")
                name = f"count of {what}{of}, weights halving every {half}"
                self._add(rank + 0.15, name, recipe, value, None)

    # -- small questions --------------------------------------------------------------------------

    def _add(
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

    def _timed(self, table: str) -> bool:
        return self.relations.table(table).time is not None

    def _some(self) -> tuple[Window, ...]:
        """Return three windows: a short one, a middle one, and everything."""
        chosen = (self.windows[0], self._middle(), self.windows[-1])
        return tuple(dict.fromkeys(chosen))

    def _middle(self) -> Window:
        return self.windows[(len(self.windows) - 1) // 2]

    def _numeric(self, table: str, first: Sequence[str | None]) -> list[str]:
        """Return a table's numbers, the named ones first."""
        numbers = self.columns.of(table).numbers
        return sorted(numbers, key=lambda c: c not in first)

    def _across(self, stream: Stream) -> Iterator[Link]:
        return (link for link in self.graph.links_from(stream.table) if link not in stream.down)

    def _worded(self, table: str, column: str | None) -> bool:
        if column is None:
            return False
        dtype = self.graph.table(table).column(column).dtype
        return not (dtype.is_number or dtype.value == "bool")

    def _has_number(self, value: Value) -> bool:
        return value.column in self.columns.of(value.table).numbers

    def _spread(self, link: Link) -> bool:
        """Tell whether the known rows below one row ever come at different moments."""
        arrays = self.relations.link(link)
        if arrays.child_time is None:
            return False
        owners = self.columns.known(link.to)
        time = np.asarray(arrays.child_time)
        return not np.isnan(typical_gap(arrays.indptr, time, owners, self.until))

    def _cheap(self, link: Link) -> bool:
        """Tell whether a mean over the year before every row is affordable (2 * 10^8 visits)."""
        arrays = self.relations.link(link)
        time = arrays.child_time
        if time is None or len(time) == 0:
            return False
        owner = np.repeat(np.arange(len(arrays.indptr) - 1), np.diff(arrays.indptr))
        known = self.columns.known(link.to)[owner] & self.columns.known(link.table)[arrays.child]
        owner = owner[known]
        sizes = np.bincount(owner, minlength=1).astype(np.float64)
        share = min(1.0, YEAR / max(1, self.span))
        return bool((sizes**2).sum() * share < 2e8)


def _last_windows(count: int) -> str:
    return "the last window" if count == 1 else f"the last {count} windows"
