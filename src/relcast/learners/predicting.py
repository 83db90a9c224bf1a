"""Scores of many examples, some at a time: what is asked for is checked first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from relcast.core.errors import InvalidRequest
from relcast.core.progress import Progress
from relcast.learners.metrics import is_ranked
from relcast.learners.protocol import Asked, Parted, Predictor, Quantiles, Said, is_ranker
from relcast.learners.scores import Scores, make_scores

if TYPE_CHECKING:
    from relcast.learners.model import FittedModel
    from relcast.relations import Relations, TableArrays

__all__ = ["item_rows", "score_in_parts"]

Index = npt.NDArray[np.int64]

_CHUNK = 400_000
"""Examples at once where little is said of each: features cost something for every batch."""
_RANKED_CHUNK = 10_000
_CELLS = 8_000_000
"""Examples times what is said of each (classes, steps) that are scored at once."""
_DEFAULT_K = 10
_MOST_LEVELS = 99
_MOST_K = 1_000


def score_in_parts(
    model: FittedModel,
    relations: Relations,
    asked: Asked,
    *,
    k: int | None,
    among: Index | None,
    levels: Sequence[float],
    threads: int,
    progress: Progress,
) -> Iterator[Scores]:
    """Yield the scores of every example, in order, some examples at a time; of none, empty ones.

    At most eight million numbers are said at once, whatever the number of classes. See
    ``FittedModel.predict`` for the arguments and errors; it is checked before anything is scored.
    """
    wanted = _length(model, k, among)
    _check_levels(model, levels)
    size = _size(model)

    def parts() -> Iterator[Scores]:
        with progress.stage("Predicting", total=len(asked), unit="rows") as stage:
            for begin in range(0, max(1, len(asked)), size):
                part = asked.take(slice(begin, begin + size))
                for rows, said in _said(model, relations, part, wanted, among, threads):
                    some = part.take(rows)
                    scores = make_scores(
                        relations, model.query, model.target, some.entity, some.anchor, said
                    )
                    if levels and isinstance(model.predictor, Quantiles):
                        found = model.predictor.quantiles(
                            relations, some, levels=tuple(levels), threads=threads
                        )
                        scores = replace(scores, levels=tuple(levels), quantiles=found)
                    stage.update(begin + rows.start + len(some), len(asked))
                    yield scores

    return parts()


def _said(
    model: FittedModel,
    relations: Relations,
    asked: Asked,
    k: int,
    among: Index | None,
    threads: int,
) -> Iterator[tuple[slice, Said]]:
    """Yield what is said of examples, with their places; all at once, or in the learner's parts."""
    predictor = model.predictor
    if isinstance(predictor, Parted) and len(asked):
        yield from predictor.predict_parts(relations, asked, threads=threads)
        return
    if is_ranker(predictor):
        said: Said = predictor.rank(relations, asked, k=k, among=among, threads=threads)
    else:
        said = cast("Predictor", predictor).predict(relations, asked, threads=threads)
    yield slice(0, len(asked)), said


def _size(model: FittedModel) -> int:
    """Return how many examples are scored at once."""
    if is_ranker(model.predictor):
        return _RANKED_CHUNK
    if isinstance(model.predictor, Parted):
        return _CHUNK  # it says them in parts
    return min(_CHUNK, max(1, _CELLS // model.target.width))


def item_rows(model: FittedModel, relations: Relations, items: Sequence[Any]) -> Index:
    """Return what ``among`` takes for keys of the item table, or for classes.

    Raises ``predict.unknown_item`` for what is neither.
    """
    if model.target.items is not None:
        table = relations.table(model.target.items)
        rows = _key_rows(table, items)
    else:
        place = {str(name): number for number, name in enumerate(model.target.classes or ())}
        rows = np.array([place.get(str(item), -1) for item in items], dtype=np.int64)
    unknown = [item for item, row in zip(items, rows.tolist(), strict=True) if row < 0]
    if unknown:
        raise InvalidRequest(
            f"There is no item {unknown[0]!r} to rank",
            code="predict.unknown_item",
            hint="Name keys of the table whose rows are listed, or classes of the model.",
        )
    return rows


def _key_rows(table: TableArrays, items: Sequence[Any]) -> Index:
    """Return the row of each key, -1 for what is none, of whatever types the keys are."""
    import pyarrow as pa

    try:
        return np.asarray(table.key_index(list(items)), dtype=np.int64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        if len(items) == 1:
            return np.full(1, -1, dtype=np.int64)
        each = [_key_rows(table, [item]) for item in items]  # of several types
        return np.concatenate(each)


def _length(model: FittedModel, k: int | None, among: Index | None) -> int:
    """Return how long the lists of a ranking are to be."""
    if not is_ranked(model.task_type):
        if k is not None or among is not None:
            raise InvalidRequest(
                f"A model of {model.task_type.value} does not rank items",
                code="predict.not_ranked",
                hint="Give k and items to models of RANK TOP queries only.",
            )
        return 0
    wanted = k if k is not None else (model.target.top or _DEFAULT_K)
    if not 1 <= wanted <= _MOST_K:
        raise InvalidRequest(
            f"k is {wanted}",
            code="predict.bad_k",
            hint=f"Ask for 1 to {_MOST_K:,} items an entity.",
        )
    return wanted


def _check_levels(model: FittedModel, levels: Sequence[float]) -> None:
    if not levels:
        return
    ascending = all(low < high for low, high in pairwise((0.0, *levels, 1.0)))
    if isinstance(model.predictor, Quantiles) and ascending and len(levels) <= _MOST_LEVELS:
        return
    learner = model.predictor.name
    raise InvalidRequest(
        f"{learner} has no quantiles at {', '.join(f'{v:g}' for v in levels)}",
        code="predict.no_quantiles",
        hint="Levels lie between 0 and 1 in ascending order, and only models of numbers whose "
        "learner has quantiles give them.",
    )
