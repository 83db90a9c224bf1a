"""Calibrated probabilities mean what they say and keep the order of rows."""

from __future__ import annotations

import numpy as np
import pytest

from relcast.learners.calibration import Calibration, choose_calibration


def _draw(n: int, slope: float, offset: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.normal(0, 2, n)
    truth = 1 / (1 + np.exp(-(slope * score + offset)))
    return score, (rng.random(n) < truth).astype(float)


def test_an_overconfident_model_is_calmed() -> None:
    score, target = _draw(4_000, 0.4, -1.0, 0)
    chosen = choose_calibration(score, target, seed=0)
    assert chosen.kind == "platt"
    assert chosen.slope == pytest.approx(0.4, abs=0.05)
    assert chosen.offset == pytest.approx(-1.0, abs=0.1)


def test_a_bent_model_gets_the_isotonic_map() -> None:
    rng = np.random.default_rng(0)
    score = rng.uniform(-3, 3, 6_000)
    truth = np.where(score < 0, 0.1, np.where(score < 1, 0.5, 0.55))
    target = (rng.random(6_000) < truth).astype(float)
    chosen = choose_calibration(score, target, seed=0)
    assert chosen.kind == "isotonic"
    said = chosen.apply(np.array([-2.0, 0.5, 2.5]))
    assert said == pytest.approx([0.1, 0.5, 0.55], abs=0.04)


@pytest.mark.parametrize("seed", range(20))
def test_every_calibration_keeps_the_order(seed: int) -> None:
    score, target = _draw(400, 0.7, 0.3, seed)
    chosen = choose_calibration(score, target, seed)
    wide = np.sort(np.concatenate([score, np.linspace(-20, 20, 200)]))
    said = chosen.apply(wide)
    assert (np.diff(said)[np.diff(wide) > 1e-9] > 0).all()
    assert ((said > 0) & (said < 1)).all()
    assert Calibration.from_json(chosen.to_json()) == chosen


def test_few_rows_of_a_class_are_left_as_they_are() -> None:
    score, target = _draw(200, 0.2, -4.0, 1)
    assert target.sum() < 25
    assert choose_calibration(score, target, 0) == Calibration()


def test_a_map_that_falls_is_refused() -> None:
    good = Calibration("isotonic", 1.0, 0.0, ((0.0, 0.1), (1.0, 0.9))).to_json()
    for change in (
        {"slope": -1.0},
        {"kind": "pickle"},
        {"knots": [[0.0, 0.9], [1.0, 0.1]]},
        {"knots": []},
        {"offset": float("nan")},
    ):
        with pytest.raises(ValueError, match="calibration"):
            Calibration.from_json({**good, **change})
