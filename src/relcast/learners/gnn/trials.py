"""Train graph networks under a budget: codes, own features, trials, blend, refit.

Everything here sees training and validation rows only; the test split is for ``fit`` to measure.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from relcast.core.schema import TaskType
from relcast.learners import metrics
from relcast.learners.blending import greedy_weights
from relcast.learners.features.columns import unusable
from relcast.learners.gnn.codes import fit_codes
from relcast.learners.gnn.heads import Head
from relcast.learners.gnn.model import GraphModel, Member, one_thread
from relcast.learners.gnn.network import Network, Shape
from relcast.learners.gnn.own import OwnFeatures
from relcast.learners.gnn.reader import Own, Reader
from relcast.learners.gnn.settings import (
    Effort,
    Trying,
    bounded,
    effort_of,
    propose,
    target_fanout,
)
from relcast.learners.gnn.training import PATIENCE, Course, Group, Rows, run_course
from relcast.learners.gnn.walks import EdgeType
from relcast.learners.learner import Trained, Trial, Work
from relcast.learners.protocol import Asked, Fold
from relcast.learners.sampling import sample_rows
from relcast.learners.staleness import aged
from relcast.learners.support import clocks
from relcast.tasks.anchors import Frame

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["train_networks"]

Float = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

_YEAR = int(365.2425 * 86_400e9)
_MOST_FEATURES = 128
_MOST_CELLS = 2**28
_CLOCK_ROWS = 20_000


def train_networks(
    work: Work, *, start: GraphModel | None = None, group: Group | None = None
) -> Trained[GraphModel]:
    """Train a blend of networks.

    ``start`` is an earlier model whose codes are kept and whose weights the first trial begins with
    (warm start); it must have been trained on the same tables, links and task. The processes of
    ``group`` train together; None trains alone.
    """
    settings, target = work.settings, work.target
    effort = effort_of(settings.budget, target.task_type)
    train, notes = _sampled(work)
    effort = bounded(effort, len(train), settings.budget)
    valid = _checked(work, effort)
    most, examples = _most_rows(work), len(train)
    train = aged(train, valid, limit=most, seed=settings.seed)  # frozen: as stale as validation
    model, values, ahead_values = _prepared(work, train, valid, effort, start)
    bench = _Bench(work, model, effort, group)
    rows = replace(bench.rows(train, values), examples=examples)
    held_out = bench.rows(valid, ahead_values)
    with one_thread():
        found = bench.search(rows, held_out, valid, start)
        validated = bench.blend(found, held_out, valid)
        published = validated
        if settings.budget.refit:
            published = bench.refit(validated, rows, held_out)
    notes |= {
        "features": len(model.features.features),
        "tables": [code.table for code in model.codes],
        "refit": settings.budget.refit,
        "warm_start": start is not None,
        "networks": effort.trials,
        "epochs": effort.epochs,
        "out_of_time": any(trial.out_of_time for trial, _ in found),
    }
    return Trained(published, validated, tuple(trial for trial, _ in found), notes)


def _sampled(work: Work) -> tuple[Fold, dict[str, Any]]:
    """Choose training rows: at most the budget's, and what fits a gigabyte with their features."""
    train, settings = work.train, work.settings
    numbers = work.target.task_type in (TaskType.BINARY_CLASSIFICATION, TaskType.REGRESSION)
    label = train.label if numbers and train.label.ndim == 1 else np.zeros(len(train))
    sample = sample_rows(
        label,
        train.asked.anchor,
        train.weight,
        task_type=work.target.task_type if numbers else TaskType.REGRESSION,
        limit=_most_rows(work),
        seed=settings.seed,
    )
    return train.take(sample.rows, sample.weight), {"training_rows": sample.report}


def _most_rows(work: Work) -> int:
    wide = 2 * min(_MOST_FEATURES, len(work.features.features)) + 1
    return min(work.settings.budget.rows, max(10_000, _MOST_CELLS // wide))


def _checked(work: Work, effort: Effort) -> Fold:
    limit = effort.checked * effort.batch
    if len(work.valid) <= limit:
        return work.valid
    rng = np.random.default_rng([work.settings.seed, 9])
    rows = np.sort(rng.permutation(len(work.valid))[:limit])
    weight = None if work.valid.weight is None else work.valid.weight[rows]
    return work.valid.take(rows, weight)


def _prepared(
    work: Work, train: Fold, valid: Fold, effort: Effort, start: GraphModel | None
) -> tuple[GraphModel, Values, Values]:
    """Return a model without members, and the features of training and validation rows."""
    relations, query, threads = work.relations, work.query, work.settings.threads

    def compute(features: FeatureSet, asked: Asked) -> Values:
        found = features.compute(
            relations, asked.entity, asked.anchor, known=asked.known, threads=threads
        )
        return found.values

    if start is not None:
        model = replace(start, name="graph network", members=())
        return model, compute(model.features, train.asked), compute(model.features, valid.asked)
    listed = work.features.features
    # What the anchor itself says comes first: it is little, and says how stale an example is.
    order = sorted(range(len(listed)), key=lambda k: listed[k].recipe.family != "calendar")
    features = work.features.select(order[:_MOST_FEATURES])
    values, later = compute(features, train.asked), compute(features, valid.asked)
    kept = _useful(values, later, train, work.settings.seed)
    features, values, later = features.select(kept), values[:, kept], later[:, kept]
    sizes = [None if f.categories is None else len(f.categories) for f in features.features]
    own = OwnFeatures.fit(values, sizes)
    closed = unusable(relations.graph, query, allow_mutable=work.settings.allow_mutable)
    closed |= work.settings.leave_out
    fanouts = _fanouts(relations, query, effort, closed)
    near = {edge.source for hop in fanouts for edge in hop}
    tables = [name for name in relations.tables if name in near or name == query.entity_table]
    known = train.asked.known
    until = None if known is None else int(known.max())
    unit = _unit(query, until)
    codes = fit_codes(relations, query, tables, until=until, unit=unit, closed=closed)
    head = Head.fit(work.target, train.label, work.settings.losses)
    model = GraphModel(
        "graph network",
        work.target,
        query.entity_table,
        codes,
        fanouts,
        features,
        own,
        head,
        (),
    )
    return model, values, later


def _useful(values: Values, later: Values, train: Fold, seed: int) -> list[int]:
    """Return the features that vary and are no clocks (see ``support``)."""
    with np.errstate(invalid="ignore"):
        missing = np.isnan(values).any(axis=0)
        least = np.nan_to_num(values, nan=np.inf).min(axis=0, initial=np.inf)
        most = np.nan_to_num(values, nan=-np.inf).max(axis=0, initial=-np.inf)
    useful = (most > least) | (missing & (most >= least))
    if train.asked.anchor is not None:
        rng = np.random.default_rng([seed, 5])
        rows = np.sort(rng.permutation(len(values))[:_CLOCK_ROWS])
        useful &= ~clocks(values[rows], train.asked.anchor[rows], later)
    return [int(k) for k in np.flatnonzero(useful)]


def _unit(query: CheckedQuery, until: int | None) -> int:
    """Return the horizon of the query in ns; a year where it has none."""
    if until is None or not query.temporal:
        return _YEAR
    at = np.array([until], dtype=np.int64)
    return max(1, int(Frame.of(query).spans(at)[1][0]) - until)


def _fanouts(
    relations: Relations, query: CheckedQuery, effort: Effort, closed: set[tuple[str, str]]
) -> tuple[dict[EdgeType, int], ...]:
    """Say how many neighbours each hop reads.

    What a static link answers is not walked, nor a foreign key that may not be read.
    """
    from relcast.pql.ast import aggregations

    parts = aggregations(query.query.target)
    answer = {part.path[-1] for part in parts if not query.temporal and part.path}
    links = [
        link
        for link in relations.links
        if link not in answer and (link.table, link.foreign_key) not in closed
    ]
    edges = [EdgeType(link, "up") for link in links] + [EdgeType(link, "down") for link in links]
    wanted = {part.path[-1] for part in parts if query.temporal and part.path}
    parents = relations.table(query.entity_table).rows
    reached = {query.entity_table}
    hops = []
    for number in range(effort.hops):
        hop = {}
        for edge in edges:
            if edge.target not in reached:
                continue
            hop[edge] = 1 if edge.way == "up" else effort.neighbours
            if number == 0 and edge.way == "down" and edge.link in wanted:
                children = relations.table(edge.source).rows
                hop[edge] = max(effort.neighbours, target_fanout(children, parents))
        reached |= {edge.source for edge in hop}
        hops.append(hop)
    return tuple(hops)


@dataclass(frozen=True)
class _Bench:
    """Where networks of one model are trained and measured."""

    work: Work
    model: GraphModel
    effort: Effort
    group: Group | None

    @property
    def reader(self) -> Reader:
        return self.model.reader(self.work.relations, few=False)

    def late(self) -> bool:
        """Tell whether the time is over; of several processes the first one's is."""
        over = self.work.settings.deadline.passed()
        return over if self.group is None else self.group.agree(float(over)) > 0

    def rows(self, fold: Fold, values: Values) -> Rows:
        weight = np.ones(len(fold)) if fold.weight is None else fold.weight
        none = not self.model.features.features
        own = Own.none(len(fold)) if none else Own(*self.model.own.apply(values))
        labels = self.model.head.labels(fold)
        return Rows(fold.asked, own, labels, weight.astype(np.float32), len(fold))

    def search(
        self, rows: Rows, held_out: Rows, valid: Fold, start: GraphModel | None
    ) -> list[tuple[Trial, Member]]:
        """Train one network per trial until the budget or the time is spent."""
        settings = self.work.settings
        found: list[tuple[Trial, Member]] = []
        for number in range(self.effort.trials):
            if found and self.late():
                break
            trying = propose(number, settings.seed)
            began = time.monotonic()
            seed = settings.seed + number
            warm = start.members[0] if start is not None and number == 0 else None
            shape = self._shape(trying) if warm is None else warm.shape
            network = self._network(shape, seed, rows, warm)

            def measure(net: Network, epoch: int, trial: int = number) -> float:
                value = self._metric(self._raw(net, held_out), valid)
                self.work.report(trial, epoch, settings.metric, value)
                return value

            course = self.course(network, rows, trying, seed, measure)
            config = {**trying.to_json(), "seed": seed}
            member = Member(shape, course.state, 1.0, course.epochs, config)
            seconds = time.monotonic() - began
            trial = Trial(number, config, course.epochs, course.value, seconds, course.out_of_time)
            found.append((trial, member))
        return found

    def blend(self, found: list[tuple[Trial, Member]], held_out: Rows, valid: Fold) -> GraphModel:
        """Weigh the networks on validation."""
        raws = [self._raw(self._filled(member), held_out) for _, member in found]
        sign = -1.0 if metrics.is_greater_better(self.work.settings.metric) else 1.0
        weights = greedy_weights(raws, lambda raw: sign * self._metric(raw, valid))
        chosen = tuple(
            replace(member, weight=float(weight))
            for (_, member), weight in zip(found, weights, strict=True)
            if weight > 0
        )
        name = "graph network" if len(chosen) == 1 else f"graph networks (blend of {len(chosen)})"
        return replace(self.model, name=name, members=chosen)

    def refit(self, model: GraphModel, train: Rows, valid: Rows) -> GraphModel:
        """Train every member again, for as many epochs, on training and validation rows."""
        rows = _both(train, valid)
        members = []
        for member in model.members:
            if self.late():
                return model
            config = dict(member.config)
            seed = int(config.pop("seed"))
            bench = replace(self, effort=replace(self.effort, epochs=member.epochs))
            network = self._network(member.shape, seed, rows, None)
            course = bench.course(network, rows, Trying.from_json(config), seed, None)
            if course.out_of_time:
                return model
            members.append(replace(member, state=course.state))
        return replace(model, members=tuple(members))

    def course(
        self, network: Network, rows: Rows, trying: Trying, seed: int, measure: Any
    ) -> Course:
        """Train one network."""
        from relcast.learners.evaluation import better

        settings = self.work.settings
        return run_course(
            network,
            self.model.head,
            self.reader,
            rows,
            trying,
            self.effort,
            seed=seed,
            threads=settings.threads,
            measure=measure,
            better=lambda mine, other: better(settings.metric, mine, other),
            late=settings.deadline.passed,
            patience=PATIENCE if settings.patience is None else settings.patience,
            group=self.group,
        )

    def _shape(self, trying: Trying) -> Shape:
        joined = trying.features and bool(self.model.features.features)
        return Shape(
            trying.channels,
            len(self.model.fanouts),
            trying.before,
            trying.after,
            trying.aggregations,
            self.model.own.channels if joined else 0,
            self.model.own.places if joined else 0,
            self.model.head.outputs,
        )

    def _network(self, shape: Shape, seed: int, rows: Rows, warm: Member | None) -> Network:
        if warm is not None:
            return self._filled(warm)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Network(self.model.codes, self.model.edges, self.model.entity, shape)
        first = self.model.head.first(rows.labels, rows.weight.astype(np.float64))
        with torch.no_grad():
            network.head.weight *= 0.1
            network.head.bias.copy_(torch.from_numpy(first))
        return network.to(self.reader.device)

    def _filled(self, member: Member) -> Network:
        return self.model.network(member).to(self.reader.device)

    def _raw(self, network: Network, rows: Rows) -> Float:
        parts = []
        with torch.no_grad():
            for begin in range(0, len(rows), self.effort.batch):
                part = slice(begin, begin + self.effort.batch)
                batch = self.reader.batch(rows.asked.take(part), rows.own.take(part))
                parts.append(network(batch).double().cpu().numpy())
        return np.concatenate(parts)

    def _metric(self, raw: Float, valid: Fold) -> float:
        name = self.work.settings.metric
        values = self.model.head.values(raw)
        found: Mapping[str, float] = metrics.metrics_of(
            self.work.target.task_type, valid, values
        ).compute((name,))
        return float(found[name])


def _both(one: Rows, other: Rows) -> Rows:
    def joined(a: Any, b: Any) -> Any:
        return None if a is None else np.concatenate([a, b])

    return Rows(
        Asked(
            np.concatenate([one.asked.entity, other.asked.entity]),
            joined(one.asked.anchor, other.asked.anchor),
            joined(one.asked.known, other.asked.known),
        ),
        Own(
            np.concatenate([one.own.numbers, other.own.numbers]),
            np.concatenate([one.own.places, other.own.places]),
        ),
        np.concatenate([one.labels, other.labels]),
        np.concatenate([one.weight, other.weight]),
        one.examples + other.examples,
    )
