"""The report of a training table: what is in it, and what was left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from relcast.core.errors import TaskError
from relcast.tasks.examples import Examples, Rows
from relcast.tasks.offsets import from_iso, iso
from relcast.tasks.splits import LEFT_OUT, SPLITS, rows_of_split
from relcast.tasks.summaries import MOST_FREQUENT, Summariser, TargetSummary, counted

__all__ = [
    "AnchorReport",
    "SplitReport",
    "TargetSummary",
    "TrainingTableReport",
    "UnusableTable",
    "report_of",
]

BETWEEN = "left out between splits"
_MOST_ANCHORS = 1000
_NAMES = {LEFT_OUT: "left out", **dict(enumerate(SPLITS))}


@dataclass(frozen=True, slots=True)
class AnchorReport:
    """One anchor (ns UTC): its split (``train``, ``val``, ``test`` or ``left out``) and targets."""

    anchor: int
    split: str
    target: TargetSummary

    def to_json(self) -> dict[str, Any]:
        return {"anchor": iso(self.anchor), "split": self.split, **self.target.to_json()}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> AnchorReport:
        return cls(from_iso(obj["anchor"]), obj["split"], TargetSummary.from_json(obj))


@dataclass(frozen=True, slots=True)
class SplitReport:
    """One split.

    Attributes:
        anchors: Its number of anchors; 0 for static queries.
        target: Its targets.
        unseen: For val and test: how many distinct classes, or listed values, are in no row of
            train. None for train and for numbers.
        unseen_share: The share of the targets, or of the listed values, that they are.
    """

    anchors: int
    target: TargetSummary
    unseen: int | None = None
    unseen_share: float | None = None

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"anchors": self.anchors, **self.target.to_json()}
        if self.unseen is not None:
            shown |= {"unseen": self.unseen, "unseen_share": self.unseen_share}
        return shown

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> SplitReport:
        return cls(
            obj["anchors"],
            TargetSummary.from_json(obj),
            obj.get("unseen"),
            obj.get("unseen_share"),
        )


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
        target: The targets of all rows of the table.
        rule: The text of the split, such as ``RandomSplit([0.8, 0.1, 0.1])``; None where the rows
            said it themselves.
    """

    rows: int
    splits: Mapping[str, SplitReport]
    anchors: tuple[AnchorReport, ...] = ()
    considered: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    left_out_anchors: int = 0
    empty_anchors: int = 0
    warnings: tuple[str, ...] = ()
    target: TargetSummary | None = None
    rule: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON; ``docs/training-tables.md`` describes every key."""
        return {
            "rows": self.rows,
            "target": None if self.target is None else self.target.to_json(),
            "split": self.rule,
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
        """Read what ``to_json`` returned, now or in an earlier version."""
        target = obj.get("target")
        return cls(
            rows=obj["rows"],
            splits={name: SplitReport.from_json(s) for name, s in obj["splits"].items()},
            anchors=tuple(AnchorReport.from_json(a) for a in obj["anchors"]),
            considered=obj["considered"],
            dropped=dict(obj["dropped"]),
            left_out_anchors=obj["left_out_anchors"],
            empty_anchors=obj["empty_anchors"],
            warnings=tuple(obj["warnings"]),
            target=None if target is None else TargetSummary.from_json(target),
            rule=obj.get("split"),
        )


class UnusableTable(TaskError):
    """Examples were found, and do not make a training table.

    ``report`` says what there is, where examples were looked at; None otherwise.
    """

    report: TrainingTableReport | None = None

    @classmethod
    def of(cls, error: TaskError, report: TrainingTableReport) -> UnusableTable:
        """Return the error with the report of what there is."""
        found = cls(error.message, code=error.code, hint=error.hint)
        found.report = report
        return found


def report_of(
    examples: Examples,
    *,
    binary: bool,
    considered: int,
    dropped: Mapping[str, int],
    empty_anchors: int = 0,
    warnings: tuple[str, ...] = (),
    item_keys: pa.Array | None = None,
    rule: str | None = None,
    threads: int = 1,
) -> TrainingTableReport:
    """Report on examples; those of ``LEFT_OUT`` are counted, and are not in the table.

    Examples that are not split are reported as a whole: ``splits`` and ``anchors`` are empty.
    ``item_keys`` names what lists of rows hold. The report does not depend on ``threads``.
    """
    summary = Summariser(examples, binary=binary, item_keys=item_keys)
    split = examples.split
    if split is None:
        return TrainingTableReport(
            rows=len(examples),
            splits={},
            considered=considered,
            dropped=dict(dropped),
            empty_anchors=empty_anchors,
            warnings=warnings,
            target=summary.of(slice(0, len(examples))),
            rule=rule,
        )
    between = int(np.count_nonzero(split == LEFT_OUT))
    whole = split != LEFT_OUT if between else slice(0, len(examples))
    parts = [rows_of_split(split, number) for number in range(len(SPLITS))]
    anchors = _anchors(examples)
    asked: list[tuple[Rows, int]] = [(rows, MOST_FREQUENT) for rows in (whole, *parts)]
    few = 5 if examples.lists is not None else MOST_FREQUENT
    asked += [(rows, few) for rows in anchors.rows]
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda one: summary.of(*one), asked))
    reasons = dict(dropped)
    if between:
        reasons[BETWEEN] = between
    return TrainingTableReport(
        rows=len(examples) - between,
        splits={
            name: _split(examples, parts, number, found[1 + number])
            for number, name in enumerate(SPLITS)
        },
        anchors=tuple(
            AnchorReport(moment, _NAMES[number], target)
            for moment, number, target in zip(
                anchors.moments, anchors.splits, found[1 + len(SPLITS) :], strict=True
            )
        ),
        considered=considered,
        dropped=reasons,
        left_out_anchors=anchors.left_out,
        empty_anchors=empty_anchors,
        warnings=warnings,
        target=found[0],
        rule=rule,
    )


class _Anchors(NamedTuple):
    """The different anchors, ascending: when, in which split, and their rows.

    ``left_out`` counts those of no split. Beyond ``_MOST_ANCHORS`` they are counted alone: rows of
    one's own can have as many anchors as rows, and such a list tells nobody anything.
    """

    moments: list[int]
    splits: list[int]
    rows: list[Rows]
    left_out: int


def _anchors(examples: Examples) -> _Anchors:
    if examples.anchor is None or examples.split is None or len(examples) == 0:
        return _Anchors([], [], [], 0)
    order: npt.NDArray[np.intp] | None = None
    ordered = examples.anchor
    if (ordered[1:] < ordered[:-1]).any():
        order = np.argsort(examples.anchor, kind="stable")
        ordered = examples.anchor[order]
    starts = _starts(ordered)
    first = examples.split[starts if order is None else order[starts]]
    left_out = int(np.count_nonzero(first == LEFT_OUT))
    if len(starts) > _MOST_ANCHORS:
        return _Anchors([], [], [], left_out)
    pieces = [slice(*ends) for ends in pairwise([*starts.tolist(), len(ordered)])]
    rows: list[Rows] = [piece if order is None else order[piece] for piece in pieces]
    return _Anchors(ordered[starts].tolist(), first.tolist(), rows, left_out)


def _starts(ordered: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return where each different value of an ascending array begins."""
    return np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])


def _distinct(values: npt.NDArray[np.int64]) -> int:
    """Return how many different values there are; quick where they ascend."""
    if (values[1:] < values[:-1]).any():
        return len(np.unique(values))
    return len(_starts(values))


def _split(
    examples: Examples, parts: Sequence[Rows], number: int, target: TargetSummary
) -> SplitReport:
    anchors = 0 if examples.anchor is None else _distinct(examples.anchor[parts[number]])
    unseen, share = _unseen(examples, parts[0], parts[number]) if number else (None, None)
    return SplitReport(anchors, target, unseen, share)


def _unseen(examples: Examples, train: Rows, mine: Rows) -> tuple[int | None, float | None]:
    """Return how many distinct values of a split train does not have, and their share."""
    if examples.lists is not None:
        known, held = examples.lists.take(train).values, examples.lists.take(mine).values
    elif examples.classes is not None and examples.target is not None:
        target = examples.target.astype(np.int64)
        known, held = target[train], target[mine]
    else:
        return None, None
    values, counts = counted(held)
    new = ~np.isin(values, counted(known)[0])
    return int(new.sum()), float(counts[new].sum() / max(1, len(held)))
