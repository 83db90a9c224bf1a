"""Names and texts that would break out of SQL, or fold, or be cut, against the engines themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from relcast.core.schema import Link
from relcast.pql import check
from relcast.tasks.warehouse import label_sql
from tests.tasks.warehouse.comparison import answered, arrow_tables, differences
from tests.tasks.worlds import World, WorldTable

NAMES = [
    "it's", 'say "x"', "back\\slash", "trailing\\", "tick`ed", "select", "MixedCase", "a.b", "semi;--",
    "Größe 名前 😀", "e\u0301", "new\nline", "tab\t", "%s %(x)s", "{}", ":p ?", "/* c */", "$1", " lead",
    "c0_n0", "entity", "anchor", "pair", "value", "timestamp", "row_order", "first", "NULL",
]  # fmt: skip
TABLES = [
    ("pairs", "bounds"), ("entities", "fact_0"), ("Table_0", "LABELLED"), ('we"ird', "it's; --"),
    ("back\\slash", "select"),
]  # fmt: skip
TEXTS = [
    "it's", "''", 'say "x"', "back\\slash", "trailing\\", "\\' OR 1=1 --", "'; DROP TABLE x; --",
    "new\nline", "tab\t", "return\r", "Größe 名前 😀", "é", "e\u0301", "%_%", "${spark.app.name}",
    "${a}${b}", "$$", "{{x}}", ":p ? $1 %s", "/* c */ --", "\x1a", "\x7f", "\x08", "\u2028", "@v", "E'x'",
    "\\n", "\\u0041", "\\x41", "x\\'", "Ab", " lead", "trail ",
]  # fmt: skip
TIME = pd.Timestamp("2024-02-01")
ANCHOR = pd.Timestamp("2024-01-31").value


def named(table: str, column: str) -> str:
    return ".".join("`" + part.replace("`", "``") + "`" for part in (table, column))


def two_tables(
    entity: str, fact: str, columns: dict[str, list[Any]], kind: str, rows: int = 1
) -> World:
    """An entity for each row of the fact table; the columns are all of one kind."""
    keys = list(range(rows))
    held = {"n": keys, "when": [TIME] * rows, **columns}
    frame = pd.DataFrame({c: pd.Series(v, dtype=None if c == "when" else object)
                          for c, v in held.items()})  # fmt: skip
    frame["when"] = frame["when"].astype("M8[ns]")
    kinds = {"n": "key", "when": "time", **dict.fromkeys(columns, kind)}
    return World(
        {
            entity: WorldTable({"n": "key"}, pd.DataFrame({"n": keys}), "n"),
            fact: WorldTable(kinds, frame, "n", "when"),
        },
        (Link(fact, "n", entity),),
    )


def labels(engine: Any, world: World, text: str, root: Path) -> dict[Any, Any]:
    query = check(text, world.graph())
    got = answered(engine, world, arrow_tables(world, root), query, [ANCHOR])
    return {row.entity: row.target for row in got}


def test_columns_of_any_name(engine: Any, tmp_path: Path) -> None:
    world = two_tables("users", "rows", {name: [n] for n, name in enumerate(NAMES)}, "int")
    tests = " AND ".join(f"{named('rows', name)} = {n}" for n, name in enumerate(NAMES))
    text = f"PREDICT SUM({named('rows', NAMES[-1])} WHERE {tests}, 0, 30) FOR EACH users.n"
    assert labels(engine, world, text, tmp_path) == {0: len(NAMES) - 1}


def test_columns_that_differ_in_case(postgres_engine: Any, tmp_path: Path) -> None:
    world = two_tables("users", "rows", {"Price": [1], "price": [2], "PRICE": [4]}, "int")
    text = "PREDICT SUM(rows.Price, 0, 30) + 10 * SUM(rows.PRICE, 0, 30) FOR EACH users.n"
    assert labels(postgres_engine, world, text, tmp_path) == {0: 41}


@pytest.mark.parametrize("names", TABLES, ids=range(len(TABLES)))
def test_tables_of_any_name(engine: Any, names: tuple[str, str], tmp_path: Path) -> None:
    entity, fact = names
    world = two_tables(entity, fact, {"x": [7]}, "int")
    text = f"PREDICT SUM({named(fact, 'x')}, 0, 30) FOR EACH {named(entity, 'n')}"
    assert labels(engine, world, text, tmp_path) == {0: 7}


def test_a_name_without_a_schema_is_not_taken_for_a_part_of_the_statement(
    duckdb_engine: Any, tmp_path: Path
) -> None:
    world = two_tables("pairs", "Entities", {"x": [7]}, "int")
    tables = duckdb_engine.load(arrow_tables(world, tmp_path))
    duckdb_engine.connection.execute("SET schema = 'test'")
    try:
        query = check("PREDICT SUM(Entities.x, 0, 30) FOR EACH pairs.n", world.graph())
        text = label_sql(query, world.graph(), [ANCHOR], dialect="duckdb")
        assert [row.target for row in duckdb_engine.run(text)] == [7]
    finally:
        duckdb_engine.connection.execute("SET schema = 'main'")
    assert tables


def test_texts_mean_themselves(engine: Any, tmp_path: Path) -> None:
    texts = TEXTS
    world = two_tables("users", "rows", {"text": texts}, "category", rows=len(texts))

    def counts(operator: str, off: int) -> dict[Any, Any]:
        asked = " OR ".join(
            f"(rows.n = {(n + off) % len(texts)} AND rows.text {operator} {json.dumps(text)})"
            for n, text in enumerate(texts)
        )
        text = f"PREDICT COUNT(rows.* WHERE {asked}, 0, 30) FOR EACH users.n"
        return labels(engine, world, text, tmp_path)

    everyone, nobody = (dict.fromkeys(range(len(texts)), n) for n in (1, 0))
    assert counts("=", 0) == everyone
    assert counts("=", 1) == nobody
    for operator in ("CONTAINS", "STARTS WITH", "ENDS WITH"):
        assert counts(operator, 0) == everyone, operator


def test_texts_are_in_the_order_of_their_code_points(engine: Any, tmp_path: Path) -> None:
    texts = ["a", "B", "b", "Z", "_", "é", "z", "ZZ", "\U0001f600", "\uffee"]
    world = two_tables("users", "rows", {"text": texts}, "category", rows=len(texts))
    for bound in ("Z", "b", "\uffee"):
        text = (
            f"PREDICT COUNT(rows.* WHERE rows.text < {json.dumps(bound)}, 0, 30) FOR EACH users.n"
        )
        want = {n: int(t.encode() < bound.encode()) for n, t in enumerate(texts)}
        assert labels(engine, world, text, tmp_path) == want


def test_classes_come_back_as_they_are(engine: Any, tmp_path: Path) -> None:
    texts = TEXTS
    world = two_tables("users", "rows", {"text": texts}, "category", rows=len(texts))
    want = {(n, ANCHOR): text for n, text in enumerate(texts)}
    for text in ("LAST(rows.text, 0, 30)", "LIST_DISTINCT(rows.text, 0, 30) CLASSIFY"):
        query = check(f"PREDICT {text} FOR EACH users.n", world.graph())
        got = answered(engine, world, arrow_tables(world, tmp_path), query, [ANCHOR])
        lists = "CLASSIFY" in text
        assert not differences(got, {k: [v] if lists else v for k, v in want.items()})


def test_words_are_folded_as_the_engine_folds_them(postgres_engine: Any, tmp_path: Path) -> None:
    world = two_tables("Users", "Rows", {"x": [7]}, "int")
    held = arrow_tables(world, tmp_path)
    postgres_engine.load({"users": held["Users"], "rows": held["Rows"]})
    query = check("PREDICT SUM(Rows.x, 0, 30) FOR EACH Users.n", world.graph())
    names = {"Users": "TEST.Users", "Rows": '"test".ROWS'}
    text = label_sql(query, world.graph(), [ANCHOR], dialect="postgres", tables=names)
    assert [row.target for row in postgres_engine.run(text)] == [7]
