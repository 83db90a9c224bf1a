"""The records of an outline: what a training table would be, as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from relcast.core.clock import isoformat, parse_time
from relcast.core.errors import Fault, Position
from relcast.core.schema import TaskType
from relcast.tasks.anchors import TimeRange
from relcast.tasks.offsets import from_datetime, to_datetime
from relcast.tasks.report import TrainingTableReport

__all__ = ["Outline", "PlannedAnchor", "PlannedSplit", "Sample"]


@dataclass(frozen=True, slots=True)
class PlannedAnchor:
    """One anchor: its split (or ``left out``) and its label windows' union ``(low, high]``, ns."""

    anchor: int
    split: str
    low: int
    high: int

    def to_json(self) -> dict[str, Any]:
        return {
            "anchor": _iso(self.anchor),
            "split": self.split,
            "labels_after": _iso(self.low),
            "labels_until": _iso(self.high),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Self:
        return cls(
            _ns(obj["anchor"]), obj["split"], _ns(obj["labels_after"]), _ns(obj["labels_until"])
        )


@dataclass(frozen=True, slots=True)
class PlannedSplit:
    """The anchors of one split: how many, the first and last, and what their labels span, ns."""

    anchors: int
    first: int
    last: int
    low: int
    high: int

    def to_json(self) -> dict[str, Any]:
        return {
            "anchors": self.anchors,
            "first": _iso(self.first),
            "last": _iso(self.last),
            "labels_after": _iso(self.low),
            "labels_until": _iso(self.high),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Self:
        return cls(
            obj["anchors"],
            *(_ns(obj[k]) for k in ("first", "last", "labels_after", "labels_until")),
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """Which part of the entities the figures were made of; counts are scaled up from it."""

    entities: int
    of: int

    @property
    def estimated(self) -> bool:
        return self.entities < self.of

    def to_json(self) -> dict[str, Any]:
        return {"entities": self.entities, "of": self.of, "estimated": self.estimated}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Self:
        return cls(obj["entities"], obj["of"])


@dataclass(frozen=True, slots=True)
class Outline:
    """A training table as it would be.

    Attributes:
        text: The query.
        task_type: Its task type; a text column that has two values makes it binary.
        temporal: Whether examples have anchors.
        sentence: The query said back, with its anchors.
        rhythm: When anchors stand, in words; None for static queries and without anchors.
        data: The earliest and latest time in the target's tables, ns; None for static queries.
        anchors: Every anchor that the plan gives, ascending, those between splits too; empty for
            static queries and beyond 1,000.
        anchor_count: How many anchors the plan gives.
        splits: By name, those that have anchors.
        left_out_anchors: Anchors between two splits, whose windows would overlap.
        report: The table's figures; None where they were not asked for or there are none.
        sample: What the figures were made of; None without figures.
        fault: Why no table can be made, and the mend; None when one can.
        warnings: The query's warnings. Those of the table are in the report.
    """

    text: str
    task_type: TaskType
    temporal: bool
    sentence: str
    rhythm: str | None = None
    data: TimeRange | None = None
    anchors: tuple[PlannedAnchor, ...] = ()
    anchor_count: int = 0
    splits: Mapping[str, PlannedSplit] = field(default_factory=dict)
    left_out_anchors: int = 0
    report: TrainingTableReport | None = None
    sample: Sample | None = None
    fault: Fault | None = None
    warnings: tuple[Fault, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "query_string": self.text,
            "task_type": self.task_type.value,
            "temporal": self.temporal,
            "sentence": self.sentence,
            "rhythm": self.rhythm,
            "data": None
            if self.data is None
            else {"begin": _iso(self.data.begin), "end": _iso(self.data.end)},
            "anchors": [a.to_json() for a in self.anchors],
            "anchor_count": self.anchor_count,
            "splits": {name: s.to_json() for name, s in self.splits.items()},
            "left_out_anchors": self.left_out_anchors,
            "report": None if self.report is None else self.report.to_json(),
            "sample": None if self.sample is None else self.sample.to_json(),
            "fault": None if self.fault is None else self.fault.to_json(),
            "warnings": [w.to_json() for w in self.warnings],
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Outline:
        data, report, sample, fault = (obj[k] for k in ("data", "report", "sample", "fault"))
        return cls(
            text=obj["query_string"],
            task_type=TaskType(obj["task_type"]),
            temporal=obj["temporal"],
            sentence=obj["sentence"],
            rhythm=obj["rhythm"],
            data=None if data is None else TimeRange(_ns(data["begin"]), _ns(data["end"])),
            anchors=tuple(PlannedAnchor.from_json(a) for a in obj["anchors"]),
            anchor_count=obj["anchor_count"],
            splits={name: PlannedSplit.from_json(s) for name, s in obj["splits"].items()},
            left_out_anchors=obj["left_out_anchors"],
            report=None if report is None else TrainingTableReport.from_json(report),
            sample=None if sample is None else Sample.from_json(sample),
            fault=None if fault is None else _fault(fault),
            warnings=tuple(_fault(w) for w in obj["warnings"]),
        )


def _fault(obj: Mapping[str, Any]) -> Fault:
    at = obj.get("position")
    position = None if at is None else Position(at["line"], at["column"], at["length"])
    return Fault(obj["code"], obj["message"], obj["hint"], position)


def _iso(moment: int) -> str | None:
    return isoformat(to_datetime(moment))


def _ns(text: str) -> int:
    moment = parse_time(text)
    return 0 if moment is None else from_datetime(moment)
