"""The leakage certificate: facts that were computed about a model, not asserted.

Label windows of splits are disjoint; examples are of entities that were there at their anchor, and
see nothing beyond it; nothing moves when only the future changes; features are made from what was
known on the training side. Columns that are too good to be true are named with their evidence, and
what was assumed of columns that are known late. A certificate that fails says so wherever the
figures are shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from relcast.learners.folds import Folds
from relcast.learners.probe import Probe, perturbed, probe_future
from relcast.learners.protocol import Asked, Predictor, Ranker
from relcast.learners.scan import Suspicion, scan
from relcast.pql.ast import CheckedQuery
from relcast.relations import NOT_A_TIME
from relcast.tasks.waiting import frame_of

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.relations import Relations

__all__ = ["Certificate", "Check", "Gap", "make_certificate"]

Index = npt.NDArray[np.int64]

_SAMPLE = 10_000
_WATCHED = 120
_MOST_CELLS = 20_000_000


@dataclass(frozen=True, slots=True)
class Gap:
    """Two splits in time order: where the earlier one's labels end and the later one's begin.

    Attributes:
        earlier, later: Names of the splits.
        ends: When the last label of the earlier one is settled, ns UTC (closed).
        begins: Earliest begin of a label window of the later one, ns UTC (open).
        disjoint: Whether ``ends <= begins``.
    """

    earlier: str
    later: str
    ends: int
    begins: int
    disjoint: bool


@dataclass(frozen=True, slots=True)
class Check:
    """One fact: what was looked at, and what was found.

    Attributes:
        name: What was looked at.
        passed: None where it does not apply, or could not be looked at; ``says`` tells why.
        says: What was found, in a sentence.
    """

    name: str
    passed: bool | None
    says: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """The facts.

    Attributes:
        regime: ``rolling`` or ``frozen``.
        gaps: Neighbouring splits and their windows; none for a static query.
        probe: The future-perturbation probe.
        suspicions: Features that are too good to be true, best first.
        others: Checks beside the windows and the probe: population, regime, training side, scan.
        assumed: What was taken for granted of columns that are known late, JSON-ready.
    """

    regime: str
    gaps: tuple[Gap, ...]
    probe: Probe
    suspicions: tuple[Suspicion, ...]
    others: tuple[Check, ...] = ()
    assumed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every fact, in the order in which people should read them."""
        return (_windows(self.gaps), _probed(self.probe), *self.others)

    @property
    def passed(self) -> bool:
        """Whether nothing that was looked at failed."""
        return all(check.passed is not False for check in self.checks)

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong with the figures, a sentence each."""
        return tuple(check.says for check in self.checks if check.passed is False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user must hear: every failure, features too good, what was assumed."""
        failed = (f"The leakage certificate failed: {failure}" for failure in self.failures)
        suspect = (suspicion.sentence for suspicion in self.suspicions)
        return (*failed, *suspect, *self.assumed.get("warnings", ()))

    def verdict(self, sentence: str) -> str:
        """Return a verdict with what the certificate has to say of it before it."""
        if not self.passed:
            return (
                f"Not to be trusted, the leakage certificate failed: {self.failures[0]} {sentence}"
            )
        if self.suspicions:
            return f"Too good to be true? {self.suspicions[0].sentence} {sentence}"
        return sentence

    def to_json(self) -> dict[str, Any]:
        return {
            "regime": self.regime,
            "passed": self.passed,
            "checks": [asdict(check) for check in self.checks],
            "gaps": [asdict(gap) for gap in self.gaps],
            "windows_disjoint": all(gap.disjoint for gap in self.gaps),
            "probe": self.probe.to_json(),
            "suspicions": [asdict(s) for s in self.suspicions],
            "others": [asdict(check) for check in self.others],
            "assumed": dict(self.assumed),
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Certificate:
        return cls(
            regime=obj["regime"],
            gaps=tuple(Gap(**gap) for gap in obj["gaps"]),
            probe=Probe.from_json(obj["probe"]),
            suspicions=tuple(Suspicion(**s) for s in obj["suspicions"]),
            others=tuple(Check(**check) for check in obj["others"]),
            assumed=obj["assumed"],
        )


class Regenerate(Protocol):
    """Makes candidate features from relations, reading nothing after the training side."""

    def __call__(self, relations: Relations) -> FeatureSet: ...


def make_certificate(
    relations: Relations,
    query: CheckedQuery,
    folds: Folds,
    model: Predictor | Ranker,
    features: FeatureSet | None,
    *,
    regime: str,
    seed: int,
    threads: int,
    again: Regenerate | None = None,
    assumed: Mapping[str, Any] | None = None,
    added: Mapping[str, Any] | None = None,
) -> Certificate:
    """Compute the certificate of a published model.

    Args:
        relations: The snapshot.
        query: The query.
        folds: The examples.
        model: What is published.
        features: The candidate features, which are looked through for what is too good to be
            true; None where the fit was stopped before there were any.
        regime: ``rolling`` or ``frozen``.
        seed: Seed of samples and of the other future.
        threads: Threads to use.
        again: Makes the candidate features of other relations, the training side's last moment
            being the same; None leaves that check out.
        assumed: What was taken for granted of columns that are known late.
        added: What ``denser`` says of the rows among the examples that it added; None without any.
    """
    parts = [fold.asked for fold in (folds.train, folds.validation, folds.test) if len(fold)]
    everything = Asked(
        np.concatenate([part.entity for part in parts]),
        _joined([part.anchor for part in parts]),
        _joined([part.known for part in parts]),
    )
    watched = None
    if features is not None:
        watched = features.select(range(min(_WATCHED, len(features.features))))
    suspicions, scanned = _scanned(relations, folds, features, seed, threads)
    return Certificate(
        regime=regime,
        gaps=_gaps(relations, query, folds),
        probe=probe_future(
            relations, model, everything, seed=seed, threads=threads, features=watched
        ),
        suspicions=suspicions,
        others=(
            _population(relations, query, everything),
            _regime(folds, regime),
            _training_side(relations, folds, features, again, seed),
            scanned,
            *(() if added is None else (_added(added),)),
        ),
        assumed=json.loads(json.dumps(assumed or {})),  # as it comes back from a bundle
    )


def _joined(parts: list[Index | None]) -> Index | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def _gaps(relations: Relations, query: CheckedQuery, folds: Folds) -> tuple[Gap, ...]:
    named = [("train", folds.train), *folds.held_out().items()]
    gaps = []
    for (earlier, before), (later, after) in pairwise(named):
        if before.asked.anchor is None or after.asked.anchor is None:
            return ()
        frame = frame_of(query, relations)
        ends = int(frame.settled_spans(before.asked.anchor)[1].max())
        begins = int(frame.spans(after.asked.anchor)[0].min())
        gaps.append(Gap(earlier, later, ends, begins, ends <= begins))
    return tuple(gaps)


def _windows(gaps: tuple[Gap, ...]) -> Check:
    name = "label windows of splits are disjoint"
    if not gaps:
        return Check(name, None, "The query is static: labels have no windows.")
    over = [gap for gap in gaps if not gap.disjoint]
    if over:
        gap = over[0]
        return Check(
            name,
            False,
            f"Label windows of {gap.earlier} and {gap.later} overlap: figures of {gap.later} are "
            "too good.",
        )
    return Check(name, True, "The labels of each split are settled before those of the next begin.")


def _probed(probe: Probe) -> Check:
    name = "nothing moves when only the future changes"
    if not probe.ran:
        return Check(name, None, probe.reason)
    if probe.passed:
        says = (
            f"{probe.examples:,} examples at {probe.anchors} anchors, {probe.rows:,} rows changed."
        )
        return Check(name, True, says)
    says = "Something moved when only the future changed: the model sees too much."
    if probe.features_moved:
        says += f" First of all: {probe.features_moved[0]}."
    return Check(name, False, says)


def _population(relations: Relations, query: CheckedQuery, asked: Asked) -> Check:
    """Look whether every example's entity was there at its anchor: begun, and not yet over."""
    name = "examples are of entities that were there at their anchor"
    table = relations.table(query.entity_table)
    if asked.anchor is None:
        return Check(name, None, "The query is static: there are no anchors.")
    if table.time is None and table.end_time is None:
        return Check(
            name, None, f"Rows of {query.entity_table} have no times: all are always there."
        )
    there = np.ones(len(asked), dtype=np.bool_)
    if table.time is not None:
        begun = table.time[asked.entity]
        there &= (begun != NOT_A_TIME) & (begun <= asked.anchor)
    if table.end_time is not None:
        over = table.end_time[asked.entity]
        there &= (over == NOT_A_TIME) | (over > asked.anchor)
    absent = int((~there).sum())
    if absent:
        says = f"{absent:,} of {len(asked):,} examples are of entities not yet or no longer there."
        return Check(name, False, says)
    return Check(name, True, f"All {len(asked):,} examples are.")


def _regime(folds: Folds, regime: str) -> Check:
    """Look whether examples see as far as the regime says, and never beyond their anchor."""
    name = "examples see nothing after their anchor"
    if folds.train.asked.anchor is None:
        return Check(name, None, "The query is static: everything is known.")
    for split, fold in (("train", folds.train), *folds.held_out().items()):
        anchor, known = fold.asked.anchor, fold.asked.known
        if anchor is None or known is None or not (known <= anchor).all():
            return Check(name, False, f"Examples of {split} see beyond their anchor.")
        if regime == "frozen" and split != "train" and known.max() > anchor.min():
            return Check(name, False, f"Examples of {split} see beyond the start of their split.")
    frozen = "Rolling: each sees what was known at its own anchor."
    if regime == "frozen":
        frozen = "Frozen: held-out examples see nothing after the start of their split."
    return Check(name, True, frozen)


def _added(report: Mapping[str, Any]) -> Check:
    """Say which rows nobody gave; the other checks have looked at them, too."""
    return Check(
        "rows that were added follow the query",
        True,
        f"{report['added']:,} between {report['given']:,} training rows, "
        f"{report['added_to_validation']:,} among and after those of validation for the refit: "
        f"{report['population']}. By this rule every given row and its label come out again.",
    )


def _training_side(
    relations: Relations,
    folds: Folds,
    features: FeatureSet | None,
    again: Regenerate | None,
    seed: int,
) -> Check:
    """Make the features again from another future, and compare."""
    name = "features and their categories are of the training side"
    anchor = folds.train.asked.anchor
    if features is None or again is None:
        return Check(name, None, "No features were made.")
    if anchor is None:
        return Check(name, None, "The query is static: rows have no times.")
    cells = sum(t.rows * len(t.columns) for t in relations.tables.values())
    if cells > _MOST_CELLS:
        return Check(name, None, f"The snapshot has {cells:,} values; the check copies them.")
    other, _ = perturbed(relations, int(anchor.max()), np.random.default_rng([seed, 47]))
    if again(other).to_json() != features.to_json():
        return Check(name, False, "Features were chosen by rows after the training side.")
    return Check(
        name, True, "The same come out when everything after the last training anchor is other."
    )


def _scanned(
    relations: Relations, folds: Folds, features: FeatureSet | None, seed: int, threads: int
) -> tuple[tuple[Suspicion, ...], Check]:
    name = "no feature alone holds the answer"
    if features is None or not features.features:
        return (), Check(name, None, "There are no features to look through.")
    rng = np.random.default_rng([seed, 43])
    rows = np.sort(rng.permutation(len(folds.train))[:_SAMPLE])
    part = folds.train.take(rows, None)
    asked = part.asked
    found = features.compute(
        relations, asked.entity, asked.anchor, known=asked.known, threads=threads
    )
    suspicions = scan(features, found.values, part, folds.target, rng)
    seen = f"{len(features.features):,} features on {len(rows):,} training rows."
    if suspicions:
        return suspicions, Check(name, None, f"{suspicions[0].sentence} ({seen})")
    return (), Check(name, True, seen)
