"""Forecasts of shops that sell every day: better than simple rules, honest, and never ahead."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from relcast.learners import forecasting
from relcast.learners.forecasting import ForecastModel
from relcast.learners.learner import Trained
from relcast.learners.protocol import Fold
from tests.learners.forecasting.worlds import DAY, SALES, VISITS, World, noise, read, weekly

MANY = "ApproxDateOffsetSplit([0.7, 0.1, 0.2])"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return weekly(tmp_path_factory.mktemp("weekly"))


@pytest.fixture(scope="module")
def trained(world: World) -> Trained[ForecastModel]:
    return forecasting.train(world.work(SALES, world.folds(SALES, split=MANY)))


def mean_error(fold: Fold, said: np.ndarray) -> float:
    return float(np.abs(fold.label - said).mean())


def test_a_rhythm_is_forecast_better_than_by_any_simple_rule(
    world: World, trained: Trained[ForecastModel]
) -> None:
    folds = world.folds(SALES, split=MANY)
    work = world.work(SALES, folds)
    said = trained.model.predict(world.relations, folds.test.asked, threads=1)
    assert said.shape == folds.test.label.shape == (len(folds.test), 7)
    found = forecasting.baselines(world.relations, work.query, folds, work.features)
    errors = {
        each.name: mean_error(
            folds.test, each.predict(world.relations, folds.test.asked, threads=1)
        )
        for each in found
    }
    assert {
        "global mean",
        "global median",
        "last value",
        "entity mean",
        "moving average (4 windows)",
        "seasonal naive (7 windows)",
    } <= set(errors)
    assert min(errors, key=errors.__getitem__) == "seasonal mean (7 windows)"
    mine = mean_error(folds.test, said)
    assert mine < 0.97 * errors["seasonal mean (7 windows)"]
    assert mine < 0.8 * errors["seasonal naive (7 windows)"]
    assert trained.report["seasons"] == {"week": 7}


def test_quantiles_hold_what_they_say_and_never_cross(
    world: World, trained: Trained[ForecastModel]
) -> None:
    test = world.folds(SALES, split=MANY).test
    levels = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
    said = trained.model.quantiles(world.relations, test.asked, levels=levels, threads=1)
    assert said.shape == (len(test), 7, len(levels))
    assert (np.diff(said, axis=2) >= 0).all()
    for place, level in enumerate(levels):
        share = float((test.label <= said[:, :, place]).mean())
        assert share == pytest.approx(level, abs=0.06), level
    # The fan is as wide as the shop is large, not as wide as the mean shop.
    width = said[:, :, 5] - said[:, :, 1]
    size = test.label.mean(axis=1)
    assert np.corrcoef(np.log(width.mean(axis=1)), np.log(size))[0, 1] > 0.9


def test_where_days_are_noise_nothing_is_invented(tmp_path: Path) -> None:
    world = noise(tmp_path)
    folds = world.folds(SALES, split=MANY)
    work = world.work(SALES, folds)
    model = forecasting.train(work).model
    mine = mean_error(folds.test, model.predict(world.relations, folds.test.asked, threads=1))
    median = mean_error(folds.test, np.full(folds.test.label.shape, np.median(folds.train.label)))
    assert mine == pytest.approx(median, rel=0.02)


@pytest.mark.parametrize("regime", ["rolling", "frozen"])
def test_nothing_after_what_is_known_is_read(world: World, tmp_path: Path, regime: str) -> None:
    """reliability.md D1: later rows are changed and added; no answer, level or reason moves."""
    folds = world.folds(SALES, regime, split=MANY)
    work = world.work(SALES, folds)
    model = forecasting.train(work).model
    rules = forecasting.baselines(world.relations, work.query, folds, work.features)
    known = int(folds.test.asked.known[0])
    rows = np.flatnonzero(folds.test.asked.known == known)
    asked = folds.test.asked.take(rows)
    assert (asked.known < asked.anchor).any() == (regime == "frozen")
    changed = perturbed(world, tmp_path, known)
    for predictor in (model, *rules):
        before = predictor.predict(world.relations, asked, threads=1)
        after = predictor.predict(changed.relations, asked, threads=1)
        assert (before == after).all(), predictor.name
    before = model.quantiles(world.relations, asked, levels=(0.1, 0.9), threads=1)
    after = model.quantiles(changed.relations, asked, levels=(0.1, 0.9), threads=1)
    assert (before == after).all()
    assert model.explain(world.relations, asked, top=3, threads=1).reasons == (
        model.explain(changed.relations, asked, top=3, threads=1).reasons
    )


def perturbed(world: World, folder: Path, known: int) -> World:
    """Return the world with every sale after ``known`` a thousand times as large."""
    data = folder / "data"
    data.mkdir()
    for name in world.snapshot.graph.tables:
        rows = pq.read_table(world.relations.table(name).parquet)
        if name == "sales":
            late = np.asarray(rows["at"].cast("timestamp[ns]").cast("int64")) > known
            assert 0 < late.sum() < len(late)
            amount = np.asarray(rows["amount"])
            place = rows.column_names.index("amount")
            rows = rows.set_column(place, "amount", [np.where(late, amount * 1000, amount)])
        pq.write_table(rows, data / f"{name}.parquet")
    return read(folder)


def test_frozen_steps_lie_further_ahead_and_cost_accuracy(
    world: World, trained: Trained[ForecastModel]
) -> None:
    rolling = world.folds(SALES, split=MANY).test
    frozen = world.folds(SALES, "frozen", split=MANY).test
    grid = trained.model.reader.grid
    origin, ahead = grid.origin(frozen.asked)
    assert (origin <= frozen.asked.known).all()
    assert (origin + ahead * DAY == frozen.asked.anchor).all()
    assert ahead.max() == (rolling.asked.anchor.max() - rolling.asked.anchor.min()) // DAY > 7
    work = world.work(SALES, world.folds(SALES, "frozen", split=MANY))
    model = forecasting.train(work).model
    errors = [
        mean_error(fold, model.predict(world.relations, fold.asked, threads=1))
        for fold in (rolling, frozen)
    ]
    assert errors[0] < errors[1]
    naive = np.median(rolling.label)
    assert errors[1] < 0.7 * mean_error(frozen, np.full(frozen.label.shape, naive))


def test_threads_and_batches_do_not_change_a_bit(
    world: World, trained: Trained[ForecastModel]
) -> None:
    """reliability.md D9."""
    folds = world.folds(SALES, split=MANY)
    again = forecasting.train(world.work(SALES, folds, threads=2))
    assert again.model.pack().texts == trained.model.pack().texts
    asked = folds.test.asked.take(slice(0, 40))
    whole = trained.model.predict(world.relations, asked, threads=1)
    assert (again.model.predict(world.relations, asked, threads=2) == whole).all()
    for row in (0, 17, 39):
        one = trained.model.predict(world.relations, asked.take(slice(row, row + 1)), threads=1)
        assert (one[0] == whole[row]).all()


def test_a_packed_model_says_the_same_bits(world: World, trained: Trained[ForecastModel]) -> None:
    folds = world.folds(SALES, split=MANY)
    asked = folds.test.asked.take(slice(0, 30))
    work = world.work(SALES, folds)
    rules = forecasting.baselines(world.relations, work.query, folds, work.features)
    for model in (trained.model, *rules):
        packed = model.pack()
        assert packed.config["kind"] == "forecast"
        config = json.loads(json.dumps(packed.config))
        again = forecasting.unpack(config, packed.arrays, packed.texts, folds.target)
        assert again.name == model.name
        before = model.predict(world.relations, asked, threads=1)
        assert (again.predict(world.relations, asked, threads=1) == before).all()
    again = forecasting.unpack(
        trained.model.pack().config,
        trained.model.pack().arrays,
        trained.model.pack().texts,
        folds.target,
    )
    levels = (0.1, 0.33, 0.9)
    assert (
        again.quantiles(world.relations, asked, levels=levels, threads=1)
        == trained.model.quantiles(world.relations, asked, levels=levels, threads=1)
    ).all()


def test_a_broken_bundle_is_refused(trained: Trained[ForecastModel]) -> None:
    packed, target = trained.model.pack(), trained.model.target
    short = {name: array[:, :-1] for name, array in packed.arrays.items()}
    with pytest.raises(ValueError, match="quantiles"):
        forecasting.unpack(packed.config, short, packed.texts, target)
    text = packed.texts["forecast-0-0.txt"].replace("split_feature=", "split_feature=999 ", 1)
    with pytest.raises(ValueError, match="tree"):
        forecasting.unpack(
            packed.config, packed.arrays, {**packed.texts, "forecast-0-0.txt": text}, target
        )
    reader = {**packed.config["reader"], "columns": [5_000]}
    with pytest.raises(ValueError, match="windows"):
        forecasting.unpack({**packed.config, "reader": reader}, packed.arrays, packed.texts, target)


def test_reasons_add_up_to_the_step_that_is_asked(
    world: World, trained: Trained[ForecastModel]
) -> None:
    asked = world.folds(SALES, split=MANY).test.asked.take(slice(0, 21))
    said = trained.model.predict(world.relations, asked, threads=1)
    output = np.arange(21) % 7
    found = trained.model.explain(world.relations, asked, top=5, threads=1, output=output)
    for row in range(21):
        total = found.base[row] + found.rest[row]
        total += sum(reason["contribution"] for reason in found.reasons[row])
        assert total == pytest.approx(found.raw[row], abs=1e-6)
        assert len(found.reasons[row]) == 5
    assert found.raw == pytest.approx(said[np.arange(21), output], abs=1e-6)
    first = trained.model.explain(world.relations, asked, top=1, threads=1)
    assert first.raw == pytest.approx(said[:, 0], abs=1e-6)
    names = {reason["feature"] for reasons in found.reasons for reason in reasons}
    assert any("week (7 windows)" in name or "(7 windows)" in name for name in names)


def test_counts_of_a_single_step_and_of_months(world: World, tmp_path: Path) -> None:
    """Another aggregate, a horizon of one, calendar months: shapes and phases hold."""
    folds = world.folds(VISITS, split=MANY)
    model = forecasting.train(world.work(VISITS, folds)).model
    said = model.predict(world.relations, folds.test.asked, threads=1)
    assert mean_error(folds.test, said) < 0.3  # one sale a day, but for the clock time
    one = "PREDICT SUM(sales.amount, 0, 1, months) FORECAST 1 TIMEFRAMES FOR EACH shops.shop_id"
    world = weekly(tmp_path, shops=20, days=300)
    folds = world.folds(one)
    work = world.work(one, folds)
    model = forecasting.train(work).model
    said = model.predict(world.relations, folds.test.asked, threads=1)
    assert said.shape == (len(folds.test), 1)
    assert (said >= 0).all()
    rules = forecasting.baselines(world.relations, work.query, folds, work.features)
    last = next(rule for rule in rules if rule.name == "last value")
    sales = pq.read_table(world.relations.table("sales").parquet)
    anchor = np.datetime64(int(folds.test.asked.anchor[0]), "ns")
    begin = (anchor.astype("M8[M]") - 1).astype("M8[D]") + (
        anchor.astype("M8[D]") - anchor.astype("M8[M]").astype("M8[D]")
    )
    begin = begin.astype("M8[ns]") + (anchor - anchor.astype("M8[D]"))
    at = sales["at"].cast("timestamp[ns]")
    inside = pc.and_(
        pc.and_(pc.greater(at, begin), pc.less_equal(at, anchor)),
        pc.equal(sales["shop_id"], int(folds.test.asked.entity[0])),
    )
    total = pc.sum(pc.filter(sales["amount"], inside)).as_py()
    asked = folds.test.asked.take(slice(0, 1))
    assert last.predict(world.relations, asked, threads=1)[0, 0] == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("block", [1, 10**9], ids=["small blocks", "one block"])
def test_many_entities_need_bounded_memory(
    world: World, trained: Trained[ForecastModel], monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """No more is made of examples at once than a chunk holds; lags are computed once a block.

    Every computation of lags begins with what all rows of the snapshot cost.
    """
    from relcast.learners.forecasting import reader

    asked = world.folds(SALES, split=MANY).test.asked
    whole = trained.model.predict(world.relations, asked, threads=1)
    monkeypatch.setattr(reader, "_CHUNK_BYTES", 1)  # the least: 64 examples
    monkeypatch.setattr(reader, "_BLOCK_BYTES", block)
    seen: list[int] = []
    lags: list[int] = []
    compute, read_lags = reader.StepColumns.compute, reader.read_lags

    def made(columns: reader.StepColumns, *given):  # type: ignore[no-untyped-def]
        seen.append(len(given[0]))
        return compute(columns, *given)

    def read(features, relations, entity, origin, threads: int):  # type: ignore[no-untyped-def]
        lags.append(len(entity))
        return read_lags(features, relations, entity, origin, threads)

    monkeypatch.setattr(reader.StepColumns, "compute", made)
    monkeypatch.setattr(reader, "read_lags", read)
    small = trained.model.predict(world.relations, asked, threads=1)
    assert max(seen) == 64 < len(asked)
    assert lags == ([len(asked)] if block > 1 else seen)
    assert (small == whole).all()


def test_lags_and_the_year_are_what_the_plan_says(tmp_path: Path) -> None:
    from relcast.learners.forecasting.preparing import make_reader
    from relcast.learners.plan import ModelPlan
    from relcast.tasks import TablePlan, TrainingTable, make_training_table

    world = weekly(tmp_path, shops=3, days=300)
    query = world.query(SALES.replace("0, 1, days", "0, 7, days"))
    folds = world.folds(query.text)
    work = world.work(query.text, folds)
    reader = make_reader(world.relations, query, work.features, work.train)
    lags = [name for name in reader.names if name.endswith("windows back")]
    assert len(lags) == 8
    given = (world.relations, query, work.features, work.train)
    few = make_reader(*given, newest=2)
    assert [name for name in few.names if name.endswith("windows back")] == lags[:2]
    assert not [n for n in make_reader(*given, newest=0).names if n.endswith("windows back")]

    plan = TablePlan(lag_timesteps=2, year_over_year=False)
    table = make_training_table(world.snapshot, world.relations, query, plan)
    table.save(tmp_path / "table.parquet")
    table = TrainingTable.load(tmp_path / "table.parquet", world.snapshot, world.relations, query)
    options = ModelPlan(lag_timesteps=5).with_inputs_of(table)
    assert (options.lag_timesteps, options.year_over_year) == (5, False)
    assert ModelPlan().with_inputs_of(table).lag_timesteps == 2


def test_the_year_is_read_where_the_data_shows_one_unless_it_may_not_be(tmp_path: Path) -> None:
    from relcast.learners.forecasting.preparing import make_reader

    world = weekly(tmp_path, shops=3, days=600)
    query = world.query(SALES.replace("0, 1, days", "0, 7, days"))
    folds = world.folds(query.text)
    work = world.work(query.text, folds)
    given = (world.relations, query, work.features, work.train)
    year = make_reader(*given)
    assert [(season.name, season.length) for season in year.seasons] == [("year", 52)]
    assert any("one year (52 windows) before" in name for name in year.names)
    without = make_reader(*given, years=False)
    assert without.seasons == ()
    assert not any("year" in name for name in without.steps.names)


def test_rows_held_back_to_choose_by_share_no_window_with_those_to_learn_from(
    world: World,
) -> None:
    from relcast.learners.forecasting.grid import Grid
    from relcast.learners.forecasting.preparing import hold_back

    grid = Grid.of(world.query(SALES))
    folds = world.folds(SALES)  # one validation anchor
    older, newer = hold_back(grid, folds.train, folds.validation)
    assert newer is not None
    first = newer.asked.anchor.min()
    assert grid.edges(older.asked.anchor).max() <= grid.edges(newer.asked.anchor).min() == first
    assert len(np.unique(newer.asked.anchor)) == 7
    many = world.folds(SALES, split=MANY)  # validation has anchors enough
    assert hold_back(grid, many.train, many.validation) == (many.train, None)
    rows = np.flatnonzero(folds.train.asked.anchor >= np.unique(folds.train.asked.anchor)[-20])
    few = folds.train.take(rows, None)  # too much would be lost
    assert hold_back(grid, few, folds.validation)[1] is None
