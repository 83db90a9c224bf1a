"""Random worlds for the label oracle: made to hit the edges.

Times stand on whole multiples of the query's unit back from the newest one, so that events lie
exactly on anchors and on both ends of windows, or a nanosecond beside them; the newest time is often
a month's end or a leap day. Tables form chains of up to four foreign keys, in which keys are NULL,
name no row, or have another type than the key; dimensions have lives of their own; names are odd.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from relcast.core.schema import Link
from tests.properties.label_queries import Clock, draw_task, write_query
from tests.tasks.worlds import World, WorldTable

__all__ = ["Case", "draw_case", "permuted", "shifted"]

LATEST = [
    "2024-02-29", "2023-03-31", "2024-03-31 12:30:00", "2020-12-31 23:59:59", "2023-07-15 06:00:00",
    "2021-03-01", "2024-08-31 00:00:00.000000001", "1970-01-31", "2000-02-29 23:59:59.999999999",
    "1900-03-01", "2100-02-28", "2025-01-30 08:00:00.000001", "2024-05-30", "1999-12-31 18:00:00",
]  # fmt: skip
LENGTHS = {"seconds": (1, 40), "minutes": (1, 40), "hours": (1, 30), "days": (1, 20),
           "weeks": (1, 6), "months": (1, 4)}  # fmt: skip
WORDS = ["a", "b", "ab", "ba", "Abc", "it's", "50%", "ü", "", "a_b", "e\u0301", "é", "😀b", "\\n",
         'say "a"', " a"]  # fmt: skip
ODD = [0.1, -0.0, 1e-300, 2.0**53, float("inf"), -float("inf"), float("nan"), 1e308, -1e308, 1e16]
BIG = [2**53 + 1, 2**62, -(2**62), 2**53]
NAMES = [
    "order lines", "Größe", "select", "a.b", "tick`ed", "😀", "WHERE", "count", '"quoted"', "it's",
    "--", "#", "x y  z", "$1", "%s", "drop table", "名前", "Count ", "IN", "semi;colon", "{}", "null",
    "row id", "e\u0301", "_", "anchor", "target", "pair", "entity", "moment", "9lives",
]  # fmt: skip


@dataclass
class Case:
    """A world, a query that fits it as text, and anchors that its events lie on.

    Attributes:
        forecast_length: The plan's, where the query does not say FORECAST itself.
    """

    world: World
    text: str
    anchors: list[pd.Timestamp]
    forecast_length: int | None = None


def draw_case(rng: np.random.Generator, task: str | None = None) -> Case:
    """Draw a case; of one kind of task, or of any."""
    unit = str(rng.choice(list(LENGTHS)))
    length = int(rng.integers(*LENGTHS[unit]))
    start = int(rng.integers(0, length)) if rng.random() < 0.3 else 0
    newest = pd.Timestamp(str(rng.choice(LATEST)))
    back = sorted(rng.choice(6 * length, size=min(8, 6 * length), replace=False))
    anchors = sorted({newest - pd.DateOffset(**{unit: int(k)}) for k in back})
    timeless = task == "static_link" or (task is None and rng.random() < 0.09)
    task = task or draw_task(rng, timeless=timeless)
    reach = 14 if task == "forecast" else 8
    clock = Clock(unit, length, start, newest, tuple(anchors), reach * length)
    world = _Maker(rng, clock, timeless=timeless).world()
    names = _odd_names(rng, world) if rng.random() < 0.25 else {}
    text, forecast_length = write_query(rng, world, clock, names, task)
    return Case(_renamed(world, names), text, list(anchors), forecast_length)


def shifted(case: Case, by: pd.Timedelta) -> Case:
    """Move every time of a world, and the anchors, by a constant."""
    tables = {}
    for name, t in case.world.tables.items():
        rows = t.rows.copy()
        for column, kind in t.columns.items():
            if kind == "time":
                rows[column] = rows[column] + by
        tables[name] = replace(t, rows=rows)
    world = World(tables, case.world.links)
    return replace(case, world=world, anchors=[a + by for a in case.anchors])


def permuted(case: Case, rng: np.random.Generator) -> Case:
    """Shuffle tables, columns, links and rows (those of tables with a key: ties need one)."""
    tables = {}
    for name in rng.permutation(np.array(list(case.world.tables), dtype=object)):
        t = case.world.tables[name]
        order = rng.permutation(np.array(list(t.columns), dtype=object))
        columns = {c: t.columns[c] for c in order}
        rows = t.rows
        if t.key is not None:
            rows = rows.iloc[rng.permutation(len(rows))].reset_index(drop=True)
        tables[name] = replace(t, columns=columns, rows=rows[list(columns)])
    links = tuple(case.world.links[i] for i in rng.permutation(len(case.world.links)))
    return replace(case, world=World(tables, links))


def _odd_names(rng: np.random.Generator, world: World) -> dict[str, str]:
    """An odd name for some tables and columns, by the name that they have so far."""
    plain = sorted({*world.tables, *(c for t in world.tables.values() for c in t.columns)})
    chosen = [p for p in plain if rng.random() < 0.5][: len(NAMES)]
    return dict(zip(chosen, (str(n) for n in rng.permutation(NAMES)), strict=False))


def _renamed(world: World, names: dict[str, str]) -> World:
    def new(name: str | None) -> Any:
        return None if name is None else names.get(name, name)

    tables = {
        new(name): WorldTable(
            {new(c): k for c, k in t.columns.items()},
            t.rows.rename(columns=new),
            new(t.key),
            new(t.time),
            new(t.end),
        )
        for name, t in world.tables.items()
    }
    links = tuple(Link(new(x.table), new(x.foreign_key), new(x.to)) for x in world.links)
    return World(tables, links)


class _Maker:
    """Makes one world: dimensions, entities, facts that point to them, and facts of facts."""

    def __init__(self, rng: np.random.Generator, clock: Clock, *, timeless: bool) -> None:
        self.rng, self.clock, self.timeless = rng, clock, timeless
        self.tables: dict[str, WorldTable] = {}
        self.links: list[Link] = []
        self.keys: dict[str, tuple[str, list[Any]]] = {}

    def world(self) -> World:
        chance = self.rng.random
        self.table("places", 3, key=True, life=0.5)
        itself = "inviter" if chance() < 0.25 else None
        self.table("users", int(self.rng.integers(3, 9)), key=True, life=0.8 if itself else 0.4,
                   points={"place": "places"} if chance() < 0.85 else {}, itself=itself)  # fmt: skip
        self.table("products", int(self.rng.integers(2, 7)), key=True, life=0.3)
        points = {"user": "users"}
        if self.timeless or chance() < 0.75:
            points["product"] = "products"
        if chance() < 0.35:
            points["place"] = "places"
        deep = chance() < 0.6
        self.table("orders", int(self.rng.integers(1, 80)), key=deep or chance() < 0.6, fact=True,
                   points=points)  # fmt: skip
        if chance() < 0.4:
            self.table("visits", int(self.rng.integers(5, 60)), key=chance() < 0.5, fact=True,
                       points={"user": "users", "product": "products"})  # fmt: skip
        if deep:
            points = {"order": "orders"}
            if chance() < 0.25:
                points["product"] = "products"
            self.table("lines", int(self.rng.integers(20, 90)), key=True, fact=chance() < 0.85,
                       points=points)  # fmt: skip
            if chance() < 0.7:
                self.table("marks", int(self.rng.integers(20, 90)), key=True, fact=True,
                           points={"line": "lines"})  # fmt: skip
                if chance() < 0.6:
                    self.table("stamps", int(self.rng.integers(20, 90)), key=chance() < 0.5,
                               fact=True, points={"mark": "marks"})  # fmt: skip
        return World(self.tables, tuple(self.links))

    def table(
        self,
        name: str,
        n: int,
        *,
        key: bool,
        fact: bool = False,
        life: float = 0.0,
        points: dict[str, str] | None = None,
        itself: str | None = None,
    ) -> None:
        """Add a table; ``itself`` names a foreign key to its own rows."""
        rng, columns, data = self.rng, {}, {}
        if key:
            kind, keys = self._keys(name, n)
            columns["id"], data["id"] = kind, keys
            self.keys[name] = kind, keys
        ways = dict(points or {})
        if itself is not None:
            ways[itself] = name
        for column, to in ways.items():
            columns[column], data[column] = self._foreign(to, n)
            self.links.append(Link(name, column, to))
        for column, kind in self._described(fact=fact):
            columns[column], data[column] = kind, self._values(kind, n)
        time = end = None
        if not self.timeless and (fact or rng.random() < life):
            time = "time"
            times = self._times(n) if fact else self._births(n)
            columns["time"], data["time"] = "time", self._some(times, 0.03)
            if rng.random() < 0.35:
                end = "ended"
                columns["ended"], data["ended"] = "time", self._some(self._times(n), 0.6)
        frame = pd.DataFrame({c: pd.Series(v, dtype=object) for c, v in data.items()})
        for column, kind in columns.items():
            if kind == "time":
                frame[column] = pd.to_datetime(frame[column]).astype("datetime64[ns]")
        order = [str(c) for c in rng.permutation(list(columns))]
        self.tables[name] = WorldTable(
            {c: columns[c] for c in order}, frame[order], "id" if key else None, time, end
        )

    def _keys(self, name: str, n: int) -> tuple[str, list[Any]]:
        draw = self.rng.random()
        if draw < 0.65:
            return "key", [int(i) * 7 for i in self.rng.permutation(n)]
        if draw < 0.85:
            return "text_key", [f"{name[0]}{i}" for i in self.rng.permutation(n)]
        return "text_key", [str(int(i) * 7) for i in self.rng.permutation(n)]

    def _foreign(self, to: str, n: int) -> tuple[str, list[Any]]:
        """A foreign key: NULLs, keys that are not there, at times of another type than the key."""
        kind, keys = self.keys[to]
        strange: Any = 5 if kind == "key" else "u 99"
        chosen = [*keys, strange]
        values = self._some([chosen[int(i)] for i in self.rng.integers(0, len(chosen), n)], 0.08)
        if self.rng.random() < 0.12:
            if kind == "key":
                as_text = bool(self.rng.random() < 0.5)
                turned = [None if v is None else str(v) if as_text else float(v) for v in values]
                return ("text_key" if as_text else "float_key"), turned
            if all(str(k).isdigit() for k in keys):
                return "key", [int(v) if v is not None and v.isdigit() else None for v in values]
        return kind, values

    def _described(self, *, fact: bool) -> list[tuple[str, str]]:
        """The columns that describe rows: a number and a category always, others at times."""
        found = [("amount", "number"), ("kind", "category")]
        others = [("price", "raw"), ("weight", "single"), ("items", "int"), ("big", "int"),
                  ("grade", "code"), ("paid", "bool"), ("note", "text"), ("tier", "category")]  # fmt: skip
        if not self.timeless:
            others.append(("due", "time"))
        if not fact or self.rng.random() < 0.2:
            others += [("tags", "tags"), ("codes", "codes")]
        return found + [x for x in others if self.rng.random() < 0.6]

    def _values(self, kind: str, n: int) -> list[Any]:
        rng = self.rng
        share = 1.0 if rng.random() < 0.02 else 0.2
        match kind:
            case "number":
                found: list[Any] = [float(x) / 4 for x in rng.integers(-20, 21, n)]
            case "raw":
                found = [float(x) / 8 for x in rng.integers(-20, 21, n)]
                found = [_pick(rng, ODD) if rng.random() < 0.15 else x for x in found]
            case "single":
                found = [float(x) / 10 for x in rng.integers(-20, 21, n)]
            case "int":
                found = [int(x) for x in rng.integers(-3, 6, n)]
                odd = 0.1 if rng.random() < 0.3 else 0.0
                found = [_pick(rng, BIG) if rng.random() < odd else x for x in found]
            case "code":
                found = [int(x) for x in rng.integers(0, 5, n)]
            case "bool":
                found = [bool(x) for x in rng.integers(0, 2, n)]
            case "time":
                found = self._times(n)
            case "tags":
                found = [self._labels([str(w) for w in rng.choice(WORDS, 3)]) for _ in range(n)]
            case "codes":
                found = [self._labels([int(x) for x in rng.integers(0, 5, 3)]) for _ in range(n)]
            case _:
                found = [str(w) for w in rng.choice(WORDS[: int(rng.integers(2, 17))], n)]
        return self._some(found, share)

    def _labels(self, values: list[Any]) -> list[Any]:
        kept = values[: int(self.rng.integers(0, 4))]
        return [None if self.rng.random() < 0.1 else v for v in kept]

    def _some(self, values: list[Any], share: float) -> list[Any]:
        """The values, a share of them NULL."""
        return [None if self.rng.random() < share else v for v in values]

    def _times(self, n: int) -> list[Any]:
        """Times on anchors and on the ends of windows, or a nanosecond or a second beside."""
        rng, clock = self.rng, self.clock
        unit, length, start = clock.unit, clock.length, clock.start
        edges = [0, start, start + length, length, -length, 1, -1, 2 * length, -2 * length]
        found: list[Any] = []
        for _ in range(n):
            if found and rng.random() < 0.1:
                found.append(found[int(rng.integers(len(found)))])
                continue
            if rng.random() < 0.6:
                base = clock.anchors[int(rng.integers(len(clock.anchors)))]
                offset = _pick(rng, [*edges, int(rng.integers(-3 * length, 3 * length + 1))])
                moment = base + pd.DateOffset(**{unit: offset})
            else:
                moment = clock.newest - pd.DateOffset(
                    **{unit: int(rng.integers(0, 8 * length + 1))}
                )
            if rng.random() < 0.25:
                moment += pd.Timedelta(_pick(rng, [-1, 1, 10**9, -(10**9)]), unit="ns")
            found.append(min(moment, clock.newest))
        return found

    def _births(self, n: int) -> list[Any]:
        """Times of which two of three lie before every anchor."""
        rng, clock = self.rng, self.clock
        early = clock.reach - 2 * clock.length + 1
        return [
            clock.newest - pd.DateOffset(**{clock.unit: early + int(rng.integers(0, 9))})
            if rng.random() < 0.65
            else moment
            for moment in self._times(n)
        ]


def _pick(rng: np.random.Generator, options: list[Any]) -> Any:
    return options[int(rng.integers(len(options)))]
