"""Check a LightGBM text before LightGBM reads it.

LightGBM's reader trusts its file: a child index or an offset out of range makes it read foreign
memory. A bundle may come from anywhere, so every number that the reader uses as an index or a
length is checked here, and everything that it does not need is cut off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

__all__ = ["check", "trim"]

Numbers = npt.NDArray[np.float64]

_END = "end of trees\n"
_TAIL = f"{_END}\npandas_categorical:null\n"
_MOST_LEAVES = 4096
_MOST_TREES = 200_000
_OBJECTIVE = re.compile(
    r"regression|regression_l1|huber|quantile|binary sigmoid:1"
    r"|multiclass num_class:[0-9]+|lambdarank|rank_xendcg"
)
_HEADER = (
    "version",
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "objective",
    "feature_names",
    "feature_infos",
    "tree_sizes",
)
_PER_SPLIT = (
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "internal_value",
    "internal_weight",
    "internal_count",
)
_PER_LEAF = ("leaf_value", "leaf_weight", "leaf_count")
_SCALARS = ("num_leaves", "num_cat", "is_linear", "shrinkage")
_TREE = {*_PER_SPLIT, *_PER_LEAF, *_SCALARS, "cat_boundaries", "cat_threshold"}


def trim(text: str) -> str:
    """Return a LightGBM text without its parameters and importances."""
    return text[: text.index(_END)] + _TAIL


def check(text: str, *, features: int, outputs: int) -> None:
    """Raise ``ValueError`` unless ``text`` is a sound model.

    Args:
        text: What ``trim`` returned, once.
        features: Features that the model may look at.
        outputs: Trees per iteration (classes of a multiclass model, else 1).
    """
    if not text.isascii() or not text.endswith(_TAIL) or not text.startswith("tree\n"):
        raise ValueError("a booster is not a LightGBM text")
    body = text[: -len(_TAIL)]
    head, blank, rest = body.partition("\n\n")
    header = _pairs(head.split("\n")[1:])
    if set(header) - set(_HEADER) or not set(_HEADER) - {"tree_sizes"} <= set(header) or not blank:
        raise ValueError("a booster's header has unknown or missing lines")
    if (
        header["version"] != "v4"
        or header["num_tree_per_iteration"] != str(outputs)
        or header["num_class"] != str(outputs)
        or header["label_index"] != "0"
        or header["max_feature_idx"] != str(features - 1)
        or len(header["feature_names"].split(" ")) != features
        or len(header["feature_infos"].split(" ")) != features
        or not _OBJECTIVE.fullmatch(header["objective"])
    ):
        raise ValueError("a booster's header does not fit the model")
    _check_trees(rest, header.get("tree_sizes", ""), features, outputs)


def _check_trees(rest: str, sizes: str, features: int, outputs: int) -> None:
    lengths = [int(size) for size in sizes.split()]
    if not 0 < len(lengths) <= _MOST_TREES or len(lengths) % outputs or min(lengths) <= 0:
        raise ValueError("a booster's number of trees is out of range")
    if sum(lengths) != len(rest):
        raise ValueError("a booster's tree sizes do not add up")
    begin = 0
    for number, length in enumerate(lengths):
        block = rest[begin : begin + length]
        begin += length
        first, _, lines = block.partition("\n")
        if first != f"Tree={number}" or not lines.endswith("\n\n"):
            raise ValueError(f"tree {number} does not begin and end where it should")
        _check_tree(number, _pairs(lines.rstrip("\n").split("\n")), features)


def _pairs(lines: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals or name in pairs:
            raise ValueError("a booster has a broken or doubled line")
        pairs[name] = value
    return pairs


def _check_tree(number: int, tree: Mapping[str, str], features: int) -> None:
    if set(tree) - _TREE or "num_leaves" not in tree or "leaf_value" not in tree:
        raise ValueError(f"tree {number} has unknown or missing lines")
    leaves, categories = int(tree["num_leaves"]), int(tree.get("num_cat", "0"))
    if not 1 <= leaves <= _MOST_LEAVES or not 0 <= categories < leaves:
        raise ValueError(f"tree {number} has an impossible number of leaves")
    if tree.get("is_linear", "0") != "0":
        raise ValueError(f"tree {number} is of a kind that is not used here")
    _array(number, "shrinkage", tree.get("shrinkage", "1"), 1)
    splits = leaves - 1
    arrays = {
        name: _array(number, name, tree[name], count)
        for names, count in ((_PER_SPLIT, splits), (_PER_LEAF, leaves))
        for name in names
        if name in tree and (count > 0 and not (leaves == 1 and tree[name] == ""))
    }
    if splits == 0:
        return
    if not set(_PER_SPLIT) <= set(arrays):
        raise ValueError(f"tree {number} lacks lines")
    feature, kind = arrays["split_feature"], arrays["decision_type"]
    if not _whole(feature, 0, features - 1) or not _whole(kind, 0, 15):
        raise ValueError(f"tree {number} splits on a feature that there is not")
    _check_shape(number, arrays["left_child"], arrays["right_child"], leaves)
    _check_categories(number, tree, arrays["threshold"][kind.astype(int) % 2 == 1], categories)


def _check_shape(number: int, left: Numbers, right: Numbers, leaves: int) -> None:
    splits = leaves - 1
    children = np.concatenate([left, right])
    if not _whole(children, -leaves, splits - 1) or len(np.unique(children)) != len(children):
        raise ValueError(f"tree {number} has a child that there is not, or one twice")
    # LightGBM numbers a child after its parent, which rules out a circle.
    later = (left < 0) | (left > np.arange(splits))
    later &= (right < 0) | (right > np.arange(splits))
    if not later.all():
        raise ValueError(f"tree {number} has a circle")


def _check_categories(
    number: int, tree: Mapping[str, str], threshold: Numbers, categories: int
) -> None:
    if categories == 0:
        if len(threshold) or "cat_boundaries" in tree or "cat_threshold" in tree:
            raise ValueError(f"tree {number} has categorical splits without categories")
        return
    bounds = _array(number, "cat_boundaries", tree.get("cat_boundaries", ""), categories + 1)
    words = tree.get("cat_threshold", "").split(" ")
    if (
        not _whole(bounds, 0, len(words))
        or bounds[0] != 0
        or bounds[-1] != len(words)
        or not (np.diff(bounds) >= 0).all()
        or not _whole(_array(number, "cat_threshold", " ".join(words), len(words)), 0, 2**32 - 1)
        or not _whole(threshold, 0, categories - 1)
    ):
        raise ValueError(f"tree {number} has categories out of range")


def _array(number: int, name: str, text: str, count: int) -> Numbers:
    words = text.split(" ")
    values = np.array(words, dtype=np.float64)
    # A split between missing and not missing has the threshold inf; nothing else is unbounded.
    sound = ~np.isnan(values) if name == "threshold" else np.isfinite(values)
    if len(words) != count or not sound.all():
        raise ValueError(f"{name} of tree {number} has not {count} sound numbers")
    return values


def _whole(values: Numbers, low: int, high: int) -> bool:
    return bool(((values >= low) & (values <= high) & (values == np.floor(values))).all())
