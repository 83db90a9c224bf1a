"""A model's report as its page reads it, for every task type, with reports of real small fits."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from relcast.learners.certificate import Certificate
from relcast.ui.evaluation.reading import (
    Confusion,
    cohorts_of,
    confusions_of,
    curves_of,
    groups_of,
    pairs,
    spans_of,
    split_words,
    splits_of,
    start_of,
    trust_of,
)
from relcast.ui.explanation.reading import told_of
from relcast.ui.results import headline, importance, scores_of
from relcast.ui.trials import leaderboard_of
from tests.ui.reports import NAMES, Told, told


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


@pytest.fixture
def made(folder: Path, name: str) -> Told:
    return told(folder, name)


every_task = pytest.mark.parametrize("name", NAMES)


@every_task
def test_a_report_has_everything_that_its_page_shows(made: Told, name: str) -> None:
    report = made.report
    assert splits_of(report) == ["test", "validation"]
    for split in splits_of(report):
        curves = curves_of(report, split)
        scores = scores_of(report, split)
        assert scores is not None
        assert scores.split == split
        rows = scores.rows
        spans = spans_of(curves)
        assert sum(span.rows for span in spans) == (0 if name.startswith("static") else rows)
        grouped = groups_of(curves)
        assert grouped
        assert all(sum(group.rows for group in one.groups) == rows for one in grouped)
    assert headline(report) is not None
    trust = trust_of(report)
    assert trust is not None
    assert trust.passed
    assert len(trust.facts) == 6
    assert "all held" in trust.sentence
    said = split_words(report, made.lineage)
    assert "teach the model" in said[0]
    assert f"{made.report['model']['test']['rows']:,} rows are looked at once" in said[0]
    if report["importance"]["features"]:
        assert sum(line.share for line in importance(report, "tables", 99)) == pytest.approx(1)
    cohorts = cohorts_of(report)
    assert cohorts or name not in ("binary", "multiclass", "regression", "forecasting")
    assert all(cohort.groups for cohort in cohorts)
    assert {e.kind for e in leaderboard_of(report)} > {"baseline"}


def test_the_split_is_said_with_its_moments(folder: Path) -> None:
    made = told(folder, "binary")
    said = split_words(made.report, made.lineage)
    assert any(s.startswith("The last answer of train is settled by 2021-") for s in said)
    assert said[-1].startswith("Rolling")
    static = told(folder, "static_multilabel")
    assert split_words(static.report, static.lineage)[-1].startswith("The query has no time")
    assert split_words(None, None) == []


def test_confusions_agree_with_the_curves_and_with_the_metrics(folder: Path) -> None:
    report = told(folder, "binary").report
    curves = curves_of(report, "test")
    confusions = confusions_of(curves)
    scores = scores_of(report, "test")
    assert scores is not None
    assert {c.rows for c in confusions} == {scores.rows}
    assert [c.threshold for c in confusions] == sorted(c.threshold for c in confusions)
    first, half = confusions[0], confusions[start_of(confusions)]
    assert (first.recall, first.said_true) == (1.0, 1.0)
    assert half.threshold == 0.5
    assert half.accuracy == pytest.approx(scores.model.value("acc"))
    assert half.f1 == pytest.approx(scores.model.value("f1"))
    assert half.precision == pytest.approx(scores.model.value("precision"))
    # A threshold's mark stands on the ROC curve: between the curve's neighbours, both ways.
    roc = pairs(curves["roc"], "false_positive_rate", "true_positive_rate")
    for one in confusions:
        assert one.false_alarms is not None
        assert one.recall is not None
        below = [y for x, y in roc if x <= one.false_alarms]
        above = [y for x, y in roc if x >= one.false_alarms]
        assert min(below) <= one.recall <= max(above)


def test_shares_of_nothing_are_none() -> None:
    nothing = Confusion(0.5, 0, 0, 0, 0)
    assert nothing.precision is None
    assert nothing.recall is None
    assert nothing.f1 is None
    assert Confusion(0.5, 0, 0, 3, 5).precision is None
    assert confusions_of({}) == []
    assert start_of([]) == 0


@every_task
def test_curves_fit_the_task_type(made: Told, name: str) -> None:
    curves = curves_of(made.report, "test")
    kind = name.removeprefix("static_")
    wanted = {
        "binary": {"roc", "pr", "calibration", "gain", "thresholds"},
        "multiclass": {"confusion", "calibration"},
        "multilabel": {"labels", "calibration"},
        "regression": {"residuals", "predicted_actual"},
        "forecasting": {"residuals", "predicted_actual", "fan"},
        "ranking": {"by_k"},
        "links": {"by_k"},
    }[kind]
    assert wanted <= set(curves)


def test_missing_numbers_of_a_curve_are_not_a_number() -> None:
    points = pairs({"x": [None, 1.0], "y": [0.0, 2.0]}, "x", "y")
    assert math.isnan(points[0][0])
    assert points[1] == (1.0, 2.0)
    assert pairs(None, "x", "y") == []


def test_a_failed_certificate_is_loud(folder: Path) -> None:
    stored = told(folder, "binary").report["certificate"]
    whole = Certificate.from_json(stored)
    gap = replace(whole.gaps[0], disjoint=False)
    broken = replace(whole, gaps=(gap, *whole.gaps[1:]))
    trust = trust_of({"certificate": broken.to_json()})
    assert trust is not None
    assert not trust.passed
    assert trust.failures == (
        "Label windows of train and validation overlap: figures of validation are too good.",
    )
    assert trust.suspicions == ()
    assert "not to be trusted" in trust.sentence
    assert trust_of({}) is None
    assert trust_of(None) is None


@every_task
def test_an_explanation_is_read_with_its_signs(made: Told, name: str) -> None:
    found = told_of(made.explanation)
    assert f"{found.prediction:.4g}" in found.summary
    assert max(abs(force.share) for force in found.forces) in (0.0, 1.0)
    for force in found.forces:
        assert (force.share < 0) == (force.contribution < 0)
    total = found.base + sum(f.contribution for f in found.forces) + found.rest
    if len(made.explanation["reasons"]) == len(found.forces):
        assert total == pytest.approx(found.raw, abs=1e-6)
    assert bool(found.output) == (name not in ("binary", "regression"))
    assert (found.moment is None) == name.startswith("static")
    for rows in found.tables.values():
        times = [row.time for row in rows if row.time is not None]
        assert times == sorted(times)
        assert found.moment is None or all(t <= found.moment for t in times)
    assert len(found.instead) == len(made.explanation["counterfactuals"])


def test_a_counterfactual_is_a_sentence() -> None:
    found = told_of(
        {
            "entity": 7,
            "anchor": "2024-09-01T00:00:00Z",
            "output": None,
            "prediction": 0.6412,
            "raw": 0.5,
            "base": 0.0,
            "rest": 0.0,
            "reasons": [
                {"feature": "count", "value": None, "contribution": -0.2},
                {"feature": "year", "value": 2024, "contribution": 0.4},
            ],
            "rows": [],
            "counterfactuals": [
                {"without": "these 3 rows of orders", "rows": [0], "prediction": 0.31},
                {"without": "its one row of visits", "rows": [1], "prediction": 0.6409},
                {"without": "its one row of notes", "rows": [2], "prediction": 0.6412},
            ],
            "summary": "",
        }
    )
    assert found.instead == (
        "Without these 3 rows of orders: 0.31 instead of 0.64.",
        "Without its one row of visits: 0.6409 instead of 0.6412.",
        "Without its one row of notes: 0.6412 as before.",
    )
    assert [(f.value, f.share) for f in found.forces] == [("missing", -0.5), ("2024", 1.0)]
    assert found.anchor == "2024-09-01 00:00:00 UTC"
