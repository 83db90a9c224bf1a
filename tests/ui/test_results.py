from __future__ import annotations

import pytest

from relcast.core.schema import TaskType
from relcast.learners.evaluation import Evaluation, Measured, Split
from relcast.learners.metrics import default_metrics, is_greater_better
from relcast.ui.results import headline, importance, is_smaller_better, scores_of
from relcast.ui.trials import (
    Report,
    curves_of,
    leaderboard_of,
    notes_of,
    report_of,
    standing_of,
    trials_of,
)


def split(**metrics: float) -> Split:
    return Split(10, 5, {name: Measured(v, v - 0.1, v + 0.1) for name, v in metrics.items()})


def report(metric: str, model: Split, **baselines: Split) -> dict:
    return Evaluation(
        task_type=TaskType.REGRESSION,
        tune_metric=metric,
        regime="rolling",
        learner="trees",
        model={"validation": model, "test": model},
        baselines={n.replace("_", " "): {"test": s} for n, s in baselines.items()},
        best_baseline="entity mean",
        verdict="Better.",
        beats_baseline=True,
    ).to_json()


def test_an_error_is_better_when_it_is_smaller() -> None:
    told = report(
        "mae",
        split(mae=2.0, rmse=3.0),
        global_mean=split(mae=4.0, rmse=3.5),
        entity_mean=split(mae=3.0, rmse=2.5),
    )
    scores = scores_of(told)
    assert scores is not None
    assert [r.name for r in scores.rivals] == ["Model (trees)", "entity mean", "global mean"]
    assert scores.metrics == ("mae", "rmse")
    assert scores.winner("mae") == "Model (trees)"
    assert scores.winner("rmse") == "entity mean"
    assert [scores.share(r) for r in scores.rivals] == [0.5, 0.75, 1.0]
    assert scores.model.metrics["mae"] == (2.0, 1.9, 2.1)
    figure = headline(told)
    assert figure is not None
    assert (figure.value, figure.baseline, figure.beats) == (2.0, 3.0, True)


def test_auroc_is_better_when_it_is_larger() -> None:
    told = report("auroc", split(auroc=0.7), prior=split(auroc=0.5), entity_mean=split(auroc=0.8))
    figure = headline(told)
    assert figure is not None
    assert figure.beats is False
    scores = scores_of(told)
    assert scores is not None
    assert [r.name for r in scores.rivals][1:] == ["entity mean", "prior"]


def test_nothing_gives_nothing() -> None:
    assert scores_of(None) is None
    assert scores_of({}) is None
    assert headline({"model": {}, "tune_metric": "mae"}) is None
    assert importance({}, "features") == []
    assert leaderboard_of(None) == []


def test_importance_is_a_share_of_everything_listed() -> None:
    told = {"importance": {"features": [{"name": "a", "share": 0.2}, {"name": "b", "share": 0.6}]}}
    lines = importance(told, "features", 1)
    assert [(line.name, round(line.share, 3)) for line in lines] == [("b", 0.75)]


def test_reports_of_a_training_are_read_and_other_events_are_not() -> None:
    said = report_of(
        {"learner": "trees", "trial": 1, "iteration": 20, "metric": "loss", "validation": 0.5}
    )
    assert said is not None
    assert (said.trial, said.iteration, said.value) == (1, 20, 0.5)
    assert report_of({"stage": "Training", "state": "RUNNING"}) is None
    assert report_of({"learner": "prior", "metric": "auroc", "validation": None}) is None


def test_lines_without_a_value_are_not_on_the_leaderboard() -> None:
    lines = [
        {"name": "trees", "validation": 0.9, "seconds": 2.0, "published": True},
        {"name": "blend", "validation": None, "seconds": 1.0, "published": False},
    ]
    assert [(e.name, e.published) for e in leaderboard_of({"leaderboard": lines})] == [
        ("trees", True)
    ]


def test_a_training_shows_its_standing_and_a_line_for_every_trial() -> None:
    reports = [
        Report("global mean", None, None, "mae", 17.0, "baseline"),
        Report("entity mean", None, None, "mae", 15.0, "baseline"),
        Report("trees, trial 0", 0, 10, "l1", 0.9, "trees"),
        Report("trees, trial 0", 0, 20, "l1", 0.8, "trees"),
        Report("trees, trial 0", 0, 20, "mae", 14.0, "trees"),
        Report("trees, trial 1", 1, 10, "l1", 0.7, "trees"),
        Report("trees, trial 1", 1, 20, "l1", 0.75, "trees"),
        Report("gnn, trial 2", 2, 1, "mae", 16.0, "gnn"),
        Report("gnn, trial 2", 2, 2, "mae", 13.0, "gnn"),
    ]
    assert [r.learner for r in standing_of(reports)] == [
        "gnn, trial 2",
        "trees, trial 0",
        "entity mean",
        "global mean",
    ]
    found = curves_of(reports)
    assert [
        (c.metric, [[(r.iteration, r.value) for r in line] for line in c.lines]) for c in found
    ] == [
        ("l1", [[(10, 0.9), (20, 0.8)], [(10, 0.7), (20, 0.75)]]),
        ("mae", [[(1, 16.0), (2, 13.0)]]),
    ]
    assert [c.best.value for c in found] == [0.7, 13.0]
    assert standing_of([]) == []
    assert curves_of(reports[:2]) == []


def test_every_learner_has_a_line_from_trial_to_trial() -> None:
    reports = [
        Report("entity mean", None, None, "auroc", 0.6, "baseline"),
        Report("linear, trial 0", 0, 1, "auroc", 0.7, "linear"),
        Report("linear, trial 0", 0, 1, "auroc", 0.71, "linear"),
        Report("linear, trial 1", 1, 1, "auroc", 0.72, "linear"),
        Report("trees, trial 2", 2, 10, "binary_logloss", 0.5, "trees"),
        Report("trees, trial 2", 2, 20, "auroc", 0.8, "trees"),
    ]
    assert curves_of(reports) == []
    found = trials_of(reports)
    assert found is not None
    assert [[(r.trial, r.value) for r in line] for line in found.lines] == [
        [(0, 0.71), (1, 0.72)],
        [(2, 0.8)],
    ]
    assert found.best.learner == "trees, trial 2"
    assert trials_of(reports[:2]) is None


def test_a_metric_that_grows_by_being_better_has_its_best_at_the_top() -> None:
    reports = [Report("gnn, trial 0", 0, k, "auroc", v, "gnn") for k, v in ((1, 0.6), (2, 0.9))]
    assert curves_of(reports)[0].best.value == 0.9


@pytest.mark.parametrize("task_type", list(TaskType))
def test_ui_and_learners_agree_which_way_is_better(task_type: TaskType) -> None:
    for metric in default_metrics(task_type):
        assert is_smaller_better(metric) is not is_greater_better(metric), metric


def test_losses_that_learners_watch_are_better_when_they_are_smaller() -> None:
    for metric in ("l1", "l2", "binary_logloss", "multi_logloss", "log_loss"):
        assert is_smaller_better(metric), metric
    assert not is_smaller_better("ndcg@10")


def test_a_learner_that_is_not_installed_is_named() -> None:
    said = "The learner gnn did not take part: torch is not installed."
    assert notes_of({"model": {"absent": [said]}}) == [said]
    assert notes_of(None) == []
