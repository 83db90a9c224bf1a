"""Why a model is published is said truthfully: what was better stands in the sentence."""

from __future__ import annotations

import numpy as np
import pytest

from relcast.core.progress import Silent
from relcast.learners.baselines import ConstantBaseline
from relcast.learners.board import Board, Contender
from relcast.learners.chosen import why_published
from relcast.learners.evaluation import Evaluation
from relcast.learners.folds import make_folds
from relcast.learners.leaderboard import Entry
from tests.learners.worlds import REGRESSION, World


@pytest.fixture
def board(world: World) -> Board:
    """A board with one baseline that errs by 10; less is better."""
    from tests.learners.worlds import QUICK

    table = world.table(REGRESSION)
    folds = make_folds(table.examples, table.query, "rolling")
    made = Board(world.relations, table.query, folds, QUICK, Silent())
    assert made.metric == "mae"
    made.baselines.append(_of(made, "baseline", "mean", 10.0))
    return made


def _of(board: Board, family: str, name: str, value: float) -> Contender:
    model = ConstantBaseline(name, board.folds.target, np.zeros(1))
    return Contender(family, model, {}, value)


def said(board: Board) -> str:
    return why_published(board, board.winner())


def test_nothing_trained(board: Board) -> None:
    assert said(board) == "Published is the baseline mean: nothing was trained."


def test_a_baseline_that_nothing_beats(board: Board) -> None:
    board.learned.append(_of(board, "trees", "trees", 11.0))
    assert "baseline mean" in said(board)
    assert "trees, does not validate better" in said(board)


def test_the_better_of_two(board: Board) -> None:
    board.learned += [_of(board, "linear", "linear", 9.0), _of(board, "trees", "trees", 8.0)]
    assert said(board) == (
        "Published is trees: it validates better than linear (mae 8 against mae 9)."
    )


def test_a_blend_below_its_best_part_says_so(board: Board) -> None:
    slack = board.slack
    best = 8.0
    board.learned += [
        _of(board, "linear", "linear", 9.0),
        _of(board, "trees", "trees", best),
        _of(board, "blend", "blend of linear and trees", best * (1 + slack / 2)),
    ]
    sentence = said(board)
    assert sentence.startswith("Published is blend of linear and trees, although trees alone")
    assert f"against mae {best:.4g}" in sentence
    assert f"{len(board.folds.validation):,} rows cannot tell" in sentence


def test_a_learner_that_is_plainly_better_than_the_blend(board: Board) -> None:
    board.learned += [
        _of(board, "linear", "linear", 9.0),
        _of(board, "trees", "trees", 4.0),
        _of(board, "blend", "blend of linear and trees", 6.0),
    ]
    assert said(board) == (
        "Published is trees alone: it validates better than the blend (mae 4 against mae 6)."
    )


def test_a_trial_above_what_is_published_is_named(board: Board) -> None:
    board.learned.append(_of(board, "trees", "trees", 8.0))
    for name, value, trial in (
        ("trees, trial 0", 8.5, 0),
        ("trees, trial 1", 7.5, 1),
        ("trees, trial 2", 7.75, 2),
    ):
        board._entries.append((Entry("trees", name, value, 0.1, trial), None))
    assert (
        "trial (trees, trial 1) was measured better while training (mae 7.5 against mae 8)"
        in said(board)
    )


def test_a_model_says_it_and_keeps_it(world: World) -> None:
    evaluation = world.fit(REGRESSION).evaluation
    assert evaluation.chosen.startswith("Published is ")
    assert Evaluation.from_json(evaluation.to_json()).chosen == evaluation.chosen
    old = {k: v for k, v in evaluation.to_json().items() if k != "chosen"}
    assert Evaluation.from_json(old).chosen == ""
