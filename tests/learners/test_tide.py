"""Labels beside the known level of all: given back exactly, known in time, told among reasons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relcast.core.schema import Link
from relcast.learners import FittedModel, ModelPlan, fit
from relcast.learners.contenders import candidate_features, unpack
from relcast.learners.folds import make_folds
from relcast.learners.probe import perturbed
from relcast.learners.protocol import Contributions, Packed, Target
from relcast.learners.tide import FanOnTide, Tide, on_tide, tide_of
from relcast.pql import check
from relcast.relations import Relations, build
from relcast.snapshots import SnapshotStore, TableSpec
from relcast.sources import LocalDirectory
from relcast.tasks import TablePlan, TrainingTable, make_training_table

DAY = 86_400 * 10**9
MEAN = "PREDICT AVG(readings.value, 0, 30, days) FOR EACH meters.meter_id"
OFTEN = "PREDICT COUNT(readings.*, 0, 30, days) FOR EACH meters.meter_id"


@dataclass(frozen=True)
class Meters:
    """Meters with a level of their own under one that wanders for all."""

    relations: Relations
    table: TrainingTable
    often: TrainingTable


@pytest.fixture(scope="module")
def meters(tmp_path_factory: pytest.TempPathFactory) -> Meters:
    folder = tmp_path_factory.mktemp("meters")
    rng = np.random.default_rng(0)
    count, days, each = 40, 900, 120
    owner = np.repeat(np.arange(count), each)
    at = np.sort(rng.integers(0, days * 86_400, len(owner)))
    owner = rng.permutation(owner)
    level = 6 * np.sin(np.arange(days) / 100)
    value = rng.normal(0, 1, count)[owner] + level[at // 86_400] + rng.normal(0, 1, len(owner))
    (folder / "data").mkdir()
    tables = {
        "meters": {"meter_id": np.arange(count), "kind": rng.choice(["a", "b"], count)},
        "readings": {
            "reading_id": np.arange(len(owner)),
            "meter_id": owner,
            "value": value,
            "at": (at + 1_600_000_000).astype("datetime64[s]"),
        },
    }
    for name, columns in tables.items():
        arrays = {column: pa.array(values) for column, values in columns.items()}
        pq.write_table(pa.table(arrays), folder / "data" / f"{name}.parquet")
    source, store = LocalDirectory(folder / "data"), SnapshotStore(folder / "store")
    specs = [
        TableSpec("meters", primary_key="meter_id", time_column=None),
        TableSpec("readings", primary_key="reading_id", time_column="at"),
    ]
    ingested = [store.ingest_table(source, spec.name, spec) for spec in specs]
    snapshot = store.combine(ingested, [Link("readings", "meter_id", "meters")])
    relations = build(snapshot)

    def made(query: str) -> TrainingTable:
        return make_training_table(snapshot, relations, check(query, snapshot.graph), TablePlan())

    return Meters(relations, made(MEAN), made(OFTEN))


def tide(meters: Meters, table: TrainingTable, metric: str = "mae") -> Tide | None:
    folds = make_folds(table.examples, table.query, "rolling")
    features = candidate_features(meters.relations, table.query, folds, 400)
    return tide_of(meters.relations, folds.target, features, folds.train, metric=metric, threads=1)


@pytest.fixture(scope="module")
def model(meters: Meters) -> FittedModel:
    plan = ModelPlan(
        threads=1, num_experiments=1, bootstrap_resamples=20, learners=("linear", "trees")
    )
    return fit(meters.relations, meters.table.query, meters.table, plan)


def test_the_tide_is_the_mean_of_the_newest_rows_of_all(meters: Meters) -> None:
    found = tide(meters, meters.table)
    assert found is not None
    feature = found.features.features[0]
    # Of the windows that there are the one that follows labels best.
    assert feature.window == "the last 30 days"
    readings = meters.relations.table("readings")
    asked = make_folds(meters.table.examples, meters.table.query, "rolling").train.asked
    level = found.at(meters.relations, asked, 1)
    assert len(np.unique(level)) == len(np.unique(asked.anchor))
    for anchor in np.unique(asked.anchor):
        new = readings.time <= anchor
        new &= readings.time > anchor - feature.recipe.width
        expected = readings.column("value").values[new].mean() if new.any() else found.fill
        np.testing.assert_allclose(level[asked.anchor == anchor], expected, rtol=1e-5)


def test_no_later_row_moves_it(meters: Meters) -> None:
    found = tide(meters, meters.table)
    assert found is not None
    folds = make_folds(meters.table.examples, meters.table.query, "frozen")
    for fold in (folds.train, folds.validation):
        moment = int(fold.asked.known.max())
        other, changed = perturbed(meters.relations, moment, np.random.default_rng(1))
        assert changed
        before = found.at(meters.relations, fold.asked, 1)
        np.testing.assert_array_equal(found.at(other, fold.asked, 1), before)


def test_only_numbers_with_a_level_of_their_own_have_one(meters: Meters) -> None:
    assert tide(meters, meters.often) is None  # rows have no column to take the mean of
    assert tide(meters, meters.table, "r2") is None  # judged against the spread of labels
    rng = np.random.default_rng(0)
    examples = meters.table.examples
    flat = replace(meters.table, examples=replace(examples, target=rng.normal(size=len(examples))))
    assert tide(meters, flat) is None  # no level of theirs moves with it


def test_a_learner_beside_the_tide_is_a_learner_of_labels(meters: Meters) -> None:
    found = tide(meters, meters.table)
    assert found is not None
    folds = make_folds(meters.table.examples, meters.table.query, "rolling")
    asked = folds.validation.asked
    level = found.at(meters.relations, asked, 1)
    below = found.below(meters.relations, folds.validation, 1)
    np.testing.assert_allclose(below.label + level, folds.validation.label)

    class Half:
        name = "half"

        def predict(self, relations, asked, *, threads):
            return np.full(len(asked), 0.5)

        def quantiles(self, relations, asked, *, levels, threads):
            return np.tile(np.asarray(levels), (len(asked), 1))

        def explain(self, relations, asked, *, top, threads, output=None):
            rows = len(asked)
            return Contributions(
                np.full(rows, 0.5), np.full(rows, 0.2), ((),) * rows, np.full(rows, 0.3)
            )

        def pack(self):
            return Packed({"kind": "half"}, {}, {})

    whole = on_tide(Half(), found, base=1.0)
    assert isinstance(whole, FanOnTide)
    said = whole.predict(meters.relations, asked, threads=1)
    np.testing.assert_allclose(said, level + 0.5)
    fan = whole.quantiles(meters.relations, asked, levels=(0.1, 0.9), threads=1)
    np.testing.assert_allclose(fan, level[:, None] + [0.1, 0.9])
    for top in (0, 3):
        parts = whole.explain(meters.relations, asked, top=top, threads=1)
        moved = [sum(r["contribution"] for r in reasons) for reasons in parts.reasons]
        np.testing.assert_allclose(parts.base + parts.rest + moved, said)
        assert all(len(reasons) == min(top, 1) for reasons in parts.reasons)


def test_all_learn_both_ways_and_what_is_published_can_be_packed(
    meters: Meters, model: FittedModel
) -> None:
    learners = {entry.learner for entry in model.leaderboard}
    assert {"linear", "trees", "linear on the tide", "trees on the tide"} <= learners
    assert model.certificate.passed, model.certificate.failures
    examples = meters.table.examples
    rows = np.flatnonzero(examples.split == 2)
    said = model.predict(meters.relations, examples.entity[rows], examples.anchor[rows])
    packed = model.predictor.pack()
    again = unpack(packed.config, packed.arrays, packed.texts, model.target)
    asked = make_folds(examples, meters.table.query, "rolling").test.asked
    np.testing.assert_array_equal(
        again.predict(meters.relations, asked, threads=1), said.values.ravel()
    )


@pytest.mark.parametrize("key", ["features", "inner", "fill"])
def test_a_damaged_bundle_is_refused(meters: Meters, key: str) -> None:
    found = tide(meters, meters.table)
    assert found is not None
    two = replace(found.features, features=found.features.features * 2)
    config = {
        "kind": "on_tide",
        "features": found.features.to_json(),
        "fill": 0.0,
        "base": 0.0,
        "inner": {"kind": "constant"},
    }
    config |= {
        "features": {"features": two.to_json()},
        "inner": {"inner": {"kind": "mixture"}},
        "fill": {"fill": float("nan")},
    }[key]
    with pytest.raises(ValueError, match="level"):
        unpack(config, {}, {}, Target(meters.table.query.task_type))
