"""Many classes: better than habit, honest, and never ahead."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from relcast.learners import multilabel
from relcast.learners.folds import Folds
from relcast.learners.learner import Trained
from relcast.learners.metrics import metrics_of
from relcast.learners.metrics.multilabel import indicator
from relcast.learners.multilabel import ClassModel
from relcast.learners.protocol import Fold, Predictor
from relcast.tasks import Lists
from tests.learners.multilabel.worlds import BASKET, PLACE, TAGS, World, baskets, places, read

DAY = 86_400 * 10**9


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return baskets(tmp_path_factory.mktemp("baskets"))


@pytest.fixture(scope="module")
def folds(world: World) -> Folds:
    return world.folds(BASKET)


@pytest.fixture(scope="module")
def trained(world: World, folds: Folds) -> Trained[ClassModel]:
    return multilabel.train(world.work(BASKET, folds))


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> World:
    return places(tmp_path_factory.mktemp("places"), people=900, kinds=700)


def figure(name: str, world: World, model: Predictor, fold: Fold) -> float:
    said = model.predict(world.relations, fold.asked, threads=1)
    task = model.target.task_type  # type: ignore[attr-defined]
    return float(metrics_of(task, fold, said).compute((name,))[name])


def test_lists_are_predicted_better_than_by_habit(
    world: World, folds: Folds, trained: Trained[ClassModel]
) -> None:
    work = world.work(BASKET, folds)
    rules = multilabel.baselines(world.relations, work.query, folds, work.features)
    assert [rule.name for rule in rules] == [
        "class frequency",
        "share of own past windows",
        "last own window",
    ]
    mine = figure("ap_macro", world, trained.model, folds.test)
    best = max(figure("ap_macro", world, rule, folds.test) for rule in rules)
    assert mine > 1.3 * best
    assert len(trained.trials) == 2
    assert trained.trials[1].validation > trained.trials[0].validation


def test_probabilities_can_be_taken_at_their_word(
    world: World, folds: Folds, trained: Trained[ClassModel]
) -> None:
    said = trained.model.predict(world.relations, folds.validation.asked, threads=1)
    truth = indicator(folds.validation.lists, folds.target.width)
    assert said.shape == truth.shape
    assert ((said > 0) & (said < 1)).all()
    edges = np.quantile(said, [0, 0.5, 0.8, 0.95, 1])
    for low, high in pairwise(edges):
        inside = (said >= low) & (said <= high)
        assert truth[inside].mean() == pytest.approx(said[inside].mean(), abs=0.03)


def test_the_past_of_classes_is_counted_as_by_hand(world: World, folds: Folds) -> None:
    """An independent reading of the rows: windows, rows, age and order of each class."""
    work = world.work(BASKET, folds)
    (_, rule, _) = multilabel.baselines(world.relations, work.query, folds, work.features)
    asked = folds.test.asked.take(np.arange(0, len(folds.test), 9))
    found = rule.memory.recall(world.relations, asked)
    rows = pq.read_table(world.relations.table("buys").parquet)
    at = np.asarray(rows["at"].cast("timestamp[ns]").cast("int64"))
    person, kind = np.asarray(rows["person_id"]), np.array(rows["kind"].to_pylist())
    width = 14 * DAY
    for example in range(len(asked)):
        moment = int(asked.known[example])
        mine = (person == asked.entity[example]) & (at <= moment)
        part = slice(found.indptr[example], found.indptr[example + 1])
        assert found.events[example] == mine.sum()
        window = (moment - at[mine]) // width
        assert found.windows[example] == (window.max() + 1 if mine.any() else 0)
        names = [folds.target.classes[c] for c in found.classes[part]]
        newest = {name: at[mine][kind[mine] == name].max() for name in set(kind[mine])}
        assert names == sorted(newest, key=newest.__getitem__, reverse=True)
        for name, numbers in zip(names, found.numbers[part], strict=True):
            its = window[kind[mine] == name]
            assert numbers[0] == len(set(its.tolist()))
            assert numbers[1] == len(its)
            assert numbers[2] == (its == 0).sum()
            assert numbers[3] == (its < 4).sum()
            assert numbers[4] == pytest.approx((moment - newest[name]) / width)


@pytest.mark.parametrize("regime", ["rolling", "frozen"])
def test_nothing_after_what_is_known_is_read(world: World, tmp_path: Path, regime: str) -> None:
    """reliability.md D1: later rows turn to another kind; no answer and no reason moves."""
    folds = world.folds(BASKET, regime, timeframe_step=7)
    work = world.work(BASKET, folds)
    model = multilabel.train(work).model
    rules = multilabel.baselines(world.relations, work.query, folds, work.features)
    known = int(folds.test.asked.known.min())
    asked = folds.test.asked.take(np.flatnonzero(folds.test.asked.known == known))
    assert (asked.known < asked.anchor).any() == (regime == "frozen")
    changed = perturbed(world, tmp_path, known)
    for predictor in (model, *rules):
        before = predictor.predict(world.relations, asked, threads=1)
        after = predictor.predict(changed.relations, asked, threads=1)
        assert (before == after).all(), predictor.name
    assert model.explain(world.relations, asked, top=3, threads=1).reasons == (
        model.explain(changed.relations, asked, top=3, threads=1).reasons
    )


def perturbed(world: World, folder: Path, known: int) -> World:
    """Return the world with every row after ``known`` of one kind, the first."""
    data = folder / "data"
    data.mkdir()
    for name in world.snapshot.graph.tables:
        rows = pq.read_table(world.relations.table(name).parquet)
        if name == "buys":
            late = np.asarray(rows["at"].cast("timestamp[ns]").cast("int64")) > known
            assert 0 < late.sum() < len(late)
            kind = np.array(rows["kind"].to_pylist())
            place = rows.column_names.index("kind")
            rows = rows.set_column(place, "kind", [np.where(late, min(kind.tolist()), kind)])
        pq.write_table(rows, data / f"{name}.parquet")
    return read(folder)


def test_threads_and_batches_do_not_change_a_bit(
    world: World, folds: Folds, trained: Trained[ClassModel]
) -> None:
    """reliability.md D9."""
    again = multilabel.train(world.work(BASKET, folds, threads=2)).model
    assert again.pack().texts == trained.model.pack().texts
    asked = folds.test.asked.take(slice(0, 25))
    whole = trained.model.predict(world.relations, asked, threads=1)
    assert (again.predict(world.relations, asked, threads=2) == whole).all()
    for row in (0, 11, 24):
        one = trained.model.predict(world.relations, asked.take(slice(row, row + 1)), threads=1)
        assert (one[0] == whole[row]).all()


def test_a_packed_model_says_the_same_bits(
    world: World, folds: Folds, trained: Trained[ClassModel]
) -> None:
    asked = folds.test.asked.take(slice(0, 20))
    work = world.work(BASKET, folds)
    rules = multilabel.baselines(world.relations, work.query, folds, work.features)
    for model in (trained.model, *rules):
        packed = model.pack()
        assert packed.config["kind"] == "multilabel"
        config = json.loads(json.dumps(packed.config))
        again = multilabel.unpack(config, packed.arrays, packed.texts, folds.target)
        assert again.name == model.name
        before = model.predict(world.relations, asked, threads=1)
        assert (again.predict(world.relations, asked, threads=1) == before).all()


def test_a_broken_bundle_is_refused(trained: Trained[ClassModel]) -> None:
    packed, target = trained.model.pack(), trained.model.target
    arrays = dict(packed.arrays)
    after = arrays["affinity.0.after"].copy()
    after[0] = 10_000
    with pytest.raises(ValueError, match="transitions"):
        multilabel.unpack(
            packed.config, {**arrays, "affinity.0.after": after}, packed.texts, target
        )
    with pytest.raises(ValueError, match="fit"):
        multilabel.unpack(
            packed.config, {**arrays, "ridge": arrays["ridge"][:-1]}, packed.texts, target
        )
    with pytest.raises(ValueError, match="that there is not"):
        own = {f"class-{99}.txt": packed.texts["pairs-0.txt"]}
        multilabel.unpack({**packed.config, "own": [99]}, arrays, {**packed.texts, **own}, target)


def test_reasons_add_up_to_the_class_that_is_asked(
    world: World, folds: Folds, trained: Trained[ClassModel]
) -> None:
    asked = folds.test.asked.take(slice(0, 20))
    output = np.arange(20) % folds.target.width
    found = trained.model.explain(world.relations, asked, top=4, threads=1, output=output)
    for row in range(20):
        total = found.base[row] + found.rest[row]
        total += sum(reason["contribution"] for reason in found.reasons[row])
        assert total == pytest.approx(found.raw[row], abs=1e-6)
    said = trained.model.predict(world.relations, asked, threads=1)
    own = trained.model.calibration.apply(found.raw)
    assert own == pytest.approx(said[np.arange(20), output], abs=1e-9)
    best = trained.model.explain(world.relations, asked, top=4, threads=1)
    highest = trained.model.calibration.apply(best.raw)
    assert highest == pytest.approx(said.max(axis=1), abs=1e-9)


def test_own_trees_of_frequent_classes_are_explained_too(world: World, folds: Folds) -> None:
    from relcast.learners.multilabel import training

    work = world.work(BASKET, folds, num_experiments=2)
    bench = training._Bench.of(work)
    first = ClassModel("classes", work.target, bench.ground.evidence)
    worse = np.random.default_rng(0).normal(size=bench.seen.score.shape)
    model, mixed = bench.with_own(first, worse)
    assert model.share > 0
    assert 0 < len(model.own) <= 4
    assert bench.yardstick.measure(mixed) > bench.yardstick.measure(worse)
    packed = model.pack()
    again = multilabel.unpack(packed.config, packed.arrays, packed.texts, folds.target)
    asked = folds.test.asked.take(slice(0, 10))
    before = model.predict(world.relations, asked, threads=1)
    assert (again.predict(world.relations, asked, threads=1) == before).all()
    output = np.full(10, model.own[0].number)
    found = model.explain(world.relations, asked, top=100, threads=1, output=output)
    total = found.base + [sum(r["contribution"] for r in reasons) for reasons in found.reasons]
    assert total == pytest.approx(found.raw, abs=1e-6)
    assert model.calibration.apply(found.raw) == pytest.approx(before[:, output[0]], abs=1e-9)


def test_a_column_of_lists_without_time(world: World) -> None:
    folds = world.folds(TAGS)
    work = world.work(TAGS, folds)
    assert folds.train.asked.anchor is None
    (frequency,) = multilabel.baselines(world.relations, work.query, folds, work.features)
    model = multilabel.train(work).model
    mine = figure("ap_macro", world, model, folds.test)
    assert mine > 1.2 * figure("ap_macro", world, frequency, folds.test)


def test_hundreds_of_classes_beat_the_mode_of_the_own_past(far: World) -> None:
    """Trees have outputs for 60 classes; here each of 700 is one in a thousand."""
    folds = far.folds(PLACE)
    assert folds.target.width > 600
    model = multilabel.train_wide(far.work(PLACE, folds)).model
    test = folds.test
    said = model.predict(far.relations, test.asked, threads=1)
    assert said.sum(axis=1) == pytest.approx(np.ones(len(test)))
    own = multilabel.baselines(
        far.relations, far.query(PLACE), folds, far.work(PLACE, folds).features
    )
    best = max(
        float(
            (rule.predict(far.relations, test.asked, threads=1).argmax(axis=1) == test.label).mean()
        )
        for rule in own
    )
    acc = float((said.argmax(axis=1) == test.label).mean())
    assert acc > 0.4
    assert acc > 3 * best
    found = model.explain(far.relations, test.asked.take(slice(0, 10)), top=3, threads=1)
    assert any("follows" in reason["feature"] for reason in found.reasons[0])
    packed = model.pack()
    again = multilabel.unpack(packed.config, packed.arrays, packed.texts, folds.target)
    part = test.asked.take(slice(0, 10))
    assert (again.predict(far.relations, part, threads=1) == said[:10]).all()


def test_where_labels_are_shuffled_nothing_is_learned(world: World, folds: Folds) -> None:
    """reliability.md D6: cross-fitting keeps an example's own label out of what speaks for it."""
    from dataclasses import replace

    rng = np.random.default_rng(0)
    work = world.work(BASKET, folds)

    def shuffled(fold: Fold) -> Fold:
        return replace(fold, lists=fold.lists.take(rng.permutation(len(fold))))

    work = replace(work, train=shuffled(work.train), valid=shuffled(work.valid))
    model = multilabel.train(work).model
    test = shuffled(folds.test)
    assert figure("auroc_macro", world, model, test) == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize("block", [1, 10**9], ids=["small blocks", "one block"])
def test_many_examples_need_bounded_memory(
    world: World,
    folds: Folds,
    trained: Trained[ClassModel],
    monkeypatch: pytest.MonkeyPatch,
    block: int,
) -> None:
    """No more is made of examples at once than a chunk holds; features are read once a block."""
    from relcast.learners.multilabel import evidence

    whole = trained.model.predict(world.relations, folds.test.asked, threads=1)
    monkeypatch.setattr(evidence, "_CHUNK_BYTES", 1)  # the least: 16 examples
    monkeypatch.setattr(evidence, "_BLOCK_BYTES", block)
    read: list[int] = []
    signed: list[int] = []
    read_features, signs = evidence.read_features, evidence.Evidence.signs

    def reading(features, relations, asked, threads):  # type: ignore[no-untyped-def]
        read.append(len(asked))
        return read_features(features, relations, asked, threads)

    def signing(self, values, *tables):  # type: ignore[no-untyped-def]
        signed.append(len(values))
        return signs(self, values, *tables)

    monkeypatch.setattr(evidence, "read_features", reading)
    monkeypatch.setattr(evidence.Evidence, "signs", signing)
    small = trained.model.predict(world.relations, folds.test.asked, threads=1)
    assert max(signed) == 16 < len(folds.test)
    assert read == ([len(folds.test)] if block > 1 else signed)
    assert (small == whole).all()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_in_which_nothing_came_true_is_no_failure(
    world: World, folds: Folds, split: str
) -> None:
    fold = getattr(folds, split)
    nothing = Lists(np.zeros(len(fold) + 1, dtype=np.int64), np.zeros(0, dtype=np.int64))
    empty = replace(folds, **{split: replace(fold, lists=nothing)})
    model = multilabel.train(world.work(BASKET, empty)).model
    said = model.predict(world.relations, folds.test.asked, threads=1)
    assert np.isfinite(said).all()
    assert ((said >= 0) & (said <= 1)).all()
