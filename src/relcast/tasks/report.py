"""The report of a training table: what is in it, and what was left out and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.clock import isoformat, parse_time
from relcast.tasks.examples import Examples
from relcast.tasks.offsets import from_datetime, to_datetime
from relcast.tasks.splits import LEFT_OUT, SPLITS

__all__ = ["AnchorReport", "SplitReport", "TargetSummary", "TrainingTableReport", "report_of"]

_HUGE = 1e150


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """How targets are distributed: counts of classes, or the shape of numbers.

    Attributes:
        rows: Number of targets.
        positives: How many are 1 (binary only).
        classes: Rows of each class, by the class's text, most frequent first, 50 at most
            (multiclass only).
        mean, std, low, median, high: Of the numbers (regression only).
    """

    rows: int
    positives: int | None = None
    classes: Mapping[str, int] | None = None
    mean: float | None = None
    std: float | None = None
    low: float | None = None
    median: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, Any]:
        shown = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in shown.items() if value is not None}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> TargetSummary:
        return cls(**{name: obj[name] for name in cls.__slots__ if name in obj})


@dataclass(frozen=True, slots=True)
class AnchorReport:
    """One anchor (ns UTC): its split (``train``, ``val``, ``test`` or ``left out``) and targets."""

    anchor: int
    split: str
    target: TargetSummary

    def to_json(self) -> dict[str, Any]:
        return {
            "anchor": isoformat(to_datetime(self.anchor)),
            "split": self.split,
            **self.target.to_json(),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> AnchorReport:
        moment = parse_time(obj["anchor"])
        anchor = 0 if moment is None else from_datetime(moment)
        return cls(anchor, obj["split"], TargetSummary.from_json(obj))


@dataclass(frozen=True, slots=True)
class SplitReport:
    """One split: its number of anchors (0 for static queries) and its targets."""

    anchors: int
    target: TargetSummary

    def to_json(self) -> dict[str, Any]:
        return {"anchors": self.anchors, **self.target.to_json()}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> SplitReport:
        return cls(obj["anchors"], TargetSummary.from_json(obj))


@dataclass(frozen=True, slots=True)
class TrainingTableReport:
    """What a training table holds, and what was dropped.

    Attributes:
        rows: Rows of the table.
        splits: By name, ``train``, ``val``, ``test``.
        anchors: Every anchor with examples, ascending, the left out ones too; empty for static
            queries and where there are more than 1,000.
        considered: Examples looked at: entities times anchors, or rows given.
        dropped: Examples that are not in the table, by reason.
        left_out_anchors: Anchors with examples between two splits, whose windows would overlap.
        empty_anchors: Anchors without any example.
        warnings: Sentences about what may disappoint.
    """

    rows: int
    splits: Mapping[str, SplitReport]
    anchors: tuple[AnchorReport, ...] = ()
    considered: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    left_out_anchors: int = 0
    empty_anchors: int = 0
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "splits": {name: s.to_json() for name, s in self.splits.items()},
            "anchors": [a.to_json() for a in self.anchors],
            "considered": self.considered,
            "dropped": dict(self.dropped),
            "left_out_anchors": self.left_out_anchors,
            "empty_anchors": self.empty_anchors,
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> TrainingTableReport:
        return cls(
            rows=obj["rows"],
            splits={name: SplitReport.from_json(s) for name, s in obj["splits"].items()},
            anchors=tuple(AnchorReport.from_json(a) for a in obj["anchors"]),
            considered=obj["considered"],
            dropped=dict(obj["dropped"]),
            left_out_anchors=obj["left_out_anchors"],
            empty_anchors=obj["empty_anchors"],
            warnings=tuple(obj["warnings"]),
        )


def summarise(
    target: npt.NDArray[np.float64], classes: tuple[Any, ...] | None, *, binary: bool
) -> TargetSummary:
    """Summarise targets: positives, classes or numbers."""
    n = len(target)
    if binary:
        return TargetSummary(n, positives=int((target == 1).sum()))
    if classes is not None:
        counts = np.bincount(target.astype(np.int64), minlength=len(classes))
        order = np.argsort(-counts, kind="stable")[:50]
        return TargetSummary(
            n, classes={str(classes[i]): int(counts[i]) for i in order if counts[i]}
        )
    if n == 0:
        return TargetSummary(0)
    # Squares and sums of values near the end of what floats hold would be infinite.
    largest = float(np.abs(target).max())
    unit = largest if _HUGE < largest < np.inf else 1.0
    tame = target / unit
    return TargetSummary(
        n,
        mean=float(tame.mean()) * unit,
        std=float(tame.std()) * unit,
        low=float(target.min()),
        median=float(np.median(tame)) * unit,
        high=float(target.max()),
    )


def report_of(
    examples: Examples,
    *,
    binary: bool,
    considered: int,
    dropped: Mapping[str, int],
    empty_anchors: int = 0,
    warnings: tuple[str, ...] = (),
) -> TrainingTableReport:
    """Report on split examples; those of ``LEFT_OUT`` are counted, and are not in the table."""
    target, split = examples.target, examples.split
    if target is None or split is None:
        return TrainingTableReport(len(examples), {}, considered=considered, dropped=dict(dropped))
    splits, anchors, left_out = {}, [], 0
    if examples.anchor is not None:
        distinct, place = np.unique(examples.anchor, return_inverse=True)
        order = np.argsort(place, kind="stable")
        ends = np.searchsorted(place[order], np.arange(len(distinct) + 1))
        first = split[order[ends[:-1]]] if len(distinct) else np.zeros(0, dtype=np.int8)
        left_out = int((first == LEFT_OUT).sum())
        # Rows of one's own can have as many anchors as rows; such a list tells nobody anything.
        if len(distinct) <= 1000:
            for n, moment in enumerate(distinct):
                rows = order[ends[n] : ends[n + 1]]
                name = "left out" if first[n] == LEFT_OUT else SPLITS[first[n]]
                summary = summarise(target[rows], examples.classes, binary=binary)
                anchors.append(AnchorReport(int(moment), name, summary))
    for number, name in enumerate(SPLITS):
        mask = split == number
        count = 0 if examples.anchor is None else len(np.unique(examples.anchor[mask]))
        splits[name] = SplitReport(count, summarise(target[mask], examples.classes, binary=binary))
    reasons = dict(dropped)
    between = int((split == LEFT_OUT).sum())
    if between:
        reasons["left out between splits"] = between
    return TrainingTableReport(
        rows=len(examples) - between,
        splits=splits,
        anchors=tuple(anchors),
        considered=considered,
        dropped=reasons,
        left_out_anchors=left_out,
        empty_anchors=empty_anchors,
        warnings=warnings,
    )
