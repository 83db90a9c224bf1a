"""From files to tables: what comes of a dirty case, and the documented table of all of them.

``python -m tests.properties.dirty_outcomes`` writes the table of docs/data.md anew; look at what
changed before you keep it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from relcast.core.errors import RelcastError
from relcast.learners import ModelPlan, fit
from relcast.pql import CheckedQuery, check
from relcast.relations import build
from relcast.snapshots import Snapshot, SnapshotStore, TableSnapshot
from relcast.sources import LocalDirectory
from relcast.tasks import make_prediction_table, make_training_table
from tests.properties.dirty_cases import CASES, HEAVY, Case
from tests.properties.dirty_tables import TASKS, Shop, clean

__all__ = ["Kitchen", "Outcome", "documented"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"
BEGIN, END = "<!-- dirty cases: begin -->", "<!-- dirty cases: end -->"
PLAN = ModelPlan(run_mode="debug", threads=1, bootstrap_resamples=2)


@dataclass
class Outcome:
    """What came of a case.

    Attributes:
        cells: By task: ``rows of considered / scored``, with an error's code in place of either.
        counted: What was left out at ingest and what does not link, in words.
        tables, snapshots: What was copied, for a test to look at.
    """

    cells: dict[str, str]
    counted: str
    tables: dict[str, TableSnapshot]
    snapshots: list[Snapshot]


@dataclass
class Kitchen:
    """A store that all cases share: what a case leaves alone is copied and labelled once."""

    root: Path
    known: dict[tuple[str, str], str] = field(default_factory=dict)
    made: int = 0

    def __post_init__(self) -> None:
        self.store = SnapshotStore(self.root / "store")

    def cook(self, case: Case, *, fitted: bool = True) -> Outcome:
        """Write a case's files, and take them through every step there is."""
        shop = case.spoil(clean())
        self.made += 1
        folder = self.root / f"case{self.made}"
        shop.write(folder)
        run = _Run(self, shop, LocalDirectory(folder), case.fit if fitted else ())
        cells = {task: run.cell(task, text) for task, text in shop.tasks.items()}
        tables = {n: t for n, t in run.tables.items() if isinstance(t, TableSnapshot)}
        return Outcome(cells, _counted(tables, run.snapshots), tables, run.snapshots)


@dataclass
class _Run:
    kitchen: Kitchen
    shop: Shop
    source: LocalDirectory
    fit: tuple[str, ...]
    tables: dict[str, TableSnapshot | RelcastError] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)

    def cell(self, task: str, text: str) -> str:
        try:
            snapshot = self._snapshot(task)
            if snapshot not in self.snapshots:
                self.snapshots.append(snapshot)
            known, key = self.kitchen.known, (snapshot.id, text)
            if key not in known or task in self.fit:
                query = check(text, snapshot.graph)
                known[key] = _tables(snapshot, query, fitted=task in self.fit)
        except RelcastError as error:
            return _told(error)
        return known[key]

    def _snapshot(self, task: str) -> Snapshot:
        names = self.shop.names(task)
        store = self.kitchen.store
        copied = []
        for name in names:
            if name not in self.tables:
                try:
                    spec = self.shop.spec(name)
                    self.tables[name] = store.ingest_table(self.source, name, spec)
                except RelcastError as error:
                    self.tables[name] = error
            table = self.tables[name]
            if isinstance(table, RelcastError):
                raise table
            _account(table)
            copied.append(table)
        links = self.shop.links
        if links is not None:
            links = tuple(x for x in links if x.table in names and x.to in names)
        return store.combine(copied, links)


def _tables(snapshot: Snapshot, query: CheckedQuery, *, fitted: bool) -> str:
    """Make both tables of a query, and see that everything in them is accounted for."""
    relations = build(snapshot)
    for health in snapshot.links:
        parent = relations.link(health.link).parent
        assert int((parent >= 0).sum()) == health.matched, health.link
    trained = scored = ""
    table = None
    try:
        table = make_training_table(snapshot, relations, query)
        report = table.report
        lost = sum(report.dropped.values())
        assert report.considered == len(table) + lost, report
        assert all(count > 0 for count in report.dropped.values())
        assert table.to_arrow().num_rows == len(table)
        _strict(report.to_json())
        trained = f"{len(table):,} of {report.considered:,}"
    except RelcastError as error:
        trained = _told(error)
    try:
        rows = make_prediction_table(snapshot, relations, query)
        entities = relations.table(query.entity_table).rows
        assert len(rows) + sum(rows.dropped.values()) == entities, rows.dropped
        assert rows.to_arrow().num_rows == len(rows)
        scored = f"{len(rows):,}"
    except RelcastError as error:
        scored = _told(error)
    if fitted:
        assert table is not None, trained
        model = fit(relations, table.query, table, PLAN)
        said = model.predict(relations, table.examples.entity, table.examples.anchor).values
        assert np.isfinite(said).all()
        assert model.certificate.probe.passed or table.examples.anchor is None
        model.explain(
            relations,
            table.examples.entity[:3],
            None if table.examples.anchor is None else table.examples.anchor[:3],
        )
        _strict(model.summary())
    return f"{trained} / {scored}"


def _told(error: RelcastError) -> str:
    """Return the error's code, once it says what happened and what to do."""
    assert error.message
    assert error.hint or error.faults, error.code
    assert error.status < 500, error
    _strict(error.to_json())
    return f"`{error.code}`"


def _account(table: TableSnapshot) -> None:
    report = table.report
    assert report.rows_read == report.rows_kept + sum(report.dropped.values())
    assert report.rows_kept == table.rows
    _strict(table.to_json())


def _strict(value: Any) -> None:
    """See that a report goes to JSON, which has no NaN and no infinity."""
    json.dumps(value, allow_nan=False)


def _counted(tables: Mapping[str, TableSnapshot], snapshots: list[Snapshot]) -> str:
    found = []
    for name, table in tables.items():
        found += [f"{name}: {count:,} `{reason}`" for reason, count in table.report.dropped.items()]
        found += [f"{name}.{c}: {n:,} unreadable" for c, n in table.report.unreadable.items()]
    links = {str(h.link): h for s in snapshots for h in s.links}
    for health in links.values():
        assert health.null + health.matched + health.dangling == health.children
        name = f"{health.link.table}.{health.link.foreign_key}"
        found += [f"{name}: {health.dangling:,} dangling"] if health.dangling else []
        found += [f"{name}: {health.null:,} null"] if health.null else []
    return "; ".join(found)


def documented() -> dict[str, list[str]]:
    """Return the documented table: by case, what is wrong, what is counted, a cell per task."""
    text = PAGE.read_text(encoding="utf-8")
    part = text[text.index(BEGIN) : text.index(END)]
    rows = [line.strip().strip("|").split(" | ") for line in part.splitlines() if line[:1] == "|"]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows[2:]}


def row_of(case: Case, outcome: Outcome) -> list[str]:
    """Return a case's cells as they are documented."""
    return [case.what, outcome.counted or "–", *(outcome.cells[task] for task in TASKS)]


def main() -> None:
    """Write the table anew."""
    old = documented()
    with tempfile.TemporaryDirectory(prefix="dirty-") as place:
        kitchen = Kitchen(Path(place))
        lines = [f"| case | what is wrong | counted | {' | '.join(TASKS)} |"]
        lines.append("| --- " * (3 + len(TASKS)) + "|")
        for name, case in {**CASES, **HEAVY}.items():
            row = row_of(case, kitchen.cook(case, fitted=False))
            if old.get(name) != row:
                sys.stderr.write(f"{name}:\n  was {old.get(name)}\n  is  {row}\n")
            lines.append(f"| {name} | {' | '.join(row)} |")
    text = PAGE.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    table = "\n\n" + "\n".join(lines) + "\n\n"
    PAGE.write_text(text[:begin] + table + text[end:], encoding="utf-8")


if __name__ == "__main__":
    main()
