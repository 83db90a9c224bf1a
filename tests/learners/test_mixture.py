"""A blend of learners: the mean where it is fair, reasons that add up, a bundle that comes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from relcast.core.progress import Silent
from relcast.core.schema import TaskType
from relcast.learners import FittedModel, contenders, fit
from relcast.learners.baselines import ConstantBaseline
from relcast.learners.blending import tolerance
from relcast.learners.board import Board, Contender
from relcast.learners.folds import make_folds
from relcast.learners.mixture import Mixture, mixed, mixture_of
from relcast.learners.protocol import Asked, Packed, Target
from tests.learners.worlds import BINARY, MULTICLASS, QUICK, REGRESSION, World


@pytest.mark.parametrize("query", [BINARY, MULTICLASS, REGRESSION])
def test_a_blend_predicts_explains_itself_and_comes_back(query: str, world: World) -> None:
    first = world.fit(query)
    other = world.fit(query, replace(QUICK, seed=1))
    members = [first.predictor, other.predictor]
    target = first.target
    model = mixture_of(target, [0.25, 0.75], members)
    examples = world.table(query).examples
    asked = Asked.rolling(examples.entity[:80], examples.anchor[:80])
    said = [m.predict(world.relations, asked, threads=1) for m in members]
    found = model.predict(world.relations, asked, threads=1)
    if target.task_type is TaskType.REGRESSION:
        assert found == pytest.approx(0.25 * said[0] + 0.75 * said[1])
    else:
        assert (found >= np.minimum(*said) - 1e-9).all() or target.classes is not None
        odds = [np.log(p / (1 - p)) for p in said]
        if target.classes is None:
            wanted = 0.25 * odds[0] + 0.75 * odds[1]
            assert np.log(found / (1 - found)) == pytest.approx(wanted)
        else:
            assert found.sum(axis=1) == pytest.approx(1)
    why = model.explain(world.relations, asked, top=3, threads=1)
    parts = [sum(r["contribution"] for r in reasons) for reasons in why.reasons]
    assert why.base + parts + why.rest == pytest.approx(why.raw, abs=1e-6)
    assert all(len({r["feature"] for r in reasons}) == len(reasons) <= 3 for reasons in why.reasons)
    packed = model.pack()
    again = contenders.unpack(packed.config, packed.arrays, packed.texts, target)
    assert np.array_equal(again.predict(world.relations, asked, threads=1), found)
    assert again.name == model.name


def test_a_fan_goes_with_the_blend() -> None:
    class Fanned(ConstantBaseline):
        def quantiles(self, relations, asked, *, levels, threads):
            return self.predict(relations, asked)[:, None] + np.array([-1.0, 0.0, 1.0])

    target = Target(TaskType.REGRESSION)
    members = [ConstantBaseline("a", target, np.array([4.0])), Fanned("b", target, np.array([8.0]))]
    asked = Asked(np.arange(2), None, None)
    model = mixture_of(target, [0.5, 0.5], members)
    assert (
        model.quantiles(None, asked, levels=(0.1, 0.5, 0.9), threads=1).tolist() == [[5, 6, 7]] * 2
    )
    plain = mixture_of(target, [0.5, 0.5, 0.0], [members[0], members[0], members[1]])
    assert type(plain) is Mixture
    assert not hasattr(plain, "quantiles")


def test_a_broken_blend_is_refused() -> None:
    target = Target(TaskType.REGRESSION)
    member = {"kind": "constant", "name": "a"}
    good = {"kind": "mixture", "members": [{"weight": 0.5, "config": member}] * 2}
    arrays = {"m0.answer": np.ones(1), "m1.answer": np.zeros(1)}
    assert contenders.unpack(good, arrays, {}, target).name == "blend of a and a"
    for entries in (
        [{"weight": 1.0, "config": member}],
        [{"weight": 0.9, "config": member}] * 2,
        [{"weight": 0.5, "config": good}] * 2,
    ):
        with pytest.raises(ValueError):
            contenders.unpack({"kind": "mixture", "members": entries}, arrays, {}, target)
    with pytest.raises(KeyError):
        contenders.unpack(good, {"m0.answer": np.ones(1)}, {}, target)


def test_the_board_blends_what_helps_and_leaves_what_does_not(world: World) -> None:
    table = world.table(REGRESSION)
    folds = make_folds(table.examples, table.query, "rolling")
    truth = folds.validation.label
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 30, (2, len(truth)))
    for spoiled, blends in (([noise[0], noise[1]], True), ([noise[0], 40 + 9 * noise[1]], False)):
        board = Board(world.relations, table.query, folds, QUICK, Silent())
        for name, error in zip("ab", spoiled, strict=True):
            said = {"validation": truth + error, "test": np.zeros(len(folds.test))}
            value = board.value(folds.validation, said["validation"])
            model = ConstantBaseline(name, folds.target, np.zeros(1))
            board.learned.append(Contender(name, model, said, value))
        board.blend()
        assert (len(board.learned) == 3) == blends
    half = mixed(folds.target, [truth + noise[0], truth + noise[1]], [0.5, 0.5])
    assert np.abs(half - truth).mean() < np.abs(noise[0]).mean()


@pytest.mark.parametrize("query", [BINARY, MULTICLASS])
def test_all_that_suit_take_part_and_what_wins_is_whole(
    query: str, world: World, tmp_path: Path
) -> None:
    plan = replace(QUICK, learners=None)
    table = world.table(query)
    model = fit(world.relations, table.query, table, plan)
    tried = {entry.learner for entry in model.leaderboard}
    assert {"baseline", *(f.name for f in contenders.families(model.target, plan))} <= tried
    (published,) = [entry for entry in model.leaderboard if entry.published]
    best = max(entry.validation for entry in model.leaderboard if entry.trial is None)
    slack = tolerance(int((table.examples.split == 1).sum()))
    blended = published.learner == "blend" and published.validation >= best * (1 - slack)
    assert published.validation == best or blended
    assert model.certificate.passed
    assert model.importance.features
    entity, anchor = table.examples.entity[:50], table.examples.anchor[:50]
    said = model.predict(world.relations, entity, anchor).values
    model.save(tmp_path / "model")
    again = FittedModel.load(tmp_path / "model").predict(world.relations, entity, anchor).values
    assert np.array_equal(said, again)


def test_packed_parts_keep_apart() -> None:
    class Part(ConstantBaseline):
        def pack(self) -> Packed:
            return Packed(
                {"kind": "constant", "name": self.name},
                {"answer": self.answer},
                {"a.txt": self.name},
            )

    target = Target(TaskType.REGRESSION)
    packed = mixture_of(
        target, [0.5, 0.5], [Part("x", target, np.ones(1)), Part("y", target, np.zeros(1))]
    ).pack()
    assert packed.texts == {"m0-a.txt": "x", "m1-a.txt": "y"}
    assert set(packed.arrays) == {"m0.answer", "m1.answer"}
