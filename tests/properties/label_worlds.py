"""Random worlds and queries for the label oracle: made to hit the edges.

Times stand on whole multiples of the query's unit back from the newest one, so that events lie
exactly on anchors and on both ends of windows, or a nanosecond beside them; the newest time is often
a month's end or a leap day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from relcast.core.schema import Link
from tests.tasks.worlds import World, WorldTable

LATEST = [
    "2024-02-29", "2023-03-31", "2024-03-31 12:30:00", "2020-12-31 23:59:59", "2023-07-15 06:00:00",
    "2021-03-01", "2024-08-31 00:00:00.000000001", "1970-01-31", "2000-02-29 23:59:59.999999999",
]  # fmt: skip
LENGTHS = {"seconds": (1, 40), "minutes": (1, 40), "hours": (1, 30), "days": (1, 20),
           "weeks": (1, 6), "months": (1, 4)}  # fmt: skip
WORDS = ["a", "b", "ab", "ba", "Abc", "it's", "50%", "ü", ""]


@dataclass
class Case:
    world: World
    text: str
    anchors: list[pd.Timestamp]


def draw_case(rng: np.random.Generator) -> Case:
    """Draw a world, a query that fits it (as text), and anchors that its events lie on."""
    unit = str(rng.choice(list(LENGTHS)))
    length = int(rng.integers(*LENGTHS[unit]))
    start = int(rng.integers(0, length)) if rng.random() < 0.3 else 0
    newest = pd.Timestamp(str(rng.choice(LATEST)))
    anchors = [newest - pd.DateOffset(**{unit: int(k)}) for k in
               sorted(rng.choice(6 * length, size=min(8, 6 * length), replace=False))]  # fmt: skip
    world = _world(rng, unit, length, newest, anchors)
    maker = _Queries(rng, world, unit, length, start)
    return Case(world, maker.query(), sorted(set(anchors)))


def shifted(case: Case, by: pd.Timedelta) -> Case:
    """Move every time of a world, and the anchors, by a constant."""
    tables = {}
    for name, t in case.world.tables.items():
        rows = t.rows.copy()
        for column, kind in t.columns.items():
            if kind == "time":
                rows[column] = rows[column] + by
        tables[name] = WorldTable(t.columns, rows, t.key, t.time, t.end)
    return Case(World(tables, case.world.links), case.text, [a + by for a in case.anchors])


def permuted(case: Case, rng: np.random.Generator) -> Case:
    """Shuffle tables, columns, links and rows (those of tables with a key: ties need one)."""
    tables = {}
    for name in rng.permutation(list(case.world.tables)):
        t = case.world.tables[str(name)]
        columns = {str(c): t.columns[str(c)] for c in rng.permutation(list(t.columns))}
        rows = t.rows
        if t.key is not None:
            rows = rows.iloc[rng.permutation(len(rows))].reset_index(drop=True)
        tables[str(name)] = WorldTable(columns, rows[list(columns)], t.key, t.time, t.end)
    links = tuple(case.world.links[i] for i in rng.permutation(len(case.world.links)))
    return Case(World(tables, links), case.text, case.anchors)


def _world(rng, unit, length, newest, anchors) -> World:
    tables: dict[str, WorldTable] = {}
    links: list[Link] = []
    people = int(rng.integers(3, 9))
    text_keys = bool(rng.random() < 0.3)
    keys = [f"u{i}" if text_keys else i * 7 for i in range(people)]
    key_kind = "text_key" if text_keys else "key"

    def times(n: int) -> list[pd.Timestamp]:
        found = []
        for _ in range(n):
            if rng.random() < 0.6:
                base = anchors[int(rng.integers(len(anchors)))]
                offset = int(rng.choice([0, length, -length, 1, -1, 2 * length, -2 * length,
                                         int(rng.integers(-3 * length, 3 * length + 1))]))  # fmt: skip
                moment = base + pd.DateOffset(**{unit: offset})
            else:
                moment = newest - pd.DateOffset(**{unit: int(rng.integers(0, 8 * length + 1))})
            if rng.random() < 0.25:
                moment += pd.Timedelta(int(rng.choice([-1, 1, 10**9, -(10**9)])), unit="ns")
            found.append(min(moment, newest))
        return found

    def nullable(values: list, share: float = 0.2) -> list:
        return [None if rng.random() < share else v for v in values]

    regions = [10, 20, 30]
    life = bool(rng.random() < 0.6)
    tables["regions"] = WorldTable(
        {"region_id": "key", "zone": "category", "size": "number",
         **({"opened": "time", "closed": "time"} if life else {})},
        pd.DataFrame({
            "region_id": regions,
            "zone": pd.Series(nullable([str(w) for w in rng.choice(WORDS, 3)]), dtype=object),
            "size": nullable([float(x) / 4 for x in rng.integers(-8, 9, 3)]),
            **({"opened": times(3), "closed": pd.Series(nullable(times(3)), dtype="M8[ns]")}
               if life else {}),
        }),
        "region_id", "opened" if life else None,
        "closed" if life and rng.random() < 0.5 else None,
    )  # fmt: skip

    columns = {"id": key_kind, "region": "key", "country": "category", "score": "number",
               "level": "int", "active": "bool", "tier": "category"}  # fmt: skip
    frame = {
        "id": keys,
        "region": nullable([int(x) for x in rng.choice([10, 20, 30, 99], people)]),
        "country": nullable([str(w) for w in rng.choice(WORDS, people)]),
        "score": nullable([float(x) / 4 for x in rng.integers(-8, 9, people)]),
        "level": nullable([int(x) for x in rng.integers(-3, 4, people)]),
        "active": nullable([bool(x) for x in rng.integers(0, 2, people)]),
        "tier": nullable([str(w) for w in rng.choice(["x", "y", "z"], people)]),
    }
    joined = bool(rng.random() < 0.4)
    left = joined and bool(rng.random() < 0.6)
    if joined:
        columns["joined"] = "time"
        frame["joined"] = times(people)
    if left:
        columns["left_at"] = "time"
        frame["left_at"] = pd.Series(nullable(times(people), 0.5), dtype="M8[ns]")
    order = {name: pd.Series(v, dtype=object) for name, v in frame.items()}
    tables["users"] = WorldTable(columns, pd.DataFrame(order), "id", "joined" if joined else None,
                                 "left_at" if left else None)  # fmt: skip
    links.append(Link("users", "region", "regions"))

    for name in ("orders", "visits")[: int(rng.integers(1, 3))]:
        n = int(rng.integers(1, 50))
        kind = str(rng.choice(["key", "text_key", "none"]))
        ended = bool(rng.random() < 0.3)
        fact = {"user": key_kind, "shop": "key", "time": "time", "amount": "number", "items": "int",
                "kind": "category", "paid": "bool"}  # fmt: skip
        dangling = [*keys, "u99" if text_keys else 5]
        data = {
            "user": nullable([dangling[int(i)] for i in rng.integers(0, len(dangling), n)], 0.1),
            "shop": nullable([int(x) for x in rng.choice([10, 20, 30, 99], n)], 0.1),
            "time": times(n),
            "amount": nullable([float(x) / 4 for x in rng.integers(-20, 21, n)]),
            "items": nullable([int(x) for x in rng.integers(-2, 6, n)]),
            "kind": nullable([str(w) for w in rng.choice(WORDS, n)]),
            "paid": nullable([bool(x) for x in rng.integers(0, 2, n)]),
        }
        if ended:
            fact["ended"] = "time"
            data["ended"] = pd.Series(nullable(times(n), 0.5), dtype="M8[ns]")
        if kind != "none":
            fact["row_id"] = kind
            ids = rng.permutation(n)
            data["row_id"] = [int(i) for i in ids] if kind == "key" else [f"r{i}" for i in ids]
        rows = pd.DataFrame({c: pd.Series(v, dtype=object) for c, v in data.items()})
        tables[name] = WorldTable(fact, rows, None if kind == "none" else "row_id", "time",
                                  "ended" if ended else None)  # fmt: skip
        links += [Link(name, "user", "users"), Link(name, "shop", "regions")]
    for t in tables.values():
        for column, kind in t.columns.items():
            if kind == "time":
                t.rows[column] = pd.to_datetime(t.rows[column]).astype("datetime64[ns]")
    return World(tables, tuple(links))


class _Queries:
    """Draws the text of a query over a drawn world."""

    def __init__(self, rng, world: World, unit: str, length: int, start: int) -> None:
        self.rng, self.world, self.unit, self.length, self.start = rng, world, unit, length, start
        self.facts = [n for n in ("orders", "visits") if n in world.tables]

    def one(self, *options):
        return options[int(self.rng.integers(len(options)))]

    def query(self) -> str:
        if self.rng.random() < 0.15:
            return self.static()
        draw = self.rng.random()
        if draw < 0.35:
            target = self.number()
        elif draw < 0.8:
            target = self.condition(self.comparison)
        else:
            target = self.aggregation(self.one("FIRST", "LAST"), "kind")
        text = f"PREDICT {target} FOR EACH users.id"
        if self.rng.random() < 0.5:
            text += f" WHERE {self.condition(self.filter_leaf)}"
        if self.rng.random() < 0.2:
            text += f" ASSUMING {self.condition(self.comparison)}"
        return text

    def static(self) -> str:
        target = self.one(
            "users.score", "users.level", "users.tier", "users.active", "regions.size",
            "regions.zone", "users.country", None,
        )  # fmt: skip
        if target is None:
            target = self.condition(self.static_leaf)
        text = f"PREDICT {target} FOR EACH users.id"
        if self.rng.random() < 0.5:
            text += f" WHERE {self.condition(self.static_leaf)}"
        return text

    def condition(self, leaf, depth: int = 0) -> str:
        draw = self.rng.random()
        if depth > 2 or draw < 0.5:
            return leaf()
        if draw < 0.65:
            return f"NOT ({self.condition(leaf, depth + 1)})"
        word = self.one("AND", "OR")
        return f"({self.condition(leaf, depth + 1)}) {word} ({self.condition(leaf, depth + 1)})"

    def number(self) -> str:
        kind = self.one("SUM", "AVG", "MIN", "MAX", "COUNT", "COUNT", "COUNT_DISTINCT", "LAST",
                        "FIRST")  # fmt: skip
        return self.aggregation(kind, self.column_for(kind))

    def column_for(self, kind: str) -> str:
        if kind == "COUNT":
            return self.one("*", "amount", "kind")
        if kind == "COUNT_DISTINCT":
            return self.one("amount", "kind", "items", "paid")
        return self.one("amount", "items")

    def comparison(self, window: str | None = None) -> str:
        kind = self.one("SUM", "AVG", "MIN", "MAX", "COUNT", "COUNT", "COUNT_DISTINCT", "FIRST",
                        "LAST")  # fmt: skip
        text = self.rng.random() < 0.4 and kind in ("FIRST", "LAST")
        column = "kind" if text else self.column_for(kind)
        value = self.aggregation(kind, column, window)
        if self.rng.random() < 0.15:
            return f"{value} {self.one('IS NULL', 'IS NOT NULL')}"
        return f"{value} {self.text_test() if text else self.number_test(kind, column)}"

    def filter_leaf(self) -> str:
        if self.rng.random() < 0.5:
            return self.static_leaf()
        end = -int(self.rng.integers(0, 3))
        back = int(self.rng.integers(1, 3 * self.length + 1))
        start = "-INF" if self.rng.random() < 0.25 else end - back
        return self.comparison(f"{start}, {end}, {self.unit}")

    def static_leaf(self) -> str:
        draw = self.one("text", "number", "int", "bool", "null", "hop", "hop_number")
        if draw == "text":
            return f"users.country {self.text_test()}"
        if draw == "number":
            return f"users.score {self.number_test('AVG', 'amount')}"
        if draw == "int":
            return f"users.level {self.number_test('MAX', 'items')}"
        if draw == "bool":
            return f"users.active = {self.one('TRUE', 'FALSE')}"
        if draw == "null":
            column = self.one("users.country", "users.score", "regions.zone", "regions.size")
            return f"{column} {self.one('IS NULL', 'IS NOT NULL')}"
        if draw == "hop":
            return f"regions.zone {self.text_test()}"
        return f"regions.size {self.number_test('AVG', 'amount')}"

    def aggregation(self, kind: str, column: str, window: str | None = None) -> str:
        table = self.one(*self.facts)
        inner = ""
        if self.rng.random() < 0.4:
            inner = f" WHERE {self.condition(lambda: self.row_leaf(table))}"
        window = window or f"{self.start}, {self.start + self.length}, {self.unit}"
        return f"{kind}({table}.{column}{inner}, {window})"

    def row_leaf(self, table: str) -> str:
        draw = self.one("text", "number", "int", "bool", "null", "hop", "hop", "hop_number", "time")
        if draw == "text":
            return f"{table}.kind {self.text_test()}"
        if draw == "number":
            return f"{table}.amount {self.number_test('AVG', 'amount')}"
        if draw == "int":
            return f"{table}.items {self.number_test('MAX', 'items')}"
        if draw == "bool":
            return f"{table}.paid {self.one('=', '!=')} {self.one('TRUE', 'FALSE')}"
        if draw == "null":
            column = self.one(f"{table}.kind", f"{table}.amount", "regions.zone")
            return f"{column} {self.one('IS NULL', 'IS NOT NULL')}"
        if draw == "hop":
            return f"regions.zone {self.text_test()}"
        if draw == "time":
            moment = self.one(*LATEST[:6])
            return f"{table}.time {self.one('<', '<=', '>', '>=', '=', '!=')} {moment}"
        return f"regions.size {self.number_test('AVG', 'amount')}"

    def number_test(self, kind: str, column: str) -> str:
        whole = kind in ("COUNT", "COUNT_DISTINCT") or column == "items"
        values = [str(int(v)) for v in self.rng.integers(-3, 6, 3)]
        if self.rng.random() < 0.4 or not whole:
            values = [f"{int(v) / 4}" for v in self.rng.integers(-8, 9, 3)]
        if self.rng.random() < 0.2:
            return f"{self.one('IN', 'NOT IN')} ({', '.join(values)})"
        return f"{self.one('=', '!=', '<', '<=', '>', '>=')} {values[0]}"

    def text_test(self) -> str:
        def quoted(word: str) -> str:
            return '"' + word + '"'

        words = [quoted(str(w)) for w in self.rng.choice(WORDS, 3)]
        draw = self.rng.random()
        if draw < 0.3:
            return f"{self.one('=', '!=')} {words[0]}"
        if draw < 0.55:
            return f"{self.one('IN', 'NOT IN')} ({', '.join(words)})"
        bit = quoted(str(self.one("a", "b", "A", "'", "%", "ü")))
        operator = self.one("CONTAINS", "NOT CONTAINS", "STARTS WITH", "ENDS WITH")
        return f"{operator} {bit}"
