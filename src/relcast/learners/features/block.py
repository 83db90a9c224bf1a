"""One pass of computations: whose events are read at which moments, and how a range is filled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relcast.learners.features.resolver import Resolver, unique_pairs
from relcast.learners.features.spec import Recipe, Stream, Value

__all__ = ["Block", "asked", "asked_of", "index_of", "translated"]

Rows = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Fill = Callable[[slice], Float]


@dataclass(frozen=True)
class Block:
    """One pass over ``rows`` distinct questions.

    Attributes:
        rows: How many distinct (owner, anchor) pairs are asked for.
        inverse: int64[n] which of them each example is; None when they are the examples.
        fill: Computes a range of them, float64[range, features].
    """

    rows: int
    inverse: Rows | None
    fill: Fill


def asked(resolver: Resolver, stream: Stream) -> tuple[Rows, Rows, Rows | None]:
    """Return the distinct owners and anchors of a stream, and which each example has.

    Examples of one entity table are distinct already; many share a parent, all share a cohort.
    """
    owners = resolver.owners(stream)
    if stream.down and not stream.seed and stream.by is None:
        return owners, resolver.asof, None
    (rows, anchors), inverse = unique_pairs(owners, resolver.asof)
    return rows, anchors, inverse


def asked_of(recipe: Recipe) -> tuple[Stream, Value]:
    """Return the stream and the value of a recipe that has both."""
    if recipe.stream is None or recipe.value is None:
        raise AssertionError(f"a recipe of the family {recipe.family} has a stream and a value")
    return recipe.stream, recipe.value


def index_of(words: Sequence[str], categories: tuple[str, ...] | None) -> Float:
    """Return the feature's index of each code, NaN for words outside its categories."""
    position = {word: k for k, word in enumerate(categories or ())}
    return np.array([position.get(word, np.nan) for word in words] + [np.nan], dtype=np.float64)


def translated(codes: Float, table: Float) -> Float:
    """Return the feature's index of each code (float64, NaN is missing)."""
    return table[np.where(np.isnan(codes), len(table) - 1, codes).astype(np.int64)]
