"""docs/warehouses.md runs as it stands, and tells every refusal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from relcast.tasks.warehouse import DIALECTS
from tests import shop
from tests.tasks.warehouse.comparison import differences, expected
from tests.tasks.warehouse.results import as_rows
from tests.tasks.warehouse.test_times import ns

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "warehouses.md").read_text(encoding="utf-8")


def test_the_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELCAST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RELCAST_THREADS", "1")
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    namespace: dict[str, Any] = {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"block {number}", "exec"), namespace)
    query = namespace["query"]
    found = namespace["warehouse"].sql(namespace["statement"])
    rows = zip(*(c.to_pylist() for c in found.to_arrow_table().columns), strict=True)
    want = expected(query.data.snapshot, query.checked, [ns("2023-06-30"), ns("2023-09-30")])
    assert not differences(as_rows(found.columns, rows), want)
    assert {True, False} == set(want.values())


def test_every_refusal_is_told() -> None:
    used: set[str] = set()
    for path in (ROOT / "src" / "relcast" / "tasks" / "warehouse").glob("*.py"):
        used |= set(re.findall(r'code="(task\.[a-z_]+)"', path.read_text(encoding="utf-8")))
    told = set(re.findall(r"`(task\.\w+)`", PAGE))
    assert used == told


def test_every_dialect_is_told() -> None:
    assert all(dialect.title in PAGE for dialect in DIALECTS.values())
