"""A snapshot's Parquet file in SQL, with columns named by number."""

from __future__ import annotations

import re
from pathlib import Path

from sqlglot import expressions as exp

__all__ = ["numbered_cell", "parquet_rows"]


def parquet_rows(path: Path, columns: int) -> exp.Expr:
    """Return ``read_parquet(path)`` with the columns called ``c0``, ``c1`` and so on."""
    # In a list's brackets each character of DuckDB's globbing stands for itself.
    literal = re.sub(r"([*?\[])", r"[\1]", str(path))
    names = [exp.to_identifier(f"c{i}", quoted=True) for i in range(columns)]
    return exp.Table(
        this=exp.Anonymous(this="read_parquet", expressions=[exp.Literal.string(literal)]),
        alias=exp.TableAlias(this=exp.to_identifier("rows_of_file"), columns=names),
    )


def numbered_cell(index: int) -> exp.Column:
    return exp.column(f"c{index}", quoted=True)
