"""Why a network says what it says: integrated gradients over rows, columns and own features.

Sundararajan, Taly, Yan: Axiomatic attribution for deep networks (2017). The path begins with
nothing there (every row shut out, every value and feature at zero) and ends at the example: rows
are let in and filled at one pace. The integral is a sum over Gauss's points; what it misses is in
``rest``, so that base, contributions and rest add up to the raw score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from relcast.core.schema import TaskType
from relcast.learners.gnn.codes import TableCode
from relcast.learners.gnn.model import one_thread
from relcast.learners.gnn.network import Batch, Network, Rows
from relcast.learners.gnn.walks import Sample
from relcast.learners.protocol import Asked, Contributions, Reason
from relcast.relations import NOT_A_TIME, ColumnArray

if TYPE_CHECKING:
    from relcast.learners.gnn.model import GraphModel
    from relcast.relations import Relations

__all__ = ["explain"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_POINTS = 32
_EXAMPLES = 32


@dataclass(frozen=True)
class _Found:
    """Integrated gradients of one chunk of examples.

    Attributes:
        raw, base: float64[B].
        there: Per table float64[N], for being there at all.
        numbers: Per table float64[N, channels].
        words: Per table float64[N, columns + bags].
        features: float64[B, F].
        feature_words: float64[B, categories].
    """

    sample: Sample
    raw: Float
    base: Float
    there: dict[str, Float]
    numbers: dict[str, Float]
    words: dict[str, Float]
    features: Float
    feature_words: Float


def explain(
    model: GraphModel,
    relations: Relations,
    asked: Asked,
    *,
    top: int,
    threads: int,
    output: Index | None = None,
) -> Contributions:
    """Return the ``top`` strongest reasons of each row: features, and columns of rows around it."""
    raws, bases, rests = [], [], []
    reasons: list[tuple[Reason, ...]] = []
    for part, own_values, found in _chunks(model, relations, asked, threads, output):
        offers = _Offers(model, relations, part, own_values, found)
        for k in range(len(part)):
            every = sorted(offers.of(k), key=lambda r: -abs(r["contribution"]))
            shown = tuple(r for r in every[: max(0, top)] if r["contribution"] != 0.0)
            reasons.append(shown)
            rests.append(found.raw[k] - found.base[k] - sum(r["contribution"] for r in shown))
        raws.append(found.raw)
        bases.append(found.base)
    if not raws:
        none = np.zeros(0)
        return Contributions(none, none, (), none)
    return Contributions(
        np.concatenate(raws), np.concatenate(bases), tuple(reasons), np.array(rests)
    )


def _chunks(
    model: GraphModel, relations: Relations, asked: Asked, threads: int, output: Index | None
) -> Sequence[tuple[Asked, npt.NDArray[np.float32], _Found]]:
    reader = model.reader(relations, few=len(asked) < 2 * _EXAMPLES)
    found = []
    with one_thread():
        for begin in range(0, len(asked), _EXAMPLES):
            rows = slice(begin, min(begin + _EXAMPLES, len(asked)))
            part = asked.take(rows)
            own = model.own_features(relations, part, threads)
            sample, batch = reader.read(part, own)
            wanted = None if output is None else output[rows]
            values = np.zeros((len(part), 0), dtype=np.float32)
            if model.features.features:
                values = model.features.compute(
                    relations, part.entity, part.anchor, known=part.known, threads=threads
                ).values
            found.append((part, values, _integrated(model, sample, batch, wanted)))
    return found


def _integrated(model: GraphModel, sample: Sample, batch: Batch, output: Index | None) -> _Found:
    head = model.head
    with torch.no_grad():
        whole = [network(batch).double().cpu().numpy() for network in model.networks]
    raw = np.zeros_like(whole[0])
    for said, member in zip(whole, model.members, strict=True):
        raw += member.weight * said
    chosen = output
    if chosen is None:
        first = head.task_type is TaskType.FORECASTING
        chosen = np.zeros(len(raw), np.int64) if first else raw.argmax(axis=1)
    every = np.arange(len(raw))
    unit = head.scale
    total: _Found | None = None
    for network, member in zip(model.networks, model.members, strict=True):
        part = _one(network, model.codes, sample, batch, torch.from_numpy(chosen))
        total = _weighed(total, part, member.weight * unit)
    if total is None:
        raise AssertionError("a model has networks")
    shown = head.unscaled(raw)[every, chosen]
    return replace(total, raw=shown, base=total.base + head.centre)


def _one(
    network: Network, codes: Sequence[TableCode], sample: Sample, batch: Batch, output: Tensor
) -> _Found:
    """Integrate one network's gradients along the path."""
    with torch.no_grad():
        words = network.row_words(batch)
        feature_words = network.words(batch.feature_places)
    numbers = {name: batch.rows[name].numbers for name in network.tables}
    fixed = {name: torch.zeros_like(x) for name, x in numbers.items()}
    for name in numbers:
        fixed[name][:, 0] = numbers[name][:, 0]  # that the row is there is the gate's matter
    always = torch.zeros_like(batch.features)
    always[:, 0] = batch.features[:, 0]
    points, weights = _points()
    sums: list[Tensor] = []
    output = output.to(batch.features.device)

    def scored(share: float, *, grad: bool) -> tuple[Tensor, list[Tensor]]:
        leaves: list[Tensor] = []

        def leaf(x: Tensor) -> Tensor:
            made = (x * share).detach().requires_grad_(grad)
            leaves.append(made)
            return made

        rows = {}
        for code in codes:
            name = code.table
            given = batch.rows[name]
            gate = leaf(torch.ones_like(given.numbers[:, 0]))
            content = leaf(numbers[name] - fixed[name])
            embedded = leaf(words[name])
            rows[name] = Rows(
                content + fixed[name], given.places, given.bags, given.ends, embedded, gate
            )
        features, own_words = leaf(batch.features - always), leaf(feature_words)
        asked = replace(batch, rows=rows, features=features + always, feature_embedded=own_words)
        said = network(asked).gather(1, output[:, None])[:, 0]
        return said, leaves

    with torch.no_grad():
        base = scored(0.0, grad=False)[0].double().cpu().numpy()
    for point, weight in zip(points, weights, strict=True):
        said, leaves = scored(float(point), grad=True)
        found: Sequence[Tensor | None] = torch.autograd.grad(said.sum(), leaves, allow_unused=True)
        got = [
            torch.zeros_like(x) if g is None else g * float(weight)
            for x, g in zip(leaves, found, strict=True)
        ]
        sums = got if not sums else [a + b for a, b in zip(sums, got, strict=True)]
    there, of_numbers, of_words = {}, {}, {}
    for k, code in enumerate(codes):
        name = code.table
        there[name] = _out(sums[3 * k])
        of_numbers[name] = _out(sums[3 * k + 1] * (numbers[name] - fixed[name]))
        of_words[name] = _out((sums[3 * k + 2] * words[name]).sum(-1))
    return _Found(
        sample,
        base,
        base,
        there,
        of_numbers,
        of_words,
        _out(sums[-2] * (batch.features - always)),
        _out((sums[-1] * feature_words).sum(-1)),
    )


def _points() -> tuple[Float, Float]:
    """Return where the gradient is taken and how much each place counts.

    Gauss's points of the cube root, since most happens near the start, where layers that normalise
    have little to divide by.
    """
    at, weight = np.polynomial.legendre.leggauss(_POINTS)
    u = (at + 1) / 2
    return u**3, weight / 2 * 3 * u**2


def _out(x: Tensor) -> Float:
    found: Float = x.double().cpu().numpy()
    return found


def _weighed(total: _Found | None, part: _Found, weight: float) -> _Found:
    def added(one: dict[str, Float] | None, other: dict[str, Float]) -> dict[str, Float]:
        return {k: weight * v + (0.0 if one is None else one[k]) for k, v in other.items()}

    before = total
    return _Found(
        part.sample,
        part.raw,
        weight * part.base + (0.0 if before is None else before.base),
        added(None if before is None else before.there, part.there),
        added(None if before is None else before.numbers, part.numbers),
        added(None if before is None else before.words, part.words),
        weight * part.features + (0.0 if before is None else before.features),
        weight * part.feature_words + (0.0 if before is None else before.feature_words),
    )


@dataclass(frozen=True)
class _Offers:
    """Names what was found for the examples of a chunk."""

    model: GraphModel
    relations: Relations
    asked: Asked
    values: npt.NDArray[np.float32]
    found: _Found

    def of(self, k: int) -> list[Reason]:
        """Return every reason of an example."""
        return [*self._features(k), *self._rows(k)]

    def _features(self, k: int) -> list[Reason]:
        own, listed = self.model.own, self.model.features.features
        moved: dict[int, float] = {}
        if not listed:
            return []
        for place, number in enumerate(own.numbers):
            part = self.found.features[k, 1 + 2 * place : 3 + 2 * place]
            moved[number] = float(part.sum())
        for place, (number, _) in enumerate(own.categories):
            moved[number] = float(self.found.feature_words[k, place])
        reasons = []
        for number, contribution in moved.items():
            feature = listed[number]
            value = float(self.values[k, number])
            shown: float | str | None = None if np.isnan(value) else value
            if feature.categories is not None and shown is not None:
                code = int(value)
                known = 0 <= code < len(feature.categories)
                shown = feature.categories[code] if known else None
            reasons.append(
                Reason(
                    feature=feature.name,
                    table=feature.table,
                    column=feature.column,
                    window=feature.window,
                    value=shown,
                    contribution=contribution,
                )
            )
        return reasons

    def _rows(self, k: int) -> list[Reason]:
        reasons = []
        for code in self.model.codes:
            name = code.table
            mine = self.found.sample.owner[name] == k
            if not mine.any():
                continue
            own = np.zeros(len(mine), dtype=np.bool_)
            if name == self.model.entity:
                own[k] = True
            for chosen, near in ((mine & own, False), (mine & ~own, True)):
                if chosen.any():
                    reasons.extend(self._columns(code, np.flatnonzero(chosen), near=near))
        return reasons

    def _columns(self, code: TableCode, chosen: Index, *, near: bool) -> list[Reason]:
        name = code.table
        table = self.relations.table(name)
        rows = self.found.sample.rows[name][chosen].astype(np.int64)
        numbers = self.found.numbers[name][chosen].sum(0)
        words = self.found.words[name][chosen].sum(0)
        around = f" of {name} rows around it" if near else ""

        def reason(
            feature: str, column: str | None, value: float | str | None, moved: float
        ) -> Reason:
            return Reason(
                feature=feature,
                table=name,
                column=column,
                window=None,
                value=value,
                contribution=moved,
            )

        what = f"number{around}" if near else f"the {name} row itself"
        moved = float(self.found.there[name][chosen].sum())
        reasons = [reason(what, None, float(len(rows)) if near else None, moved)]
        if code.timed:
            moved = float(numbers[1 : 1 + code.ages].sum())
            what = f"age{around}" if near else f"age of the {name} row"
            reasons.append(reason(what, table.table.time_column, None, moved))
        at, slot = 1 + code.ages, 0
        bag = sum(c.kind == "category" for c in code.columns)
        for column in code.columns:
            moved = float(numbers[at : at + column.channels].sum())
            at += column.channels
            if column.kind == "category":
                moved, slot = float(words[slot]), slot + 1
            elif column.kind in ("text", "list"):
                moved, bag = float(words[bag]), bag + 1
            value = _shown(table.column(column.column), rows, near=near)
            what = f"{name}.{column.column}"
            reasons.append(reason(f"{what}{around}" if near else what, column.column, value, moved))
        return reasons


def _shown(array: ColumnArray, rows: Index, *, near: bool) -> float | str | None:
    """Return a row's own value, or the mean of numbers and the most frequent category of many."""
    if array.kind == "number":
        values = array.values[rows].astype(np.float64)
        there = values[np.isfinite(values)]
        with np.errstate(over="ignore"):
            mean = float(there.mean()) if len(there) else np.inf
        return mean if np.isfinite(mean) else None
    if array.kind == "category":
        codes = array.values[rows]
        codes = codes[codes >= 0]
        return array.dictionary[int(np.bincount(codes).argmax())] if len(codes) else None
    if array.kind == "time" and not near and array.values[rows[0]] != NOT_A_TIME:
        return str(np.datetime64(int(array.values[rows[0]]), "ns").astype("datetime64[s]"))
    return None
