"""Memory: a table that cannot fit is refused before it is computed, or while it grows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relcast.core.errors import InvalidRequest
from relcast.pql import CheckedQuery, check
from relcast.relations import Relations
from relcast.snapshots import Snapshot
from relcast.tasks import TablePlan, make_training_table
from relcast.tasks.capacity import Memory, bounded, example_bytes
from relcast.tasks.labels import Labeller
from relcast.tasks.report import UnusableTable
from relcast.tasks.scan import open_session
from tests.tasks.worlds import shop

FOR_EACH = "FOR EACH customers.id"


def opened(root: Path, text: str) -> tuple[Snapshot, Relations, CheckedQuery]:
    """2,000 customers and two years of 5,000 orders."""
    rng = np.random.default_rng(0)
    start = pd.Timestamp("2021-01-01")
    world = shop(
        {
            "customer": rng.integers(0, 2000, 5000),
            "time": start + pd.to_timedelta(np.sort(rng.integers(0, 730, 5000)), unit="D"),
            "amount": rng.normal(size=5000),
        },
        {"id": range(2000), "country": ["US", "CA"] * 1000},
    )
    snapshot, relations = world.open(root)
    return snapshot, relations, check(text, snapshot.graph)


def test_limits_are_read_as_people_write_them() -> None:
    assert Memory.of("2GB").examples == 10**9
    assert Memory.of("512 MiB") == Memory.of("0.5gib")
    assert Memory.of("512 MiB").engine == "256MiB"
    assert Memory.of(None).examples > 0
    assert Memory.of("10MB").batch < Memory.of("10GB").batch
    for limit in ("much", "-1GB", "0MB", "3 apples"):
        with pytest.raises(InvalidRequest) as caught:
            Memory.of(limit)
        assert caught.value.code == "request.bad_memory_limit"


def test_a_table_that_cannot_fit_is_refused_before_it_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = opened(tmp_path, f"PREDICT COUNT(orders.*, 0, 90) {FOR_EACH}")
    anchors = 0
    grid = Labeller.grid

    def counted(self: Labeller, moments: np.ndarray) -> object:
        nonlocal anchors
        anchors += len(moments)
        return grid(self, moments)

    monkeypatch.setattr(Labeller, "grid", counted)
    with pytest.raises(UnusableTable) as caught:
        make_training_table(*where, TablePlan(timeframe_step=1), memory_limit="100MB")
    error = caught.value
    assert error.code == "task.table_too_large"
    assert "about 1,278,000 rows" in error.message  # 639 anchors of 2,000 customers
    assert "start_time" in error.hint
    assert anchors == 5  # no more than were tried
    assert "Set timeframe_step=4 (1 days now: 639 anchors)" in error.hint
    table = make_training_table(*where, TablePlan(timeframe_step=4), memory_limit="100MB")
    assert table.report.considered == 159 * 2000


def test_filters_that_leave_few_rows_let_a_table_through(tmp_path: Path) -> None:
    text = f"PREDICT COUNT(orders.*, 0, 90) {FOR_EACH} WHERE COUNT(orders.*, -2, 0) > 0"
    where = opened(tmp_path, text)
    table = make_training_table(*where, TablePlan(timeframe_step=1), memory_limit="60MB")
    assert table.report.considered > 1_200_000
    assert 1000 < table.report.rows < 30_000


def test_a_table_that_grows_too_large_is_stopped(tmp_path: Path) -> None:
    """What the tried anchors did not show is seen as the rows come."""
    snapshot, _, query = opened(tmp_path, f"PREDICT COUNT(orders.*, 0, 90) {FOR_EACH}")
    day = 86_400 * 10**9
    anchors = pd.Timestamp("2021-02-01").value + np.arange(600, dtype=np.int64) * day
    memory = Memory("200MiB", 300_000 * example_bytes(query), 10_000)
    passed = 0
    with open_session(snapshot) as session:
        labeller = Labeller(session, query, batch=memory.batch)
        with pytest.raises(UnusableTable, match=r"about 1,[12]\d\d,\d\d\d rows") as caught:
            for labels in bounded(labeller.grid(anchors), query, TablePlan(), memory, 600):
                passed += len(labels.entity)
    assert caught.value.code == "task.table_too_large"
    assert 250_000 < passed <= 300_000


def test_lists_count_what_they_list(tmp_path: Path) -> None:
    text = f"PREDICT LIST_DISTINCT(orders.kind, 0, 90) CLASSIFY {FOR_EACH}"
    _, _, query = opened(tmp_path, text)
    forecast = f"PREDICT COUNT(orders.*, 0, 9) FORECAST 10 TIMEFRAMES {FOR_EACH}"
    longer = opened(tmp_path, forecast)[2]
    assert example_bytes(longer) > example_bytes(query)


_OVERLAPPING = """
import resource, sys, tempfile
from pathlib import Path
import numpy as np, pandas as pd, pyarrow as pa
import tests.tasks.worlds as worlds
from relcast.pql import check
from relcast.tasks import TablePlan, make_training_table

def array(column, kind):
    return pa.array(column.to_numpy(), type=worlds.KINDS[kind][2], from_pandas=True)

worlds._array = array
rng, n = np.random.default_rng(0), 1_000_000
start = pd.Timestamp("2021-01-01")
seconds = np.sort(rng.integers(0, 820 * 86_400, n))
world = worlds.shop(
    {"customer": rng.integers(0, 1000, n), "time": start + pd.to_timedelta(seconds, unit="s"),
     "amount": rng.normal(size=n).round(2)},
    {"id": range(1000), "country": ["US"] * 1000},
)
with tempfile.TemporaryDirectory() as root:
    snapshot, relations = world.open(Path(root))
    query = check("PREDICT SUM(orders.amount, 0, 90, days) FOR EACH customers.id", snapshot.graph)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    table = make_training_table(
        snapshot, relations, query, TablePlan(timeframe_step=1), memory_limit=sys.argv[1]
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = sum(a.target.rows for a in table.report.anchors)
    print(len(table.report.anchors), rows, (peak - base) // 1024)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="reads the peak of a process's memory")
def test_a_million_facts_in_overlapping_windows_stay_within_the_limit() -> None:
    """A step of a day, windows of 90 days, two years of anchors."""
    found = subprocess.run(
        [sys.executable, "-c", _OVERLAPPING, "300MB"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        cwd=Path(__file__).resolve().parents[2],
    )
    anchors, rows, mebibytes = (int(word) for word in found.stdout.split())
    assert anchors == 729
    assert rows == 729 * 1000
    assert mebibytes < 300
