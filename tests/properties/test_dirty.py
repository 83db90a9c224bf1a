"""Dirty data: every case has one documented outcome for every task type (reliability.md, D7)."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relcast.core.errors import TaskError
from relcast.core.schema import TaskType
from relcast.pql import check
from relcast.relations import build
from relcast.snapshots import TableSpec
from relcast.sources import LocalDirectory
from relcast.tasks import make_training_table
from tests.properties.dirty_cases import CASES, HEAVY, Case
from tests.properties.dirty_outcomes import Kitchen, documented, row_of
from tests.properties.dirty_tables import TASKS, clean

DOCUMENTED = documented()


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Kitchen:
    return Kitchen(tmp_path_factory.mktemp("dirty"))


@pytest.mark.parametrize("name", CASES)
def test_a_dirty_case_has_its_documented_outcome(name: str, kitchen: Kitchen) -> None:
    _see(name, CASES[name], kitchen)


@pytest.mark.long
@pytest.mark.parametrize("name", HEAVY)
def test_a_heavy_case_has_its_documented_outcome(name: str, kitchen: Kitchen) -> None:
    _see(name, HEAVY[name], kitchen)


def _see(name: str, case: Case, kitchen: Kitchen) -> None:
    found = kitchen.cook(case)
    assert row_of(case, found) == DOCUMENTED[name]
    # What the documented table counts is what the case says that it spoiled, and nothing more.
    for table, copy in found.tables.items():
        assert dict(copy.report.dropped) == case.dropped.get(table, {}), table
        assert dict(copy.report.unreadable) == case.unreadable.get(table, {}), table
    for health in itertools.chain.from_iterable(s.links for s in found.snapshots):
        link = f"{health.link.table}.{health.link.foreign_key}"
        dangling = case.dangling.get(link, 0)
        assert health.dangling > 0 if dangling < 0 else health.dangling == dangling, link
        assert health.null == case.null.get(link, 0), link
    told = [sentence for copy in found.tables.values() for sentence in copy.report.warnings]
    assert len(told) == len(case.warns), told
    for words in case.warns:
        assert any(sentence.startswith(words) for sentence in told), told


def test_the_documented_table_holds_these_cases_and_no_others() -> None:
    assert list(DOCUMENTED) == [*CASES, *HEAVY]
    assert len(CASES) >= 45


def test_the_tasks_are_all_that_there_are(kitchen: Kitchen) -> None:
    found = kitchen.cook(CASES["clean"], fitted=False)
    graphs = [snapshot.graph for snapshot in found.snapshots]
    with_time = next(g for g in graphs if "orders" in g.tables)
    without = next(g for g in graphs if "likes" in g.tables)
    types = {
        name: check(text, without if name == "static link" else with_time).task_type
        for name, text in TASKS.items()
    }
    assert set(types.values()) == set(TaskType)


# -- what an ingest warns of ---------------------------------------------------------------------


def _copied(kitchen: Kitchen, folder: Path, text: str, **said: object):
    folder.mkdir()
    (folder / "visits.csv").write_text("id,at,x\n" + text)
    spec = TableSpec("visits", primary_key="id", time_column="at", **said)
    return kitchen.store.ingest_table(LocalDirectory(folder), "visits", spec)


def test_rows_later_than_the_present_are_told_of(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path / "k")
    kitchen.store._clock = lambda: datetime(2024, 3, 1, tzinfo=UTC)
    days = [f"{k},2024-02-{1 + k % 29:02},1\n" for k in range(100)]
    calm = _copied(kitchen, tmp_path / "calm", "".join(days))
    assert calm.report.warnings == ()
    ahead = _copied(kitchen, tmp_path / "ahead", "".join([*days, "100,2024-03-02,1\n"]))
    (told,) = ahead.report.warnings
    assert told.startswith("visits: 1 row is later than the present (at reaches 2024-03-02; ")
    assert "all others end by 2024-02-29" in told
    assert kitchen.store.open_table(ahead.id).report == ahead.report


def test_a_time_far_from_all_others_is_told_of_though_it_is_past(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path / "k")
    days = [f"{k},1999-02-{1 + k % 28:02},1\n" for k in range(200)]
    apart = _copied(kitchen, tmp_path / "apart", "".join([*days, "200,2009-01-01,1\n"]))
    (told,) = apart.report.warnings
    assert "1 row is later than the others by more than these are apart" in told
    assert _copied(kitchen, tmp_path / "one", "1,1999-02-01,1\n").report.warnings == ()
    assert _copied(kitchen, tmp_path / "none", "").report.warnings == ()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("one fact key", "When orders was copied, 999 of its 1,000 rows were left out (999 by"),
        ("one entity key", "When customers was copied, 59 of its 60 rows were left out (59 by"),
    ],
)
def test_too_few_examples_say_what_the_copy_lost(name: str, told: str, kitchen: Kitchen) -> None:
    """Orders with one key for all ended in "no anchor has a complete window", and nobody why."""
    found = kitchen.cook(CASES[name], fitted=False)
    snapshot = found.snapshots[0]
    query = check(TASKS["binary"].replace("> 1", "> 1000"), snapshot.graph)
    with pytest.raises(TaskError) as caught:
        make_training_table(snapshot, build(snapshot), query)
    assert caught.value.code in ("task.no_complete_window", "task.one_class")
    assert told in caught.value.message
    assert told in str(caught.value)


def test_a_case_spoils_what_it_says(kitchen: Kitchen) -> None:
    """No case leaves the clean tables as they are, but for the one that says so."""
    before = clean()
    for name, case in CASES.items():
        after = case.spoil(clean())
        same = (
            all(after.tables[t].equals(before.tables[t]) for t in before.tables)
            and (after.files, after.specs, after.links)
            == (before.files, before.specs, before.links)
            and after.tasks == before.tasks
            and list(after.tables) == list(before.tables)
        )
        assert same == (name == "clean"), name
