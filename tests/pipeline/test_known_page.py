"""The page docs/known.md runs as it stands, and tells every error of what is said of columns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import relcast
from relcast.core.errors import SchemaError
from tests import shop

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "known.md").read_text()


def test_the_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shop.write(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELCAST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RELCAST_THREADS", "1")
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    exec(compile("\n".join(blocks), "known.md", "exec"), {})


def test_every_error_code_is_told():
    used = set(
        re.findall(r'code="(schema\.\w+)"', (ROOT / "src/relcast/core/delays.py").read_text())
    )
    text = (ROOT / "src/relcast/core/schema.py").read_text()
    used |= {
        c
        for c in re.findall(r'code="(schema\.\w+)"', text)
        if re.search(r"\.(bad_)?(known|late)_", c)
    }
    assert set(re.findall(r"^\| `(schema\.\w+)` \|", PAGE, re.MULTILINE)) == used


def test_a_column_of_no_table_is_refused(tmp_path: Path):
    shop.write(tmp_path / "data")
    db = relcast.connect(tmp_path / "data", home=tmp_path / "home")
    for said in ({"known_at": {"order.amount": "x"}}, {"mutable": ["amount"]}):
        with pytest.raises(SchemaError) as error:
            db.graph(**said, progress=False)
        assert "table.column" in error.value.hint
