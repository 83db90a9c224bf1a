"""What moves when only the future changes: the whole pipeline, run on two databases and compared.

``moved`` answers with one sentence per thing that differs; an empty list is what D1 asks for.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from relcast.core.clock import isoformat
from relcast.core.errors import ModelError, TaskError
from relcast.learners import FittedModel, ModelPlan, fit
from relcast.learners.baselines import HistoryBaseline
from relcast.learners.board import Board
from relcast.learners.contenders import make_baselines
from relcast.learners.features import FeatureSet
from relcast.learners.folds import make_folds
from relcast.learners.protocol import Asked, Ranked, Said, ask
from relcast.pql import CheckedQuery, check
from relcast.pql.ast import Unit, aggregations
from relcast.relations import Relations, build
from relcast.snapshots import Snapshot
from relcast.tasks import (
    Frame,
    TablePlan,
    TrainingTable,
    make_prediction_table,
    make_training_table,
)
from relcast.tasks.offsets import to_datetime
from tests.properties.worlds_future import (
    draw_anchor,
    draw_query,
    draw_still_world,
    draw_text,
    draw_world,
    is_static,
    other_future,
    other_strangers,
)
from tests.relations.databases import Database

PLAN = ModelPlan(run_mode="debug", threads=1, bootstrap_resamples=2)
BUDGET = 400


@dataclass(frozen=True)
class Side:
    """One of the two databases, as the pipeline sees it."""

    snapshot: Snapshot
    relations: Relations
    query: CheckedQuery
    tables: dict[int, TrainingTable] = field(default_factory=dict)

    @classmethod
    def of(cls, db: Database, seed: int, root: Path) -> Side:
        snapshot = db.snapshot(root)
        return cls(snapshot, build(snapshot), draw_query(snapshot.graph, seed))

    def table(self, end: int) -> TrainingTable:
        """Return the training table whose last anchor is ``end``."""
        if end not in self.tables:
            plan = TablePlan(end_time=isoformat(to_datetime(end)), timeframe_step=self.step)
            self.tables[end] = make_training_table(self.snapshot, self.relations, self.query, plan)
        return self.tables[end]

    @property
    def step(self) -> int:
        """Days between anchors; windows overlap, so that a small world has many examples."""
        return 3 if Frame.of(self.query).unit is Unit.days else 1

    def population(self, anchor: int) -> list[Any]:
        """Return the keys of who is there at an anchor, ascending; none where nobody is."""
        moment = to_datetime(anchor)
        try:
            table = make_prediction_table(self.snapshot, self.relations, self.query, moment)
        except TaskError as error:
            if error.code != "task.no_rows":
                raise
            return []
        return sorted(table.keys().to_pylist())

    def asked(self, keys: list[Any], anchor: int) -> Asked:
        """Return the examples of some entities at an anchor."""
        rows = self.relations.table(self.query.entity_table).key_index(pa.array(keys, pa.int64()))
        return Asked.rolling(rows.astype(np.int64), np.full(len(rows), anchor))


@dataclass(frozen=True)
class Fitted:
    """Every learner that a fit tried, and the published model where one was asked for."""

    model: FittedModel | None
    board: Board
    table: TrainingTable

    def learners(self) -> Iterator[Any]:
        for contender in (*self.board.baselines, *self.board.learned):
            yield contender.model


@dataclass(frozen=True)
class Case:
    """A database, the same with another future, and the anchor after which they differ.

    Attributes:
        known: The latest anchor whose windows end in what is known of the target's tables, ns.
        latest: The latest anchor with complete windows in both databases, ns.
        keys: Who is there at the anchor, in the first database.
    """

    here: Side
    there: Side
    anchor: int
    known: int
    latest: int
    keys: list[Any]


def draw_case(seed: int, root: Path, *, refit: bool) -> tuple[Case, list[Fitted]]:
    """Draw until a model can be fitted on everything, and (``refit``) on the past alone."""
    for again in range(20):
        number = seed + 1_000_003 * again * 42  # the same query, another world
        db = draw_world(number, draw_text(seed))
        here = Side.of(db, seed, root)
        tables = {a.column.table for a in aggregations(here.query.query.target)}
        last = next(iter(sorted(tables)))
        anchor = draw_anchor(db, last, number)
        other = other_future(db, anchor, number, keep=last)
        there = Side.of(other, seed, root)
        try:
            known, latest = _ends(here, db, other, anchor)
            case = Case(here, there, anchor, known, latest, here.population(anchor))
            if case.keys:
                whole = fitted(here, case.latest, publish=False)
                return case, [whole, fitted(here, case.known)] if refit else [whole]
        except (TaskError, ModelError):
            continue
    raise AssertionError(f"no world of seed {seed} can be learned from")


def _ends(here: Side, db: Database, other: Database, anchor: int) -> tuple[int, int]:
    frame = Frame.of(here.query)
    tables = {a.column.table for a in aggregations(here.query.query.target)}

    def newest(of: Database, until: int) -> int:
        found = []
        for name in tables:
            times = of.frames[name][of.times[name]].to_numpy().astype("datetime64[ns]")
            at = times.astype(np.int64)
            found.append(int(at[at <= until].max()))
        return max(found)

    always = int(np.iinfo(np.int64).max)
    known = frame.latest_complete(newest(db, anchor))
    return known, frame.latest_complete(min(newest(db, always), newest(other, always)))


def fitted(side: Side, end: int, *, publish: bool = True) -> Fitted:
    """Fit on the anchors up to ``end``, and keep the board of all that was tried.

    Without ``publish`` the fit ends there: figures, importance and certificate take half its time.
    """
    table = side.table(end)
    module = importlib.import_module("relcast.learners.fit")
    honest, boards = module.publish, []

    def watched(board: Board, *rest: Any) -> FittedModel | None:
        boards.append(board)
        return honest(board, *rest) if publish else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "publish", watched)
        model = fit(side.relations, side.query, table, PLAN)
    return Fitted(model, boards[0], table)


def moved(seed: int, root: Path, *, refit: bool) -> list[str]:
    """Say what differs between a seed's two databases; nothing should.

    ``refit`` fits on the past of both databases as well, and compares all that was learned.
    """
    if is_static(seed):
        return moved_still(seed, root)
    if "parts." in draw_text(seed) or ".sku" in draw_text(seed):
        found = moved_loose(seed, root)
        if found:
            return found
    case, models = draw_case(seed, root, refit=refit)
    found = moved_population(case)
    if found:
        return found
    found += moved_labels(case)
    found += moved_features(case)
    if not models:
        found += moved_past(case)
        return [f"{sentence} ({case.here.query.text})" for sentence in found]
    for name, model in zip(("of everything", "of the past"), models, strict=False):
        found += moved_predictions(case, model, name)
    found += moved_memory(case, models[0])
    if refit:
        found += moved_fit(case, models[1], root)
    return [f"{sentence} ({case.here.query.text})" for sentence in found]


def moved_population(case: Case) -> list[str]:
    """Compare who is there at the anchor."""
    there = case.there.population(case.anchor)
    return [] if case.keys == there else [f"population: {case.keys} became {there}"]


def moved_loose(seed: int, root: Path) -> list[str]:
    """Compare features where rows between, or what a list names, come later than what hangs there.

    Labels are none of this: the language looks at no such time, and they are settled later.
    """
    db = draw_world(seed, draw_text(seed), loose=True)
    here = Side.of(db, seed, root)
    anchor = draw_anchor(db, "events", seed)
    there = Side.of(other_future(db, anchor, seed), seed, root)
    keys = sorted(set(here.population(anchor)) & set(there.population(anchor)))
    return [
        f"loose: {sentence} ({here.query.text})"
        for sentence in moved_features(Case(here, there, anchor, anchor, anchor, keys))
    ]


def moved_labels(case: Case) -> list[str]:
    """Compare examples whose windows end by the anchor, in tables of every anchor there is."""
    whole = case.here.table(case.latest)
    try:
        other = case.there.table(case.latest)
    except TaskError:
        return []  # the other future may have nothing to learn from
    frame = Frame.of(case.here.query)
    # Which anchors stand between two splits follows from the later ones, too.
    both = np.intersect1d(whole.examples.anchor, other.examples.anchor)
    both = both[frame.spans(both)[1] <= case.anchor]

    def settled(table: TrainingTable) -> set[tuple[Any, ...]]:
        rows = table.to_arrow().filter(np.isin(table.examples.anchor, both))
        return _rows(rows, ["ENTITY", "TIMESTAMP", "TARGET"])

    differ = settled(whole) ^ settled(other)
    return [f"labels: {sorted(differ, key=str)[:4]}"] if differ else []


def _rows(rows: pa.Table, columns: list[str]) -> set[tuple[Any, ...]]:
    """Return rows as a set; a list counts with its order."""
    cells = (rows.column(name).to_pylist() for name in columns)
    return {
        tuple(tuple(v) if isinstance(v, list) else v for v in row)
        for row in zip(*cells, strict=True)
    }


def moved_past(case: Case) -> list[str]:
    """Compare the tables of the past alone: anchors, splits, labels, weights, all that they hold."""
    said = []
    for side in (case.here, case.there):
        try:
            table = side.table(case.known)
            # How many entities are not there yet is a matter of the future.
            lost = {k: n for k, n in table.report.dropped.items() if "not yet" not in k}
            said.append((table.to_arrow(), table.examples.classes, lost))
        except TaskError as error:
            said.append((error.code, None, None))
    return [] if said[0] == said[1] else [f"past: {[(len(s[0]), *s[1:]) for s in said]}"]


def moved_still(seed: int, root: Path) -> list[str]:
    """Compare what a static query says of some entities when only others change."""
    for again in range(20):
        db, text = draw_still_world(seed + 1_000_003 * again * 48)
        other, mine = other_strangers(db, seed)
        said = []
        for of in (db, other):
            snapshot = of.snapshot(root)
            relations, query = build(snapshot), check(text, snapshot.graph)
            try:
                rows = make_training_table(snapshot, relations, query).to_arrow()
                asked = make_prediction_table(snapshot, relations, query).to_arrow()
            except TaskError:
                break
            known = {row for row in _rows(rows, ["ENTITY", "TARGET"]) if row[0] in mine}
            said.append((known, {row for row in _rows(asked, ["ENTITY"]) if row[0] in mine}))
        if len(said) == 2 and said[0][0]:
            names = ("labels", "population")
            moved = [n for n, one, two in zip(names, *said, strict=True) if one != two]
            return [f"{name}: of entities that nobody touched ({text})" for name in moved]
    raise AssertionError(f"no still world of seed {seed} has two tables")


def moved_features(case: Case) -> list[str]:
    """Compare the features that are offered at the anchor, and their values there."""
    found, values = [], []
    for side in (case.here, case.there):
        made = FeatureSet.generate(side.relations, side.query, budget=BUDGET, until=case.anchor)
        asked = side.asked(case.keys, case.anchor)
        found.append(made.to_json())
        values.append(made.compute(side.relations, asked.entity, asked.anchor).values)
    if found[0] != found[1]:
        return ["features: other ones are offered"]
    differ = _differ(*values).any(axis=0)
    names = [f["name"] for f, out in zip(found[0]["features"], differ, strict=True) if out]
    return [f"features: {names[:4]}"] if names else []


def moved_predictions(case: Case, model: Fitted, name: str) -> list[str]:
    """Compare what every learner of a fit says at the anchor, and what it reads."""
    found = []
    sides = (case.here, case.there)
    for learner in model.learners():
        names: dict[Any, int] = {}
        said = [
            _flat(
                ask(learner, side.relations, side.asked(case.keys, case.anchor), k=8, threads=1),
                side,
                names,
            )
            for side in sides
        ]
        if _differ(*said).any():
            found.append(f"predictions: {learner.name} {name}")
    same: dict[Any, int] = {}
    if model.model and _differ(*(_scores(side, model, case, same) for side in sides)).any():
        found.append(f"predictions: the model {name}")
    return found


def _scores(side: Side, model: Fitted, case: Case, names: dict[Any, int]) -> np.ndarray:
    asked = side.asked(case.keys, case.anchor)
    assert model.model is not None
    scores = model.model.predict(side.relations, asked.entity, asked.anchor)
    if scores.items is None:
        return scores.values
    return _flat(Ranked(scores.items, scores.values), side, names)


def _flat(said: Said, side: Side, names: dict[Any, int]) -> np.ndarray:
    """Return what was said of each example as numbers, float64[n, ...].

    Rows of a table stand elsewhere in another database: ``names`` numbers their keys.
    """
    if not isinstance(said, Ranked):
        return said
    items = said.items
    if side.query.items is not None:
        keys = side.relations.table(side.query.items.to).keys().to_pylist()
        code = np.array([names.setdefault(key, len(names)) for key in keys] + [-1])
        items = code[items]
    return np.concatenate([items, said.scores], axis=1)


def moved_memory(case: Case, whole: Fitted) -> list[str]:
    """Compare the labels that entity baselines remember at the anchor, learned from everything.

    Where other anchors of the past stand between two splits, others are remembered, rightly.
    """
    try:
        table = case.there.table(case.latest)
        folds = make_folds(table.examples, table.query, "rolling")
    except (TaskError, ModelError):
        return []
    ends = Frame.of(case.here.query).spans
    before, after = (np.unique(t.examples.anchor) for t in (whole.table, table))
    if not np.array_equal(
        *(anchors[ends(anchors)[1] <= case.anchor] for anchors in (before, after))
    ):
        return []
    relations = case.there.relations
    nothing = FeatureSet(case.there.query.entity_table, True, ())
    others = make_baselines(relations, table.query, folds, nothing)
    remembered = {o.name: o for o in others if isinstance(o, HistoryBaseline)}
    found = []
    for learner in whole.learners():
        if not isinstance(learner, HistoryBaseline):
            continue
        said = []
        for side, mine in ((case.here, learner), (case.there, remembered[learner.name])):
            values = mine.values(side.relations, side.asked(case.keys, case.anchor))
            classes = mine.target.classes
            known = [None if np.isnan(v) else v for v in values]
            said.append([classes[int(v)] if classes and v is not None else v for v in known])
        if said[0] != said[1]:
            found.append(f"memory: {learner.name}")
    return found


def moved_fit(case: Case, past: Fitted, root: Path) -> list[str]:
    """Fit again on the other database, on the past alone, and compare all that was learned."""
    other = fitted(case.there, case.known)
    found = []
    if not past.table.to_arrow().equals(other.table.to_arrow()):
        found.append("fit: the training table")
    for before, after in zip(past.learners(), other.learners(), strict=True):
        one, two = before.pack(), after.pack()
        if one.config != two.config:
            found.append(f"fit: the settings or features of {before.name}")
        elif one.texts != two.texts or not _equal_arrays(one.arrays, two.arrays):
            found.append(f"fit: what {before.name} learned")
    bundles = []
    for number, model in enumerate((past.model, other.model)):
        assert model is not None
        path = root / f"bundle{number}"
        model.save(path)
        bundles.append(_bundle(path))
    found += [
        f"fit: the bundle's {name}"
        for name in sorted(bundles[0].keys() | bundles[1].keys())
        if bundles[0].get(name) != bundles[1].get(name)
    ]
    same: dict[Any, int] = {}
    before, after = (_scores(case.here, past, case, same), _scores(case.there, other, case, same))
    if _differ(before, after).any():
        found.append("fit: scores at the anchor")
    return found


def _bundle(path: Path) -> dict[str, Any]:
    """Read a bundle's files, without what names its snapshot or took time.

    The probe's count of rows that it could change is a count of future rows.
    """
    found: dict[str, Any] = {
        file.name: file.read_bytes() for file in path.iterdir() if file.name != "model.json"
    }
    content = json.loads((path / "model.json").read_text("utf-8"))
    del content["snapshot_id"]
    del content["certificate"]["probe"]["rows"]
    for made in content["certificate"]["checks"]:
        if made["says"].endswith("rows changed."):
            del made["says"]
    for entry in content["leaderboard"]:
        del entry["seconds"]
    found |= {f"model.json: {name}": part for name, part in content.items()}
    return found


def _equal_arrays(one: Any, two: Any) -> bool:
    return one.keys() == two.keys() and all(
        one[name].dtype == two[name].dtype and one[name].tobytes() == two[name].tobytes()
        for name in one
    )


def _differ(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    if one.shape != two.shape:
        return np.ones((1, 1), dtype=bool)
    return ~((one == two) | (np.isnan(one) & np.isnan(two)))
