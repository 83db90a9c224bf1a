"""Baselines of a forecast: rules over the target's own past, and one answer for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners.forecasting.past import Rule
from relcast.learners.forecasting.reader import Reader
from relcast.learners.protocol import Asked, Contributions, Packed, Reason, Target

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["ConstantForecast", "RuleForecast", "constants", "unpack_baseline"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ConstantForecast:
    """One answer for everybody, step by step: float64[horizon]."""

    name: str
    target: Target
    answer: Float

    def predict(self, relations: Relations, asked: Asked, *, threads: int = 1) -> Float:
        return np.tile(self.answer, (len(asked), 1))

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int = 1,
        output: Index | None = None,
    ) -> Contributions:
        step = np.zeros(len(asked), dtype=np.int64) if output is None else output
        raw = self.answer[step]
        return Contributions(raw, raw.copy(), ((),) * len(asked), np.zeros(len(asked)))

    def pack(self) -> Packed:
        config = {"kind": "forecast", "baseline": "constant", "name": self.name}
        return Packed(config, {"answer": self.answer}, {})


@dataclass(frozen=True)
class RuleForecast:
    """A simple forecast of the entity's own past; its mean, or the median, where it has none."""

    target: Target
    reader: Reader
    rule: Rule

    @property
    def name(self) -> str:
        return self.rule.name

    def predict(self, relations: Relations, asked: Asked, *, threads: int = 1) -> Float:
        out = np.empty((len(asked), self.target.horizon))
        for rows, batch in self.reader.parts(relations, asked, (self.rule,), threads):
            out[rows] = batch.bases[self.rule]
        return out

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int = 1,
        output: Index | None = None,
    ) -> Contributions:
        step = np.zeros(len(asked), dtype=np.int64) if output is None else output
        raw = self.predict(relations, asked, threads=threads)[np.arange(len(asked)), step]
        base = np.full(len(asked), self.reader.otherwise)
        target = self.reader.features.target
        if target is None:
            raise AssertionError("a forecast's target has a window")
        part = target.aggregations[0]
        reasons: list[tuple[Reason, ...]] = []
        for value in raw.tolist():
            reason = Reason(
                feature=self.name,
                table=part.table,
                column=part.column,
                window=None,
                value=value,
                contribution=value - self.reader.otherwise,
            )
            reasons.append((reason,) if top > 0 else ())
        rest = raw - base if top <= 0 else np.zeros(len(raw))
        return Contributions(raw, base, tuple(reasons), rest)

    def pack(self) -> Packed:
        config = {
            "kind": "forecast",
            "baseline": "rule",
            "rule": self.rule.to_json(),
            "reader": self.reader.to_json(),
        }
        return Packed(config, {}, {})


def constants(target: Target, label: Float, weight: Float | None) -> list[ConstantForecast]:
    """Return the mean and the median of every step, from training labels float64[n, h]."""
    w = np.ones(len(label)) if weight is None else weight
    mean = np.average(label, axis=0, weights=w)
    median = np.array([_median(column, w) for column in label.T])
    return [
        ConstantForecast("global mean", target, mean),
        ConstantForecast("global median", target, median),
    ]


def unpack_baseline(
    config: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], target: Target
) -> ConstantForecast | RuleForecast:
    """Rebuild a packed baseline; raises ``ValueError`` or ``KeyError`` when it does not fit."""
    if config["baseline"] == "constant":
        answer = arrays["answer"]
        if answer.shape != (target.horizon,) or answer.dtype != np.float64:
            raise ValueError("a baseline's answer has the wrong shape")
        return ConstantForecast(config["name"], target, answer)
    if config["baseline"] != "rule":
        raise ValueError(f"there is no baseline {config['baseline']!r} of a forecast")
    reader = Reader.from_json(config["reader"], target.horizon)
    rule = Rule.from_json(config["rule"])
    if rule not in reader.rules():
        raise ValueError("a baseline's windows do not allow its rule")
    return RuleForecast(target, reader, rule)


def _median(values: Float, weight: Float) -> float:
    """Return the weighted median: the mean of the two middle values where they tie."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    half = total[-1] / 2
    low = int(np.searchsorted(total, half * (1 - 1e-12), side="left"))
    high = min(int(np.searchsorted(total, half * (1 + 1e-12), side="right")), len(values) - 1)
    return float(values[order[low]] + values[order[high]]) / 2
