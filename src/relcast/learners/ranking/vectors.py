"""Vectors of items, learned from who has which: the leading factors of the normalised links.

Truncated SVD of ``D_e^-1/2 A D_i^-1/2`` by subspace iteration (Halko, Martinsson and Tropp, 2011),
in compiled loops with one order of additions, so that the same links give the same bits. A vector
set is learned from the links up to a moment and used at that moment or later only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from relcast.learners.ranking.links import Links

__all__ = ["VectorSet", "learn"]

Float = npt.NDArray[np.float64]

_ROUNDS = 6
_MOST_LINKS = 5_000_000


@dataclass(frozen=True)
class VectorSet:
    """Vectors of items, learned up to a moment.

    Attributes:
        until: ns UTC of the newest link that was read.
        vectors: float32[items, d]; zero where an item had no link.
    """

    until: int
    vectors: npt.NDArray[np.float32]


def learn(links: Links, until: int, width: int, seed: int) -> VectorSet:
    """Learn vectors of ``width`` numbers from the links known at ``until``."""
    end = int(np.searchsorted(links.time, until, side="right"))
    begin = max(0, end - _MOST_LINKS)
    entity, item = links.entity[begin:end], links.item[begin:end]
    if len(links.over):
        alive = links.over[begin:end] > until
        entity, item = entity[alive], item[alive]
    if len(item) == 0:
        return VectorSet(until, np.zeros((links.items, width), dtype=np.float32))
    pair, times = np.unique(entity.astype(np.int64) * links.items + item, return_counts=True)
    # Entities without a link are left out: there may be many more of them than links.
    there, who = np.unique(pair // links.items, return_inverse=True)
    what = pair % links.items
    weight = 1.0 + np.log(times)
    e_degree = np.bincount(who, weights=weight, minlength=len(there))
    i_degree = np.bincount(what, weights=weight, minlength=links.items)
    scaled = weight / np.sqrt(e_degree[who] * i_degree[what])
    start = np.random.default_rng(seed).standard_normal((links.items, width))
    start[i_degree == 0] = 0.0
    basis = start
    left = np.zeros((len(there), width))
    for _ in range(_ROUNDS):
        _orthonormal(basis)
        _multiply(who, what, scaled, basis, left)
        basis = np.zeros_like(basis)
        _multiply(what, who, scaled, left, basis)
    size = np.sqrt((basis**2).sum(axis=0))  # of squared singular values, after a last round
    _orthonormal(basis)
    # Scores are inner products: the root of the factor's strength goes to either side.
    strength = np.sqrt(size / max(size.max(), 1e-300))
    return VectorSet(until, (basis * np.sqrt(strength)).astype(np.float32))


@njit(nogil=True, cache=True)
def _multiply(row: Any, column: Any, value: Any, right: Any, out: Any) -> None:
    """Write the product of a sparse matrix with ``right`` to ``out``."""
    out[:] = 0.0
    for k in range(len(row)):
        for d in range(right.shape[1]):
            out[row[k], d] += value[k] * right[column[k], d]


@njit(nogil=True, cache=True)
def _orthonormal(basis: Any) -> None:
    """Make columns orthonormal, twice by modified Gram-Schmidt; a dependent one becomes zero."""
    n, width = basis.shape
    for d in range(width):
        before = 0.0
        for i in range(n):
            before += basis[i, d] * basis[i, d]
        for _ in range(2):
            for other in range(d):
                dot = 0.0
                for i in range(n):
                    dot += basis[i, d] * basis[i, other]
                for i in range(n):
                    basis[i, d] -= dot * basis[i, other]
        size = 0.0
        for i in range(n):
            size += basis[i, d] * basis[i, d]
        scale = 1.0 / np.sqrt(size) if size > 1e-20 * before and size > 0 else 0.0
        for i in range(n):
            basis[i, d] *= scale
