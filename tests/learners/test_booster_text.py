"""What LightGBM writes passes; numbers that could lead its reader astray do not."""

from __future__ import annotations

import re

import numpy as np
import pytest

from relcast.learners import booster_text, boosting
from relcast.learners.boosting import TreeConfig


def _grow(objective: str, classes: int, *, seed: int = 0, leaves: int = 15) -> str:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(600, 5)).astype(np.float32)
    values[:, 3] = rng.integers(0, 40, 600)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[:, 4] = np.where(rng.random(600) < 0.5, 1.0, np.nan)  # splits on missing alone
    signal = np.nan_to_num(values[:, 0]) + (values[:, 3] % 3 == 0) + np.isnan(values[:, 4])
    label = signal if classes == 1 else np.digitize(signal, [0.3, 1.2])[: len(signal)]
    if objective == "binary":
        label = (signal > 0.5).astype(float)
    config = TreeConfig(
        objective, "", num_leaves=leaves, min_data_in_leaf=5, feature_fraction=1, num_class=classes
    )
    data = boosting.make_data(values, label.astype(float), None, [3], 1)
    return boosting.grow(config, data, None, iterations=12, patience=12, seed=seed, threads=1).text


@pytest.mark.parametrize(
    ("objective", "classes"),
    [("regression", 1), ("regression_l1", 1), ("huber", 1), ("binary", 1), ("multiclass", 3)],
)
def test_what_lightgbm_writes_passes(objective: str, classes: int) -> None:
    for seed in range(5):
        text = _grow(objective, classes, seed=seed)
        booster_text.check(text, features=5, outputs=classes)
        assert "parameters" not in text
        assert boosting.load(text).num_trees() == 12 * classes


def test_a_tree_that_could_not_split_passes() -> None:
    data = boosting.make_data(np.zeros((50, 2), np.float32), np.arange(50.0), None, [], 1)
    text = boosting.grow(
        TreeConfig("regression", ""), data, None, iterations=3, patience=3, seed=0, threads=1
    ).text
    booster_text.check(text, features=2, outputs=1)
    raw = boosting.raw_scores(boosting.load(text), np.zeros((2, 2), np.float32), 1)
    assert raw == pytest.approx(24.5)


def test_a_model_of_other_features_or_outputs_is_refused() -> None:
    text = _grow("binary", 1)
    for wrong in ({"features": 4, "outputs": 1}, {"features": 5, "outputs": 3}):
        with pytest.raises(ValueError, match="header"):
            booster_text.check(text, **wrong)


def test_any_number_used_as_index_is_bounded() -> None:
    """Every entry of every index array is set out of range in turn."""
    text = _grow("regression", 1)
    fields = ("split_feature", "left_child", "right_child", "cat_boundaries", "cat_threshold")
    tried = 0
    for name in fields:
        for match in list(re.finditer(rf"^{name}=(.*)$", text, re.MULTILINE))[:3]:
            words = match[1].split(" ")
            for place, word in enumerate(words):
                wrong = "9" * len(word)  # the same length, so that the sizes still fit
                if name == "cat_threshold":
                    wrong = "-" + "1" * (len(word) - 1) if len(word) > 1 else "-"
                if wrong == word or (int(word) < 0 and len(word) < 3):
                    continue
                if name == "split_feature" or len(wrong) > 1:
                    changed = [*words[:place], wrong, *words[place + 1 :]]
                    broken = text[: match.start(1)] + " ".join(changed) + text[match.end(1) :]
                    with pytest.raises(ValueError, match=r"tree|convert"):
                        booster_text.check(broken, features=5, outputs=1)
                    tried += 1
    assert tried > 50
