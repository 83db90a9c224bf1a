"""Why one entity got its score: features, the rows behind them, and what would be without these.

Contributions come from the model itself (they add up to its raw score). A row's effect is measured,
not attributed: the prediction with the row among the entity's own, less the prediction without it,
everything else as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners.explaining.copies import Omission, with_copies
from relcast.learners.explaining.nearby import Nearby, cells_of, moment_text, nearby_rows
from relcast.learners.explaining.voice import voice_of
from relcast.learners.protocol import Asked, Reason

if TYPE_CHECKING:
    from relcast.learners.model import FittedModel
    from relcast.relations import Relations

__all__ = ["Counterfactual", "Explanation", "NearRow", "explain_entity"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_ROWS_PER_LINK = 12
_MOST_ROWS = 48
_TOGETHER = 3


@dataclass(frozen=True, slots=True)
class NearRow:
    """A row that the model could see.

    Attributes:
        table: Whose row it is.
        link: The foreign key over which it belongs to the entity.
        time: When it happened, ISO 8601 UTC; None in a table without time.
        cells: Some of its cells by column, the key first.
        effect: The prediction with this row less the prediction without it.
    """

    table: str
    link: str
    time: str | None
    cells: Mapping[str, Any]
    effect: float


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What would have been predicted without some rows.

    Attributes:
        without: The rows in words.
        rows: Places in ``Explanation.rows``; empty where not all of them are listed there.
        prediction: The prediction then.
    """

    without: str
    rows: tuple[int, ...]
    prediction: float


@dataclass(frozen=True)
class Explanation:
    """Why an entity got its score at an anchor.

    Attributes:
        entity: The entity's primary key.
        anchor: The anchor, ISO 8601 UTC; None for a static task.
        output: What is explained of several: the class, the item's key, or the step (from 1) of a
            forecast; None where there is one.
        prediction: The probability, value or score.
        raw: The model's raw score; ``base``, the contributions and ``rest`` add up to it.
        base: The raw score before anything is known.
        reasons: Strongest first.
        rest: The sum of all other contributions.
        by_table: Contributions of the reasons and of no others, by table.
        rows: Newest rows around the entity, strongest effect first.
        counterfactuals: Without the rows that mattered most, and without all rows of a table.
        summary: All of it in a sentence or two.
    """

    entity: Any
    anchor: str | None
    output: Any
    prediction: float
    raw: float
    base: float
    reasons: tuple[Reason, ...]
    rest: float
    by_table: Mapping[str, float]
    rows: tuple[NearRow, ...]
    counterfactuals: tuple[Counterfactual, ...]
    summary: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready object."""
        obj = asdict(self)
        for name in ("reasons", "rows", "counterfactuals"):
            obj[name] = [dict(part) for part in obj[name]]
        return obj


def explain_entity(
    model: FittedModel,
    relations: Relations,
    entity: int,
    anchor: int | None,
    *,
    output: int | None = None,
    top: int = 10,
    threads: int = 1,
) -> Explanation:
    """Explain the score of one entity at one anchor.

    Args:
        model: The model, fresh or from its bundle.
        relations: Arrays of any snapshot with the same columns.
        entity: Dense row of the entity.
        anchor: ns UTC; None for a static task.
        output: Which of several predictions: the index of a class, the dense row of an item, the
            step of a forecast from 0. None takes the best class or item, and the first step.
        top: Reasons to list.
        threads: Threads to use.

    Raises ``predict.anchor``, ``explain.output``.
    """
    asked = model.asked(
        relations,
        np.array([entity], dtype=np.int64),
        None if anchor is None else np.array([anchor], dtype=np.int64),
    )
    voice = voice_of(model, relations, asked, output, threads)
    said = float(voice.score(relations, asked)[0])
    contributions = voice.explain(relations, asked, top)
    around = _around(relations, model.query.entity_table, entity, asked)
    singles = [(near, int(row)) for near in around for row in near.rows]
    omissions: list[Omission] = [
        *({near.link: np.array([row], dtype=np.int64)} for near, row in singles),
        *({near.link: _all_rows(relations, near.link, entity)} for near in around),
    ]
    table = model.query.entity_table

    def without(left_out: Sequence[Omission]) -> Float:
        other, copies = with_copies(relations, table, entity, left_out)
        return voice.score(other, _again(asked, copies)) if len(left_out) else np.zeros(0)

    found = without(omissions)
    effects = said - found[: len(singles)]
    order = np.argsort(-np.abs(effects), kind="stable")
    rows = _listed(relations, singles, effects, order)
    together = _strongest(effects[order])
    pairs = [singles[int(order[place])] for place in together]
    whole = [
        Counterfactual(_all_of(near), (), float(value))
        for near, value in zip(around, found[len(singles) :], strict=True)
    ]
    some: list[Counterfactual] = []
    if pairs:
        value = float(without([_joined(pairs)])[0])
        some = [Counterfactual(_these(pairs), tuple(together), value)]
    reasons = contributions.reasons[0]
    explanation = Explanation(
        entity=relations.table(table).keys()[entity].as_py(),
        anchor=moment_text(anchor),
        output=voice.named,
        prediction=said,
        raw=float(contributions.raw[0]),
        base=float(contributions.base[0]),
        reasons=reasons,
        rest=float(contributions.rest[0]),
        by_table=_by_table(reasons),
        rows=rows,
        counterfactuals=(*some, *whole),
        summary="",
    )
    return _summed_up(explanation)


def _around(relations: Relations, table: str, entity: int, asked: Asked) -> tuple[Nearby, ...]:
    until = None if asked.known is None else int(asked.known[0])
    found = nearby_rows(relations, table, entity, until, most=_ROWS_PER_LINK)
    found = tuple(near for near in found if near.count)
    most = max(1, _MOST_ROWS // max(1, len(found)))
    return tuple(Nearby(n.link, n.rows[max(0, len(n.rows) - most) :], n.count) for n in found)


def _again(asked: Asked, copies: Index) -> Asked:
    """Return the one example asked again of each copy."""
    zeros = np.zeros(len(copies), dtype=np.int64)
    return Asked(
        copies,
        None if asked.anchor is None else asked.anchor[zeros],
        None if asked.known is None else asked.known[zeros],
    )


def _all_rows(relations: Relations, link: Any, entity: int) -> Index:
    arrays = relations.link(link)
    rows: Index = arrays.child[int(arrays.indptr[entity]) : int(arrays.indptr[entity + 1])]
    return rows.astype(np.int64)


def _joined(pairs: Sequence[tuple[Nearby, int]]) -> Omission:
    links = dict.fromkeys(near.link for near, _ in pairs)
    return {
        link: np.array([row for near, row in pairs if near.link == link], dtype=np.int64)
        for link in links
    }


def _strongest(effects: Float) -> list[int]:
    """Return the first places whose rows push as the strongest one does; none without effect."""
    if not len(effects) or effects[0] == 0.0:
        return []
    same = np.flatnonzero((effects != 0.0) & (np.sign(effects) == np.sign(effects[0])))
    return [int(place) for place in same[:_TOGETHER]]


def _listed(
    relations: Relations, singles: Sequence[tuple[Nearby, int]], effects: Float, order: Index
) -> tuple[NearRow, ...]:
    cells: dict[tuple[str, int], dict[str, Any]] = {}
    for name in dict.fromkeys(near.link.table for near, _ in singles):
        rows = [row for near, row in singles if near.link.table == name]
        read = cells_of(relations.table(name), rows)
        cells.update({(name, row): found for row, found in zip(rows, read, strict=True)})
    listed = []
    for place in order:
        near, row = singles[int(place)]
        table = relations.table(near.link.table)
        listed.append(
            NearRow(
                table=near.link.table,
                link=str(near.link),
                time=None if table.time is None else moment_text(int(table.time[row])),
                cells=cells[near.link.table, row],
                effect=float(effects[int(place)]),
            )
        )
    return tuple(listed)


def _these(pairs: Sequence[tuple[Nearby, int]]) -> str:
    parts = []
    for name in dict.fromkeys(near.link.table for near, _ in pairs):
        count = sum(near.link.table == name for near, _ in pairs)
        parts.append(f"{'this row' if count == 1 else f'these {count} rows'} of {name}")
    return " and ".join(parts)


def _all_of(near: Nearby) -> str:
    rows = "its one row" if near.count == 1 else f"all its {near.count:,} rows"
    return f"{rows} of {near.link.table} (by {near.link.foreign_key})"


def _by_table(reasons: Sequence[Reason]) -> dict[str, float]:
    total: dict[str, float] = {}
    for reason in reasons:
        total[reason["table"]] = total.get(reason["table"], 0.0) + reason["contribution"]
    return dict(sorted(total.items(), key=lambda entry: -abs(entry[1])))


def _summed_up(explanation: Explanation) -> Explanation:
    what = "" if explanation.output is None else f" for {explanation.output}"
    sentences = [f"The prediction{what} is {explanation.prediction:.4g}."]
    for sign, word in ((1.0, "Raised"), (-1.0, "Lowered")):
        names = [
            reason["feature"] for reason in explanation.reasons if reason["contribution"] * sign > 0
        ][:2]
        if names:
            sentences.append(f"{word} most by {' and '.join(names)}.")
    if explanation.counterfactuals:
        first = explanation.counterfactuals[0]
        sentences.append(f"Without {first.without} it would be {first.prediction:.4g}.")
    return replace(explanation, summary=" ".join(sentences))
