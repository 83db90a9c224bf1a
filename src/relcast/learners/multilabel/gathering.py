"""Fit what speaks for classes, and gather the (example, class) pairs that trees learn from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners.multilabel.affinity import PROFILES, Affinity
from relcast.learners.multilabel.evidence import SIGNS, Evidence, Seen, read_features
from relcast.learners.multilabel.linear import Design, solve
from relcast.learners.multilabel.memory import ClassMemory, Remembered
from relcast.learners.multilabel.pairs import candidates, pair_matrix
from relcast.learners.protocol import Asked, Fold
from relcast.tasks import Lists

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.relations import Relations

__all__ = [
    "Ground",
    "Pairs",
    "all_pairs",
    "fit_logistic",
    "gather",
    "labels_of",
    "lists_of",
    "sample_pairs",
]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_FOLDS = 8
_RECENT = 0.15
_MANY = 500
_COLUMNS, _COLUMNS_OF_MANY = 240, 96
"""Columns of the regression; with more than 500 classes each is dear."""
_LOGISTIC_CELLS = 400_000


@dataclass(frozen=True)
class Pairs:
    """Pairs as trees take them: float32[p, columns], 0 or 1, and how many pairs each stands for."""

    matrix: Values
    label: Float
    weight: Float


@dataclass(frozen=True)
class Ground:
    """Training examples with tables that leave out each group of entities in turn.

    Attributes:
        evidence: From all of them.
        fold: The examples.
        labels: Sparse float64[n, classes].
        values: float32[n, f] features.
        memory: Past classes.
        group: int64[n] which group an example's entity is in.
        affinities, ridges: By group: the tables from the other groups.
    """

    evidence: Evidence
    fold: Fold
    labels: Any
    values: Values
    memory: Remembered
    group: Index
    affinities: tuple[tuple[Affinity, ...], ...]
    ridges: tuple[Float, ...]

    def chunks(self) -> Iterator[tuple[Index, Seen]]:
        """Yield rows of one group at a time, and what was read of them by the others' tables."""
        for number in range(_FOLDS):
            rows = np.flatnonzero(self.group == number)
            for part in self.evidence.chunks(len(rows)):
                some = rows[part]
                memory = self.memory.take(some)
                signs = self.evidence.signs(
                    self.values[some], memory, self.affinities[number], self.ridges[number]
                )
                score = self.evidence.score(signs)
                yield some, Seen(self.values[some], memory, signs, score)

    def weight(self) -> Float:
        """Return how much each example counts, float64[n]."""
        return np.ones(len(self.fold)) if self.fold.weight is None else self.fold.weight


def lists_of(fold: Fold) -> Lists:
    """Return the classes of each example as lists; one of each for a multiclass task."""
    if fold.lists is not None:
        return fold.lists
    return Lists(np.arange(len(fold) + 1, dtype=np.int64), fold.label.astype(np.int64))


def labels_of(lists: Lists, width: int) -> Any:
    """Return lists as sparse float64[n, classes]."""
    from scipy.sparse import csr_array

    ones = np.ones(len(lists.values))
    return csr_array((ones, lists.values, lists.offsets), shape=(len(lists), width))


def gather(
    relations: Relations,
    fold: Fold,
    features: FeatureSet,
    classes: tuple[Any, ...],
    *,
    threads: int,
    seed: int,
) -> Ground:
    """Fit the evidence on training examples, and once more without each group of entities."""
    width = len(classes)
    asked = fold.asked
    values = read_features(features, relations, asked, threads)
    labels = labels_of(lists_of(fold), width)
    weight = np.ones(len(fold)) if fold.weight is None else fold.weight
    weighed = labels.multiply(weight[:, None]).tocsr()
    prior = _shares(weighed, weight, None)
    recent = _shares(weighed, weight, _newest(asked), prior)
    memory_of = ClassMemory.of(relations, features.entity_table, features.target, classes)
    columns = _COLUMNS_OF_MANY if width > _MANY else _COLUMNS
    design = Design.of(features, values, columns)
    bare = Evidence(
        classes,
        features,
        memory_of,
        prior,
        recent,
        (),
        design,
        np.zeros((0, width)),
        np.zeros(1 + len(SIGNS)),
    )
    memory = bare.recall(relations, asked)
    group = _groups(asked.entity, seed)
    inside = design.matrix(values)
    grams, rights = [], []
    for number in range(_FOLDS):
        rows = np.flatnonzero(group == number)
        part, w = inside[rows], weight[rows]
        grams.append((part * w[:, None]).T @ part)
        away = weighed[rows].T @ part - np.outer(prior, (part * w[:, None]).sum(axis=0))
        rights.append(np.asarray(away).T)
    followed: list[tuple[Affinity, list[Affinity]]] = []
    if memory_of is not None:
        profiles = [of(memory, width) for of in PROFILES]
        followed = [_follow(profile, weighed, weight, group) for profile in profiles]
    total = float(weight.sum())
    shares = [float(weight[group == number].sum()) for number in range(_FOLDS)]
    gram, right = np.sum(grams, axis=0), np.sum(rights, axis=0)
    ridges = [solve(gram - grams[k], right - rights[k], total - shares[k]) for k in range(_FOLDS)]
    affinities = tuple(whole for whole, _ in followed)
    evidence = replace(bare, affinities=affinities, ridge=solve(gram, right, total))
    without = tuple(tuple(parts[k] for _, parts in followed) for k in range(_FOLDS))
    ground = Ground(evidence, fold, labels, values, memory, group, without, tuple(ridges))
    weights = _first_score(ground, seed)
    return replace(ground, evidence=replace(evidence, weights=weights))


def _follow(
    profiles: Any, weighed: Any, weight: Float, group: Index
) -> tuple[Affinity, list[Affinity]]:
    """Return what follows what in all examples, and without each group in turn."""
    tables, masses = [], []
    for number in range(_FOLDS):
        rows = np.flatnonzero(group == number)
        part = profiles[rows]
        tables.append((part.T @ weighed[rows]).tocsr())
        masses.append(np.asarray(part.multiply(weight[rows][:, None]).sum(axis=0)).ravel())
    whole, mass = sum(tables[1:], tables[0]), np.sum(masses, axis=0)
    parts = [
        Affinity.of(whole - table, mass - own) for table, own in zip(tables, masses, strict=True)
    ]
    return Affinity.of(whole, mass), parts


def sample_pairs(ground: Ground, most: int, seed: int) -> Pairs:
    """Return at most about ``most`` pairs of candidates: all that hold, a share of the others."""
    rng = np.random.default_rng([seed, 43])
    width = ground.evidence.width
    per_row = min(width, 200)
    positive = ground.labels.nnz
    free = max(most - positive, most // 4)
    rate = min(1.0, free / max(1, len(ground.fold) * per_row - positive))
    weight = ground.weight()
    parts = []
    for rows, seen in ground.chunks():
        chosen = candidates(seen.score)
        row = np.repeat(np.arange(len(rows)), chosen.shape[1])
        number = chosen.ravel()
        label = _holds(ground.labels[rows], row, number, width)
        kept = np.flatnonzero(label | (rng.random(len(row)) < rate))
        matrix = pair_matrix(ground.evidence, seen, row[kept], number[kept])
        share = np.where(label[kept], 1.0, 1.0 / rate) * weight[rows][row[kept]]
        parts.append(Pairs(matrix, label[kept].astype(np.float64), share))
    return Pairs(
        np.concatenate([part.matrix for part in parts]),
        np.concatenate([part.label for part in parts]),
        np.concatenate([part.weight for part in parts]),
    )


def all_pairs(ground: Ground, most: int) -> tuple[Values, Index]:
    """Return every class of some examples, float32[m * classes, columns], and which examples.

    About ``most`` pairs, an equal share of every chunk's examples.
    """
    width = ground.evidence.width
    parts, places = [], []
    share = min(1.0, most / max(1, width * len(ground.fold)))
    for rows, seen in ground.chunks():
        take = rows[: max(1, int(share * len(rows)))]
        part = np.repeat(np.arange(len(take)), width)
        number = np.tile(np.arange(width), len(take))
        parts.append(pair_matrix(ground.evidence, seen, part, number))
        places.append(take)
    return np.concatenate(parts), np.concatenate(places)


def fit_logistic(columns: Float, label: Float, weight: Float) -> Float:
    """Return the weights of a logistic regression, intercept first, by Newton's method.

    A small ridge pulls each weight towards one: the signs are log ratios already.
    """
    x = np.concatenate([np.ones((len(columns), 1)), columns], axis=1)
    centre = np.array([0.0, *np.ones(columns.shape[1])])
    ridge = np.array([1e-6, *np.full(columns.shape[1], 1.0)])
    beta = centre.copy()
    for _ in range(30):
        raw = np.clip(x @ beta, -30, 30)
        p = 1.0 / (1.0 + np.exp(-raw))
        slope = x.T @ (weight * (p - label)) + ridge * (beta - centre)
        curve = (x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        step = np.linalg.solve(curve, slope)
        beta = beta - np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    return beta


def _first_score(ground: Ground, seed: int) -> Float:
    rng = np.random.default_rng([seed, 41])
    width = ground.evidence.width
    rate = min(1.0, _LOGISTIC_CELLS / max(1, len(ground.fold) * width))
    weight = ground.weight()
    columns, label, weights = [], [], []
    for rows, seen in ground.chunks():
        n = len(rows)
        cells = np.unique(rng.integers(0, n * width, max(1, int(rate * n * width))))
        part = ground.labels[rows].tocoo()
        held = part.row.astype(np.int64) * width + part.col
        plain = cells[~np.isin(cells, held)]
        cells = np.concatenate([held, plain])
        row, number = np.divmod(cells, width)
        columns.append(seen.signs[:, row, number].T.astype(np.float64))
        label.append(np.arange(len(cells)) < len(held))
        scale = (n * width - len(held)) / max(1, len(plain))
        weights.append(np.where(label[-1], 1.0, scale) * weight[rows][row])
    return fit_logistic(
        np.concatenate(columns),
        np.concatenate(label).astype(np.float64),
        np.concatenate(weights),
    )


def _holds(labels: Any, row: Index, number: Index, width: int) -> npt.NDArray[np.bool_]:
    part = labels.tocoo()
    held = part.row.astype(np.int64) * width + part.col
    found: npt.NDArray[np.bool_] = np.isin(row * width + number, held)
    return found


def _shares(weighed: Any, weight: Float, rows: Index | None, prior: Float | None = None) -> Float:
    """Return the share of examples that have each class, never 0 or 1."""
    some = weighed if rows is None else weighed[rows]
    total = float(weight.sum() if rows is None else weight[rows].sum())
    count = np.asarray(some.sum(axis=0)).ravel()
    mixed = 1.0 if prior is None else 10.0
    expected = (0.5 if prior is None else prior) * mixed
    found: Float = np.clip((count + expected) / (total + mixed + 1.0), 1e-7, 1 - 1e-7)
    return found


def _newest(asked: Asked) -> Index:
    """Return the rows of the newest anchors that hold at least 15 % of them."""
    if asked.anchor is None:
        return np.arange(len(asked))
    return np.flatnonzero(asked.anchor >= np.quantile(asked.anchor, 1 - _RECENT))


def _groups(entity: Index, seed: int) -> Index:
    names, inverse = np.unique(entity, return_inverse=True)
    order = np.random.default_rng([seed, 37]).permutation(len(names))
    return np.asarray(order[inverse] % _FOLDS, dtype=np.int64)
