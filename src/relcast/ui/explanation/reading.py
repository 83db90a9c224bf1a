"""An explanation as a page shows it, read from ``Explanation.to_json()``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from relcast.ui import words

__all__ = ["Force", "Near", "Told", "told_of"]


@dataclass(frozen=True, slots=True)
class Force:
    """A feature with its value and which way it pushes; ``share`` in [-1, 1] of the strongest."""

    name: str
    value: str
    contribution: float
    share: float


@dataclass(frozen=True, slots=True)
class Near:
    """A row that the model could see, when it happened, and what it does to the prediction."""

    table: str
    link: str
    time: datetime | None
    cells: Mapping[str, Any]
    effect: float


@dataclass(frozen=True, slots=True)
class Told:
    """Why an entity got its score.

    Attributes:
        entity: The entity's key.
        anchor: When, in words; empty for a static query.
        moment: The same as a time.
        output: What is explained of several predictions, in words; empty where there is one.
        prediction: The probability, value or score.
        base, rest, raw: They add up with the contributions: base + contributions + rest = raw.
        summary: All of it in a sentence or two.
        forces: The reasons, strongest first.
        rows: Rows around the entity, strongest effect first.
        instead: Counterfactuals, in sentences.
    """

    entity: str
    anchor: str
    moment: datetime | None
    output: str
    prediction: float
    base: float
    rest: float
    raw: float
    summary: str
    forces: tuple[Force, ...]
    rows: tuple[Near, ...]
    instead: tuple[str, ...]

    @property
    def tables(self) -> dict[str, list[Near]]:
        """The rows by table, each table's in order of time, those without time last."""
        found: dict[str, list[Near]] = {}
        for row in self.rows:
            found.setdefault(row.table, []).append(row)
        late = datetime.max.replace(tzinfo=UTC)
        return {name: sorted(rows, key=lambda r: r.time or late) for name, rows in found.items()}


def told_of(explanation: Mapping[str, Any]) -> Told:
    """Read an explanation."""
    moment = _time(explanation.get("anchor"))
    reasons = explanation.get("reasons") or ()
    largest = max((abs(float(r["contribution"])) for r in reasons), default=0.0) or 1.0
    prediction = float(explanation["prediction"])
    output = explanation.get("output")
    return Told(
        entity=str(explanation.get("entity")),
        anchor="" if moment is None else words.moment(moment),
        moment=moment,
        output="" if output is None else str(output),
        prediction=prediction,
        base=float(explanation.get("base") or 0.0),
        rest=float(explanation.get("rest") or 0.0),
        raw=float(explanation.get("raw") or 0.0),
        summary=str(explanation.get("summary") or ""),
        forces=tuple(
            Force(
                str(reason["feature"]),
                words.cause(reason.get("value")),
                float(reason["contribution"]),
                float(reason["contribution"]) / largest,
            )
            for reason in reasons
        ),
        rows=tuple(
            Near(
                str(row["table"]),
                str(row.get("link", "")),
                _time(row.get("time")),
                row.get("cells") or {},
                float(row.get("effect") or 0.0),
            )
            for row in explanation.get("rows") or ()
        ),
        instead=_instead(explanation.get("counterfactuals") or (), prediction),
    )


def _instead(counterfactuals: Sequence[Mapping[str, Any]], prediction: float) -> tuple[str, ...]:
    return tuple(
        f"Without {part['without']}: {_beside(float(part['prediction']), prediction)}."
        for part in counterfactuals
        if part.get("prediction") is not None
    )


def _beside(other: float, prediction: float) -> str:
    """Write two numbers with as many digits as tell them apart, two at least."""
    for digits in range(2, 7):
        then, now = words.number(other, digits), words.number(prediction, digits)
        if then != now:
            return f"{then} instead of {now}"
    return f"{words.number(prediction)} as before"


def _time(text: Any) -> datetime | None:
    if not text:
        return None
    found = datetime.fromisoformat(str(text))
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
