"""Random queries over a drawn world, for every form of the language.

What is written here is meant to be accepted: the writer picks columns by their kind and tables by
the foreign keys that lead to the entity. Constants are values of the data as often as not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tests.tasks.worlds import World

__all__ = ["TASKS", "Clock", "draw_task", "write_query"]

NUMBERS = ("number", "raw", "single", "int")
CATEGORIES = ("category", "code")
UNITS = ("seconds", "minutes", "hours", "days", "weeks", "months")
SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800,
           "months": 2629746}  # fmt: skip
TASKS = {"regression": 11, "arithmetic": 10, "binary": 32, "multiclass": 7, "multilabel": 9,
         "ranking": 7, "link": 10, "forecast": 13, "static": 8, "static_multilabel": 4,
         "static_ranking": 4}  # fmt: skip
TIMELESS = {"static_link": 6, "static": 2, "static_multilabel": 1, "static_ranking": 1}
DIMENSIONS = ("users", "places", "products")


@dataclass(frozen=True)
class Clock:
    """The main window of a query, the moments that events lie on, and how far back they reach."""

    unit: str
    length: int
    start: int
    newest: pd.Timestamp
    anchors: tuple[pd.Timestamp, ...]
    reach: int


def draw_task(rng: np.random.Generator, *, timeless: bool) -> str:
    """Draw what a query is to predict; of a timeless world only what needs no time."""
    odds = TIMELESS if timeless else TASKS
    weights = np.array(list(odds.values()), dtype=float)
    return str(rng.choice(list(odds), p=weights / weights.sum()))


def write_query(
    rng: np.random.Generator, world: World, clock: Clock, names: dict[str, str], task: str
) -> tuple[str, int | None]:
    """Write a query, and the plan's forecast length where the query leaves it to the plan."""
    return _Writer(rng, world, clock, names).write(task)


class _Writer:
    def __init__(
        self, rng: np.random.Generator, world: World, clock: Clock, names: dict[str, str]
    ) -> None:
        self.rng, self.world, self.clock, self.names = rng, world, clock, names
        self.entity = ""
        self.facts: list[str] = []
        self.meaning: dict[str, Any] = {}

    def one(self, *options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    # -- names --------------------------------------------------------------------------------

    def ref(self, table: str, column: str) -> str:
        return f"{self._name(table)}.{'*' if column == '*' else self._name(column)}"

    def _name(self, name: str) -> str:
        new = self.names.get(name, name)
        if new == name and self.rng.random() > 0.05:
            return name
        return "`" + new.replace("`", "``") + "`"

    # -- what there is ------------------------------------------------------------------------

    def columns(self, table: str, *kinds: str) -> list[str]:
        """The columns of a table of these kinds, its keys and foreign keys not among them."""
        t = self.world.tables[table]
        keys = {x.foreign_key for x in self.world.links if x.table == table} | {t.key}
        return [c for c, k in t.columns.items() if k in kinds and c not in keys]

    def foreign(self, table: str) -> list[str]:
        return [x.foreign_key for x in self.world.links if x.table == table]

    def hops(self, table: str) -> list[str]:
        """The other tables to which exactly one foreign key of a table leads."""
        found = [x.to for x in self.world.links if x.table == table and x.to != table]
        return [t for t in found if found.count(t) == 1]

    def ways(self, table: str, entity: str) -> int:
        """How many chains of foreign keys lead to an entity; a direct one hides the longer."""
        direct = sum(x.table == table and x.to == entity for x in self.world.links)
        return direct or self._chains(table, entity, (table,))

    def _chains(self, table: str, entity: str, seen: tuple[str, ...]) -> int:
        if len(seen) > 4:
            return 0
        return sum(
            1 if x.to == entity else self._chains(x.to, entity, (*seen, x.to))
            for x in self.world.links
            if x.table == table and x.to not in seen
        )

    def choose_entity(self, *, temporal: bool) -> None:
        tables = self.world.tables
        keyed = [t for t in tables if tables[t].key is not None]
        facts = {
            entity: [t for t in tables if tables[t].time is not None and self.ways(t, entity) == 1
                     and (t not in DIMENSIONS or t == entity)]
            for entity in keyed
        }  # fmt: skip
        usable = [e for e in keyed if facts[e]] if temporal else keyed
        self.entity = "users" if self.chance(0.55) else self.one(*usable)
        if temporal and not facts[self.entity]:
            self.entity = "users"
        self.facts = facts[self.entity]

    def fact(self) -> str:
        """A table to aggregate, one that is further away more often than not."""
        far = [t for t in self.facts if t not in ("orders", "visits")]
        return str(self.one(*far) if far and self.chance(0.5) else self.one(*self.facts))

    # -- queries ------------------------------------------------------------------------------

    def write(self, task: str) -> tuple[str, int | None]:
        temporal = not task.startswith("static")
        self.choose_entity(temporal=temporal)
        length = None
        match task:
            case "regression":
                target = self.number()
            case "arithmetic":
                target = self.arithmetic(self.target_window)
            case "binary":
                target = self.binary()
            case "multiclass":
                target = self.picked("FIRST", "LAST", kinds=CATEGORIES)
            case "multilabel":
                key = self.chance(0.25)
                target = self.listed(key=key) + " CLASSIFY"
            case "ranking":
                target = self.listed(key=False) + f" RANK TOP {self.rng.integers(1, 20)}"
            case "link":
                target = self.listed(key=True) + f" RANK TOP {self.rng.integers(1, 20)}"
            case "forecast":
                target, length = self.forecast()
            case "static":
                target = self.static_target()
            case "static_link":
                target = self.static_link()
            case _:
                target = self.static_list(ranked=task == "static_ranking")
        text = f"PREDICT {target} {self.whom()}"
        leaf = self.past_leaf if temporal else (lambda: self.leaf_of(self.entity))
        if self.chance(0.55):
            text += f" WHERE {self.condition(leaf)}"
        if temporal and self.chance(0.25):
            text += f" ASSUMING {self.condition(self.comparison)}"
        return text, length

    def whom(self) -> str:
        key = self.ref(self.entity, "id")
        draw = self.rng.random()
        if draw < 0.9:
            return f"{'FOR' if draw < 0.1 else 'FOR EACH'} {key}"
        t = self.world.tables[self.entity]
        keys = [self.constant(v) for v in t.rows["id"].tolist()[:3]]
        if len(keys) < 2 or draw < 0.95:
            return f"FOR {key} = {keys[0]}"
        return f"FOR {key} IN ({', '.join(keys)})"

    def binary(self) -> str:
        if self.chance(0.08):
            for table in self.facts:
                for column in self.columns(table, "bool"):
                    return self.aggregation(self.one("FIRST", "LAST"), table, column)
        return self.condition(self.comparison)

    def forecast(self) -> tuple[str, int | None]:
        same = self.target_window(mixed=False)
        target = self.arithmetic(lambda: same) if self.chance(0.3) else self.number(window=same)
        h = int(self.one(1, 2, 2, 3, 3, 4))
        return (target, h) if self.chance(0.2) else (f"{target} FORECAST {h} TIMEFRAMES", None)

    def static_target(self) -> str:
        if self.chance(0.4):
            return self.condition(lambda: self.leaf_of(self.entity, null=False))
        table = self.one(self.entity, self.entity, *self.hops(self.entity))
        column = self.one(*self.columns(table, *NUMBERS, *CATEGORIES, "bool"))
        return self.ref(table, column)

    def static_list(self, *, ranked: bool) -> str:
        tables = [t for t in DIMENSIONS if self.columns(t, "tags", "codes")]
        if not tables:
            return self.static_target()
        self.entity = self.one(*tables)
        column = self.ref(self.entity, self.one(*self.columns(self.entity, "tags", "codes")))
        return f"{column} RANK TOP {self.rng.integers(1, 9)}" if ranked else f"{column} CLASSIFY"

    def static_link(self) -> str:
        """A list of a foreign key without a window: the tables that point to the entity."""
        tables = self.world.tables
        ways = []
        for self.entity in (t for t in tables if tables[t].key is not None):
            ways += [(self.entity, t, c) for t in tables for c in self.others(t)
                     if t != self.entity and self.ways(t, self.entity) == 1]  # fmt: skip
        self.entity, table, name = self.one(*ways)
        column = self.ref(table, name)
        inner = f" WHERE {self.condition(lambda: self.leaf_of(table))}" if self.chance(0.4) else ""
        return f"LIST_DISTINCT({column}{inner}) RANK TOP {self.rng.integers(1, 9)}"

    # -- windows ------------------------------------------------------------------------------

    def target_window(self, *, mixed: bool = True) -> str:
        clock = self.clock
        start, length, unit = clock.start, clock.length, clock.unit
        if mixed and self.chance(0.2):
            unit = self.one(*UNITS)
            length = max(1, round(length * SECONDS[clock.unit] / SECONDS[unit]))
            if length > 20_000:
                unit, length = clock.unit, clock.length
            start = 0
        elif mixed and self.chance(0.2):
            length, start = int(self.rng.integers(1, 2 * length + 1)), 0
        return self._window(start, start + length, unit)

    def past_window(self) -> str:
        end = -int(self.rng.integers(0, 3))
        back = int(self.rng.integers(1, 2 * self.clock.length + 1))
        start: Any = self.one("-INF", "-INFINITY") if self.chance(0.25) else end - back
        unit = self.clock.unit
        if start not in ("-INF", "-INFINITY") and self.chance(0.15):
            other = self.one(*UNITS)
            back = max(1, round(back * SECONDS[unit] / SECONDS[other]))
            if back < 20_000:
                unit, start = other, end - back
        return self._window(start, end, unit)

    def _window(self, start: Any, end: int, unit: str) -> str:
        plain = unit == "days" and self.chance(0.5)
        return f"{start}, {end}" if plain else f"{start}, {end}, {unit}"

    # -- operands -----------------------------------------------------------------------------

    def aggregation(
        self, kind: str, table: str, column: str, window: str | None = None, inner: float = 0.35
    ) -> str:
        where = ""
        if self.chance(inner):
            where = f" WHERE {self.condition(lambda: self.leaf_of(table))}"
        window = window or self.target_window()
        return f"{kind}({self.ref(table, column)}{where}, {window})"

    def numeric(self, kind: str, table: str) -> str:
        """A column that an aggregation to a number takes."""
        if kind == "COUNT":
            return str(self.one("*", "*", *self.world.tables[table].columns))
        if kind == "COUNT_DISTINCT":
            every = self.columns(table, *NUMBERS, *CATEGORIES, "bool", "text", "time")
            return str(self.one(*every, *self.foreign(table)))
        if kind in ("SUM", "AVG", "MEDIAN", "STDDEV") and self.chance(0.15):
            return str(self.one(*self.columns(table, "bool", "number")))
        return str(self.one(*self.columns(table, *NUMBERS)))

    def number(self, window: str | None = None) -> str:
        kind = self.one("SUM", "AVG", "MIN", "MAX", "COUNT", "COUNT", "COUNT_DISTINCT", "LAST",
                        "FIRST", "MEDIAN", "STDDEV")  # fmt: skip
        table = self.fact()
        return self.aggregation(kind, table, self.numeric(kind, table), window)

    def picked(self, *aggregations: str, kinds: tuple[str, ...]) -> str:
        """An aggregation that picks one value, of a column of these kinds."""
        table = self.fact()
        column = self.one(*(self.columns(table, *kinds) or ["kind"]))
        return self.aggregation(self.one(*aggregations), table, column)

    def listed(self, *, key: bool, window: str | None = None) -> str:
        """A list: of a foreign key, or of categories, codes or truth values."""
        table = self.fact()
        columns = self.columns(table, *CATEGORIES, "bool")
        ways = [(t, c) for t in self.facts for c in self.others(t)]
        if key and ways:
            far = [(t, c) for t, c in ways if t == table]
            table, column = self.one(*(far or ways))
            columns = [column]
        return self.aggregation("LIST_DISTINCT", table, self.one(*columns), window)

    def others(self, table: str) -> list[str]:
        """The foreign keys of a table but the one that leads to the entity itself."""
        return [x.foreign_key for x in self.world.links if x.table == table and x.to != self.entity]

    def arithmetic(self, window: Callable[[], str], depth: int = 0) -> str:
        """Sums, differences, products and quotients of aggregations and numbers."""
        sign = self.one("+", "-", "*", "/")
        left = self.term(window, depth)
        constant = self.one("1", "2", "0.5", "-1", "100", "1.25")
        if sign == "/":
            # What divides is exact, so that no rounding decides whether it is 0.
            right = constant if self.chance(0.2) else self.operand(window, steady=True)
        else:
            right = constant if self.chance(0.3) else self.term(window, depth)
        if sign != "/" and self.chance(0.15):
            left, right = constant, self.term(window, depth)
        return f"{left} {sign} {right}"

    def term(self, window: Callable[[], str], depth: int) -> str:
        if depth < 2 and self.chance(0.3):
            return f"({self.arithmetic(window, depth + 1)})"
        return self.operand(window, steady=False)

    def operand(self, window: Callable[[], str], *, steady: bool) -> str:
        """An aggregation to a number; a steady one is exact in every way to compute it."""
        kind = self.one("SUM", "SUM", "COUNT", "COUNT", "MIN", "MAX", "COUNT_DISTINCT", "FIRST", "LAST",
                        *(() if steady else ("AVG", "MEDIAN", "STDDEV")))  # fmt: skip
        table = self.fact()
        column = self.numeric(kind, table)
        if kind in ("AVG", "MEDIAN", "STDDEV"):
            column = "amount"
        return self.aggregation(kind, table, column, window(), inner=0.2)

    # -- conditions ---------------------------------------------------------------------------

    def condition(self, leaf: Callable[[], str], depth: int = 0) -> str:
        draw = self.rng.random()
        if depth > 1 or draw < 0.45:
            return leaf()
        if draw < 0.6:
            return f"NOT ({self.condition(leaf, depth + 1)})"
        word = self.one("AND", "OR")
        return f"({self.condition(leaf, depth + 1)}) {word} ({self.condition(leaf, depth + 1)})"

    def past_leaf(self) -> str:
        if self.chance(0.3):
            return self.leaf_of(self.entity)
        return self.comparison(self.past_window)

    def comparison(self, window: Callable[[], str] | None = None) -> str:
        window = window or self.target_window
        draw = self.rng.random()
        if draw < 0.28:
            return self.holds(window)
        if draw < 0.42:
            value = self.arithmetic(window)
            if self.chance(0.2):
                return f"{value} {self.one('IS NULL', 'IS NOT NULL')}"
            return f"{value} {self.number_test(['0.37', '-1.13', '2.29'], exact=False)}"
        table = self.fact()
        if draw < 0.55:
            kind = self.one("FIRST", "LAST")
            column = self.one(*self.columns(table, *CATEGORIES, "bool", "text", "time"))
            if self.world.tables[table].columns[column] == "time":
                kind = self.one("FIRST", "LAST", "MIN", "MAX")
            value = self.aggregation(kind, table, column, window())
            if self.chance(0.15):
                return f"{value} {self.one('IS NULL', 'IS NOT NULL')}"
            return f"{value} {self.test_of(table, column)}"
        kind = self.one("SUM", "AVG", "MIN", "MAX", "COUNT", "COUNT", "COUNT_DISTINCT", "FIRST",
                        "LAST", "MEDIAN", "STDDEV")  # fmt: skip
        column = self.numeric(kind, table)
        value = self.aggregation(kind, table, column, window())
        if self.chance(0.15) and kind not in ("COUNT", "COUNT_DISTINCT", "SUM"):
            return f"{value} {self.one('IS NULL', 'IS NOT NULL')}"
        if kind in ("COUNT", "COUNT_DISTINCT"):
            if self.chance(0.25):
                return f"{value} {self.one('=', '!=', '>')} 0"
            return f"{value} {self.number_test([str(x) for x in self.rng.integers(1, 5, 3)])}"
        if kind == "STDDEV":
            return f"{value} {self.number_test(['0.37', '1.13', '2.29'], exact=False)}"
        if kind in ("MIN", "MAX", "FIRST", "LAST"):
            return f"{value} {self.test_of(table, column)}"
        return f"{value} {self.number_test(self.few_numbers())}"

    def holds(self, window: Callable[[], str]) -> str:
        """Whether a list holds a value, or is there at all."""
        table = self.fact()
        names = [*self.columns(table, *CATEGORIES, "bool", "int", "number", "text"),
                 ]  # fmt: skip
        column = self.one(*(self.foreign(table) if self.chance(0.5) else names))
        value = self.aggregation("LIST_DISTINCT", table, column, window(), inner=0.2)
        if self.chance(0.3):
            return f"{value} {self.one('IS NULL', 'IS NOT NULL')}"
        operator = self.one("CONTAINS", "NOT CONTAINS")
        return f"{value} {operator} {self.value_of(table, column)}"

    def leaf_of(self, table: str, *, null: bool = True) -> str:
        """A comparison of a column of a table, or of one that it points to."""
        hops = self.hops(table)
        at = self.one(*hops) if hops and self.chance(0.35) else table
        every = self.columns(at, *NUMBERS, *CATEGORIES, "bool", "text", "time")
        if null and self.chance(0.12):
            column = self.one(*every, *self.columns(at, "tags", "codes"), *self.foreign(at))
            return f"{self.ref(at, column)} {self.one('IS NULL', 'IS NOT NULL')}"
        if at == table and self.foreign(at) and self.chance(0.1):
            column = self.one(*self.foreign(at))
            return f"{self.ref(at, column)} {self.one('=', '!=')} {self.value_of(at, column)}"
        column = self.one(*every)
        return f"{self.ref(at, column)} {self.test_of(at, column)}"

    # -- tests and constants ------------------------------------------------------------------

    def test_of(self, table: str, column: str) -> str:
        """An operator and constants that fit a column's values."""
        kind = self.world.tables[table].columns[column]
        values = [self.value_of(table, column) for _ in range(3)]
        if kind == "bool":
            if self.chance(0.15):
                return f"{self.one('IN', 'NOT IN')} (TRUE, FALSE)"
            return f"{self.one('=', '!=')} {self.one('TRUE', 'FALSE')}"
        if kind in ("category", "text"):
            return self.text_test(values)
        if kind == "time":
            return self.ordered_test(values)
        return self.number_test(values)

    def number_test(self, values: list[str], *, exact: bool = True) -> str:
        if exact and self.chance(0.15):
            return f"{self.one('IN', 'NOT IN')} ({', '.join(values)})"
        if self.chance(0.2):
            return self.between(values)
        signs = (
            ("=", "!=", "!=", "<", "<=", "<=", ">", ">=", ">=") if exact else ("<", "<=", ">", ">=")
        )
        return f"{self.one(*signs)} {values[0]}"

    def ordered_test(self, values: list[str]) -> str:
        if self.chance(0.25):
            return self.between(values)
        if self.chance(0.15):
            return f"{self.one('IN', 'NOT IN')} ({', '.join(values)})"
        return f"{self.one('=', '!=', '<', '<=', '>', '>=')} {values[0]}"

    def between(self, values: list[str]) -> str:
        low, high = sorted(
            values[:2], key=lambda v: self.meaning[v] if v in self.meaning else float(v)
        )
        return f"{self.one('BETWEEN', 'NOT BETWEEN')} {low} AND {high}"

    def text_test(self, values: list[str]) -> str:
        draw = self.rng.random()
        if draw < 0.4:
            return self.ordered_test(values)
        bit = str(self.one("a", "b", "A", "'", "%", "ü", "", "e", "_", "\\", "😀"))
        if draw < 0.75:
            operator = self.one("CONTAINS", "STARTS WITH", "STARTS WITH", "ENDS WITH", "ENDS WITH")
            return f"{self.one('', 'NOT ')}{operator} {self.quoted(bit)}"
        if not bit or "%" in bit:
            bit = "b"
        pattern = self.one(f"%{bit}%", f"{bit}%", f"%{bit}")
        return f"{self.one('', 'NOT ')}LIKE {self.quoted(pattern)}"

    def few_numbers(self) -> list[str]:
        return [str(int(v) / 4) for v in self.rng.integers(-8, 9, 3)]

    def value_of(self, table: str, column: str) -> str:
        """A constant that is, mostly, one of a column's values."""
        t = self.world.tables[table]
        kind = t.columns[column]
        values = [v for v in t.rows[column].tolist() if v is not None and v is not pd.NaT]
        if kind in NUMBERS:
            values = [v for v in values if v == 0 or 1e-9 < abs(v) < 1e18]
        if values and self.chance(0.75):
            return self.constant(self.one(*values))
        match kind:
            case "number" | "raw" | "single":
                return str(self.one(*self.few_numbers()))
            case "int" | "code" | "key" | "float_key":
                draw = int(self.rng.integers(-3, 30))
                return str(draw) if kind != "int" or self.chance(0.7) else f"{draw / 4}"
            case "bool":
                return str(self.one("TRUE", "FALSE"))
            case "time":
                return self.constant(self.clock.newest)
        return self.quoted(str(self.one("a", "b", "zz", "u1", "7")))

    def constant(self, value: Any) -> str:
        if isinstance(value, bool | np.bool_):
            return "TRUE" if value else "FALSE"
        if isinstance(value, str):
            return self.quoted(value)
        if isinstance(value, pd.Timestamp):
            moment = value.floor("us")
            if moment == moment.normalize() and self.chance(0.5):
                self.meaning[moment.strftime("%Y-%m-%d")] = moment
                return moment.strftime("%Y-%m-%d")
            text = moment.strftime("%Y-%m-%d %H:%M:%S.%f")
            if self.chance(0.3):
                text = f"'{moment.isoformat()}'"
            self.meaning[text] = moment
            return text
        if isinstance(value, float):
            return np.format_float_positional(value, trim="0")
        return str(int(value))

    def quoted(self, text: str) -> str:
        """A text literal, in either kind of quotes, with the escapes of JSON."""
        body = json.dumps(text, ensure_ascii=self.chance(0.3))
        if self.chance(0.5):
            body = "'" + body[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
        self.meaning[body] = text
        return body
