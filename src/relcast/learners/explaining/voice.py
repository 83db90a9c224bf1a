"""Which number of a model is explained, and how it is asked: a value, a class, a step, an item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from relcast.core.errors import InvalidRequest
from relcast.core.schema import TaskType
from relcast.learners.protocol import Asked, Contributions, Predictor, Ranker, is_ranker

if TYPE_CHECKING:
    from relcast.learners.model import FittedModel
    from relcast.relations import Relations

__all__ = ["Voice", "voice_of"]

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Voice:
    """One number of a model for an example.

    Attributes:
        score: Returns it of n examples, float64[n].
        explain: Returns how the model explains it, with so many reasons.
        named: Which of several it is: the class, the item's key, or the step from 1; None where
            there is one.
    """

    score: Callable[[Relations, Asked], Float]
    explain: Callable[[Relations, Asked, int], Contributions]
    named: Any


def voice_of(
    model: FittedModel, relations: Relations, asked: Asked, output: int | None, threads: int
) -> Voice:
    """Return the voice of one output; see ``explain_entity``. Raises ``explain.output``."""
    target = model.target
    if is_ranker(model.predictor):
        return _of_ranker(model, model.predictor, relations, asked, output, threads)
    predictor = cast("Predictor", model.predictor)
    if target.width == 1:
        _check(output, 1)
        return Voice(
            lambda r, a: predictor.predict(r, a, threads=threads).reshape(len(a)),
            lambda r, a, top: predictor.explain(r, a, top=top, threads=threads),
            None,
        )
    if output is None:
        forecast = target.task_type is TaskType.FORECASTING
        first = predictor.predict(relations, asked, threads=threads)
        output = 0 if forecast else int(first[0].argmax())
    place = _check(output, target.width)
    return Voice(
        lambda r, a: predictor.predict(r, a, threads=threads)[:, place],
        lambda r, a, top: predictor.explain(
            r, a, top=top, threads=threads, output=np.full(len(a), place, dtype=np.int64)
        ),
        place + 1 if target.classes is None else target.classes[place],
    )


def _of_ranker(
    model: FittedModel,
    ranker: Ranker,
    relations: Relations,
    asked: Asked,
    output: int | None,
    threads: int,
) -> Voice:
    target = model.target
    if output is None:
        output = int(ranker.rank(relations, asked, k=1, threads=threads).items[0, 0])
        if output < 0:
            raise InvalidRequest(
                "There is nothing to rank: none of the items is there at the anchor",
                code="explain.output",
                hint="Ask for an anchor at which there are items.",
            )
    many = len(target.classes) if target.classes is not None else None
    if many is None and target.items is not None:
        many = relations.table(target.items).rows
    item = _check(output, many or 0)
    among = np.array([item], dtype=np.int64)
    named = (
        target.classes[item]
        if target.classes is not None
        else relations.table(target.items or "").keys()[item].as_py()
    )

    def score(r: Relations, a: Asked) -> Float:
        return ranker.rank(r, a, k=1, among=among, threads=threads).scores[:, 0]

    if np.isnan(score(relations, asked)[0]):
        raise InvalidRequest(
            f"The item {named!r} is not there at the anchor, and has no score",
            code="explain.output",
            hint="Name an item that is there by then, and not over yet.",
        )

    def explain(r: Relations, a: Asked, top: int) -> Contributions:
        items = np.full(len(a), item, dtype=np.int64)
        return ranker.explain_items(r, a, items, top=top, threads=threads)

    return Voice(score, explain, named)


def _check(output: int | None, many: int) -> int:
    place = 0 if output is None else output
    if not 0 <= place < many:
        raise InvalidRequest(
            f"There is no prediction number {place}: the model has {many}",
            code="explain.output",
            hint="Name a class or item that the model knows, or a step of its forecast.",
        )
    return place
