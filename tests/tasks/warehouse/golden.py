"""The golden statements in tests/golden/sql, one per form and dialect.

python -m tests.tasks.warehouse.golden        writes them anew; read the difference before you commit it
"""

from __future__ import annotations

import sys
from pathlib import Path

from relcast.pql import check
from relcast.tasks.warehouse import DIALECTS, label_sql
from tests.tasks.warehouse.forms import ANCHOR, FORMS, world_of

ROOT = Path(__file__).resolve().parents[2] / "golden" / "sql"
TABLES = {"orders": ("shop", "orders"), "customers": "shop.Customers"}
FOREIGN = (
    "PREDICT COUNT(orders.* WHERE orders.kind = 'it\\'s \\\\ ${x}' OR orders.kind ENDS WITH '%' "
    'OR orders.kind CONTAINS "\\n" OR orders.time < 2023-12-24 10:00:00, 0, 30) '
    "FOR EACH customers.id"
)
QUERIES = {
    **{name: FORMS[name].text for name in (
        "sum", "avg", "median", "stddev", "count_distinct", "first", "months", "arithmetic",
        "between", "list_contains", "where_and_assuming", "inner_filter_over_a_key", "multi_hop",
        "forecast", "multilabel", "links", "static_column", "static_multilabel", "static_links",
    )},
    "texts_and_times": FOREIGN,
}  # fmt: skip


def statement(name: str, dialect: str) -> str:
    """The text of a golden statement."""
    world = world_of(name)
    graph = world.graph()
    query = check(QUERIES[name], graph)
    anchors = [ANCHOR.value, ANCHOR.value + 10**9] if query.temporal else None
    tables = {table: TABLES[table] for table in graph.tables if table in TABLES}
    return label_sql(query, graph, anchors, dialect=dialect, tables=tables) + "\n"


def place(name: str, dialect: str) -> Path:
    return ROOT / name / f"{dialect}.sql"


def main() -> None:
    for name in QUERIES:
        for dialect in DIALECTS:
            path = place(name, dialect)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(statement(name, dialect), encoding="utf-8")
    sys.stdout.write(f"{len(QUERIES) * len(DIALECTS)} statements in {ROOT}\n")


if __name__ == "__main__":
    main()
