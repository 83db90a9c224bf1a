"""A model's report as a page shows it: curves, groups, certificate and split, read from JSON.

Nothing is computed here but counts that follow from counts. What a report lacks is None or empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = [
    "Cohort",
    "Confusion",
    "Fact",
    "Grouped",
    "Span",
    "Trust",
    "cohorts_of",
    "confusions_of",
    "curves_of",
    "groups_of",
    "numbers",
    "pairs",
    "spans_of",
    "split_words",
    "splits_of",
    "start_of",
    "trust_of",
]

Point = tuple[float, float]
_ORDER = ("test", "validation")
_NAN = float("nan")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Confusion:
    """What a threshold does to the rows of a split: counts of right and wrong answers."""

    threshold: float
    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def rows(self) -> int:
        return self.true_positive + self.false_positive + self.false_negative + self.true_negative

    @property
    def precision(self) -> float | None:
        """Share of those said to be true that are."""
        return _share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float | None:
        """Share of the true rows that are found."""
        return _share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def false_alarms(self) -> float | None:
        """Share of the false rows that are said to be true."""
        return _share(self.false_positive, self.false_positive + self.true_negative)

    @property
    def f1(self) -> float | None:
        wrong = self.false_positive + self.false_negative
        return _share(2 * self.true_positive, 2 * self.true_positive + wrong)

    @property
    def accuracy(self) -> float | None:
        return _share(self.true_positive + self.true_negative, self.rows)

    @property
    def said_true(self) -> float | None:
        """Share of all rows that are said to be true."""
        return _share(self.true_positive + self.false_positive, self.rows)


@dataclass(frozen=True, slots=True)
class Span:
    """The tune metric of the rows at neighbouring anchors, or of a group of rows."""

    name: str
    rows: int
    model: float | None
    baseline: float | None


@dataclass(frozen=True, slots=True)
class Grouped:
    """The tune metric by the values of something."""

    by: str
    groups: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Cohort:
    """Mean prediction beside mean target along a feature: (value, rows, prediction, target)."""

    feature: str
    of: str
    groups: tuple[tuple[str, int, float, float], ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """One check of the certificate; ``passed`` is None where it does not apply."""

    name: str
    passed: bool | None
    says: str


@dataclass(frozen=True, slots=True)
class Trust:
    """The leakage certificate.

    Attributes:
        passed: Whether nothing that was looked at failed.
        facts: Every check with its evidence.
        failures: What is wrong with the figures.
        suspicions: Features that are too good to be true, in sentences.
        assumed: What was taken for granted of columns that are known late, in sentences.
    """

    passed: bool
    facts: tuple[Fact, ...]
    failures: tuple[str, ...]
    suspicions: tuple[str, ...]
    assumed: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The certificate in one sentence."""
        held = sum(fact.passed is True for fact in self.facts)
        if not self.passed:
            return "The figures of this model are not to be trusted: a check for leakage failed."
        said = f"{held} of {len(self.facts)} checks were made on this very model, and all held."
        return said + (" But look at what is too good to be true." if self.suspicions else "")


def splits_of(report: Mapping[str, Any] | None) -> list[str]:
    """Return the splits that were measured, test first."""
    model = (report or {}).get("model") or {}
    return [name for name in _ORDER if name in model]


def curves_of(report: Mapping[str, Any] | None, split: str) -> Mapping[str, Any]:
    """Return the curves of a split; empty for a model that has none."""
    found = ((report or {}).get("curves") or {}).get(split)
    return found if isinstance(found, Mapping) else {}


def numbers(values: Sequence[float | None] | None) -> list[float]:
    """Return numbers with "not a number" where JSON has none."""
    return [_NAN if value is None else float(value) for value in values or ()]


def pairs(curve: Mapping[str, Any] | None, x: str, y: str) -> list[Point]:
    """Return the points of a curve by the names of its two columns; none where it is missing."""
    if not curve:
        return []
    return list(zip(numbers(curve.get(x)), numbers(curve.get(y)), strict=True))


def confusions_of(curves: Mapping[str, Any]) -> list[Confusion]:
    """Return the confusion at every threshold that was kept, in ascending order."""
    kept = curves.get("thresholds") or {}
    columns = [
        kept.get(name, ())
        for name in (
            "threshold",
            "true_positive",
            "false_positive",
            "false_negative",
            "true_negative",
        )
    ]
    return [Confusion(*row) for row in zip(*columns, strict=True)]


def start_of(confusions: Sequence[Confusion], threshold: float = 0.5) -> int:
    """Return the place of the confusion whose threshold is nearest to one; 0 when there is none."""
    places = range(len(confusions))
    return min(places, key=lambda k: abs(confusions[k].threshold - threshold), default=0)


def spans_of(curves: Mapping[str, Any]) -> list[Span]:
    """Return the tune metric over time, oldest first."""
    found = []
    for part in curves.get("over_time") or ():
        first, last = _day(part.get("from")), _day(part.get("to"))
        found.append(_span(first if first == last else f"{first} to {last}", part))
    return found


def groups_of(curves: Mapping[str, Any]) -> list[Grouped]:
    """Return the tune metric by each of the entity's own columns, and by past events."""
    return [
        Grouped(
            str(part.get("by", "")),
            tuple(_span(str(group.get("value")), group) for group in part.get("groups", ())),
        )
        for part in curves.get("by_cohort") or ()
    ]


def cohorts_of(report: Mapping[str, Any] | None) -> list[Cohort]:
    """Return prediction beside target along the features that matter most."""
    return [
        Cohort(
            str(part.get("feature", "")),
            str(part.get("of", "")),
            tuple(
                (str(g["value"]), int(g["rows"]), float(g["prediction"]), float(g["target"]))
                for g in part.get("groups", ())
                if g.get("prediction") is not None and g.get("target") is not None
            ),
        )
        for part in (report or {}).get("cohorts") or ()
    ]


def trust_of(report: Mapping[str, Any] | None) -> Trust | None:
    """Read the leakage certificate; None for a model without one."""
    found = (report or {}).get("certificate")
    if not isinstance(found, Mapping) or "checks" not in found:
        return None
    facts = tuple(
        Fact(str(c.get("name", "")), c.get("passed"), str(c.get("says", "")))
        for c in found["checks"]
    )
    failures = tuple(fact.says for fact in facts if fact.passed is False)
    assumed = tuple(str(w) for w in (found.get("assumed") or {}).get("warnings", ()))
    suspicions = tuple(
        warning
        for warning in map(str, found.get("warnings", ()))
        if warning not in assumed and not any(failure in warning for failure in failures)
    )
    passed = bool(found.get("passed", not failures)) and not failures
    return Trust(passed, facts, failures, suspicions, assumed)


def split_words(report: Mapping[str, Any] | None, lineage: Mapping[str, Any] | None) -> list[str]:
    """Say in sentences which rows taught, which chose and which were kept for the end."""
    said = []
    rows = ((lineage or {}).get("model") or {}).get("rows") or {}
    parts = [
        f"{int(rows[name]):,} rows {what}"
        for name, what in (
            ("train", "teach the model"),
            ("validation", "choose between models"),
            ("test", "are looked at once, at the end"),
        )
        if rows.get(name)
    ]
    if parts:
        said.append(f"{'; '.join(parts)}.")
    if rows.get("dropped"):
        said.append(f"{int(rows['dropped']):,} rows without a usable target are left out.")
    gaps = ((report or {}).get("certificate") or {}).get("gaps") or ()
    for gap in gaps:
        ends, begins = _moment(gap["ends"]), _moment(gap["begins"])
        said.append(
            f"The last answer of {gap['earlier']} is settled by {ends} UTC; the first question of "
            f"{gap['later']} looks at what comes after {begins} UTC."
        )
    if not gaps and said:
        said.append("The query has no time: rows were drawn, not cut by a date.")
    regime = {
        "rolling": "Rolling: each example sees everything up to its own anchor, as in daily use.",
        "frozen": "Frozen: held-out examples see nothing after the start of their split.",
    }.get(str((report or {}).get("regime")))
    return [*said, regime] if regime and gaps else said


def _span(name: str, part: Mapping[str, Any]) -> Span:
    return Span(name, int(part.get("rows") or 0), part.get("model"), part.get("baseline"))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _day(text: Any) -> str:
    return str(text or "").replace("T", " ").removesuffix("Z").removesuffix(" 00:00:00")


def _moment(nanoseconds: int) -> str:
    time = _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    return f"{time:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
