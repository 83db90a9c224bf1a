"""DuckDB with named tables, as a warehouse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from tests.tasks.warehouse.results import Row, as_rows


class Duck:
    """One connection; tables of a test live in the schema that ``load`` makes anew."""

    dialect = "duckdb"

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def load(self, tables: Mapping[str, pa.Table]) -> dict[str, Any]:
        """Make the tables, in place of those of the test before; returns their names."""
        self.connection.execute("DROP SCHEMA IF EXISTS test CASCADE")
        self.connection.execute("CREATE SCHEMA test")
        for name, rows in tables.items():
            place = exp.table_(exp.to_identifier(name, quoted=True), db="test").sql("duckdb")
            self.connection.register("incoming", rows)
            self.connection.execute(f"CREATE TABLE {place} AS SELECT * FROM incoming")
            self.connection.unregister("incoming")
        return {name: ("test", name) for name in tables}

    def run(self, statement: str) -> list[Row]:
        found = self.connection.sql(statement).to_arrow_table()
        return as_rows(
            found.column_names, zip(*(c.to_pylist() for c in found.columns), strict=True)
        )


@contextmanager
def running() -> Iterator[Duck]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        yield Duck(connection)
