"""From how much each feature moved a raw score to the strongest reasons of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.learners.protocol import Contributions, Reason

if TYPE_CHECKING:
    from relcast.learners.features.spec import Feature

__all__ = ["blocks", "chunks", "explained"]

Float = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

_CHUNK_BYTES = 128 * 2**20
_BLOCK_BYTES = 4 * _CHUNK_BYTES


def chunks(rows: int, features: int) -> Iterator[slice]:
    """Yield slices of at most 128 MB of features each, so that scoring needs bounded memory."""
    return _slices(rows, _CHUNK_BYTES // (4 * max(1, features)))


def blocks(rows: int, features: int) -> Iterator[slice]:
    """Yield slices of at most 512 MB of features each, to be computed at once.

    Every computation begins with what it costs whatever the number of examples: all rows of a
    snapshot are lifted. What is made of the features goes on in ``chunks`` of a block.
    """
    return _slices(rows, _BLOCK_BYTES // (4 * max(1, features)))


def _slices(rows: int, step: int) -> Iterator[slice]:
    step = max(256, step)
    for begin in range(0, rows, step):
        yield slice(begin, min(rows, begin + step))


def explained(
    features: Sequence[Feature],
    rows: int,
    moved: Callable[[slice], tuple[Values, Float, Float, Float]],
    *,
    top: int,
    outputs: int,
) -> Contributions:
    """Return the ``top`` strongest reasons of each row.

    Args:
        features: The f features.
        rows: How many rows there are.
        moved: Returns of a slice of m rows their values float32[m, f], what each feature added
            float64[m, f], and raw score and base value float64[m].
        top: Reasons per row.
        outputs: Numbers that ``moved`` holds per feature, which bounds the slices.
    """
    raws, bases, rests = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    reasons: list[tuple[Reason, ...]] = []
    # A contribution is twice as wide as a value, and there is one per output.
    for part in chunks(rows, 2 * len(features) * outputs):
        values, each, raw, base = moved(part)
        order = np.argsort(-np.abs(each), axis=1, kind="stable")[:, : max(0, top)]
        strongest = np.take_along_axis(each, order, axis=1)
        raws.append(raw)
        bases.append(base)
        rests.append(each.sum(axis=1) - strongest.sum(axis=1))
        reasons.extend(
            tuple(
                _reason(features[f], float(values[row, f]), float(each[row, f]))
                for f in order[row].tolist()
                if each[row, f] != 0.0
            )
            for row in range(len(values))
        )
    return Contributions(
        np.concatenate(raws), np.concatenate(bases), tuple(reasons), np.concatenate(rests)
    )


def _reason(feature: Feature, value: float, contribution: float) -> Reason:
    shown: float | str | None = None if np.isnan(value) else value
    if feature.kind == "category" and feature.categories is not None and shown is not None:
        code = int(value)
        inside = 0 <= code < len(feature.categories)
        shown = feature.categories[code] if inside else None
    return Reason(
        feature=feature.name,
        table=feature.table,
        column=feature.column,
        window=feature.window,
        value=shown,
        contribution=contribution,
    )
