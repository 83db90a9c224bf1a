"""A blend of boosted trees over (example, step) rows, as a predictor of forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners import booster_text, boosting
from relcast.learners.forecasting.fan import Fan
from relcast.learners.forecasting.frames import Frame
from relcast.learners.forecasting.past import Rule
from relcast.learners.forecasting.reader import Batch, Reader
from relcast.learners.protocol import Asked, Contributions, Packed, Reason, Target

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["ForecastModel", "Member", "scores_of"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True)
class Member:
    """One part of a blend: what it was asked for, and one booster, or one for each step.

    Without a booster it is what its base says.
    """

    frame: Frame
    texts: tuple[str, ...]
    weight: float
    iterations: int
    config: Mapping[str, Any]


def scores_of(boosters: Sequence[Any], batch: Batch, frame: Frame, threads: int) -> Float:
    """Return raw scores of every step, float64[n, h], of one booster or of one per step.

    Zero without a booster.
    """
    if not boosters:
        return np.zeros((len(batch.level), batch.horizon))
    if len(boosters) == 1:
        values = batch.matrix(relative=frame.relative)
        return boosting.raw_scores(boosters[0], values, threads).reshape(-1, batch.horizon)
    return np.stack(
        [
            boosting.raw_scores(booster, batch.matrix(relative=frame.relative, step=step), threads)
            for step, booster in enumerate(boosters)
        ],
        axis=1,
    )


@dataclass(frozen=True)
class ForecastModel:
    """A weighted mean of members in the target's unit.

    Attributes:
        name: The name that the leaderboard shows.
        target: What is predicted.
        reader: How examples are read.
        members: The blend.
        floor: The least that a forecast says; None for none.
        fan: Quantiles.
    """

    name: str
    target: Target
    reader: Reader
    members: tuple[Member, ...]
    floor: float | None = None
    fan: Fan | None = None

    @cached_property
    def _boosters(self) -> tuple[tuple[Any, ...], ...]:
        return tuple(tuple(boosting.load(text) for text in m.texts) for m in self.members)

    @cached_property
    def _fan_boosters(self) -> tuple[Any, ...]:
        return () if self.fan is None else tuple(boosting.load(text) for text in self.fan.texts)

    @property
    def _rules(self) -> tuple[Rule, ...]:
        frames = [member.frame for member in self.members]
        if self.fan is not None:
            frames.append(self.fan.frame)
        return tuple(dict.fromkeys(frame.base for frame in frames))

    def answers(self, batch: Batch, threads: int) -> Float:
        """Return the forecast of what was read, float64[n, h], before the floor."""
        total: Float = np.zeros((len(batch.level), batch.horizon))
        for member, boosters in zip(self.members, self._boosters, strict=True):
            score = scores_of(boosters, batch, member.frame, threads)
            base = batch.bases[member.frame.base]
            total += member.weight * member.frame.decode(score, base, batch.level)
        return np.clip(total, -_LARGEST, _LARGEST)

    def predict(self, relations: Relations, asked: Asked, *, threads: int) -> Float:
        """Return the forecast of every step, float64[n, horizon]."""
        out = np.empty((len(asked), self.target.horizon))
        for rows, batch in self.reader.parts(relations, asked, self._rules, threads):
            out[rows] = self.floored(self.answers(batch, threads))
        return out

    def quantiles(
        self, relations: Relations, asked: Asked, *, levels: Sequence[float], threads: int
    ) -> Float:
        """Return float64[n, horizon, levels]; a higher level never says less."""
        if self.fan is None:
            raise AssertionError("a forecast that is published has a fan")
        out = np.empty((len(asked), self.target.horizon, len(levels)))
        for rows, batch in self.reader.parts(relations, asked, self._rules, threads):
            said = self.spread(batch, threads)
            unit = self.fan.frame.unit(batch.level)
            out[rows] = self.floored(self.fan.quantiles(said, unit, levels))
        return out

    def spread(self, batch: Batch, threads: int) -> Float:
        """Return what the fan's boosters say, in order: float64[n, h, 3]."""
        if self.fan is None or not self.fan.texts:
            middle = self.answers(batch, threads)
            width = (batch.level if self.fan is None else self.fan.frame.unit(batch.level))[:, None]
            return np.stack([middle - width, middle, middle + width], axis=2)
        frame = self.fan.frame
        said = [
            frame.decode(
                scores_of((booster,), batch, frame, threads), batch.bases[frame.base], batch.level
            )
            for booster in self._fan_boosters
        ]
        return np.sort(np.stack(said, axis=2), axis=2)

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int,
        output: Index | None = None,
    ) -> Contributions:
        """Return the reasons of one step of each example: ``output`` int64[n], else the first."""
        step = np.zeros(len(asked), dtype=np.int64) if output is None else output
        found = [
            self._explain(batch, step[rows], top, threads)
            for rows, batch in self.reader.parts(relations, asked, self._rules, threads)
        ]
        if not found:
            none = np.zeros(0)
            return Contributions(none, none, (), none)
        return Contributions(
            np.concatenate([part.raw for part in found]),
            np.concatenate([part.base for part in found]),
            tuple(reasons for part in found for reasons in part.reasons),
            np.concatenate([part.rest for part in found]),
        )

    def _explain(self, batch: Batch, step: Index, top: int, threads: int) -> Contributions:
        n, width = len(step), batch.values.shape[1]
        rows = np.arange(n) * batch.horizon + step
        moved, base = np.zeros((n, width)), np.zeros(n)
        by_rule: dict[Rule, Float] = {}
        for member, boosters in zip(self.members, self._boosters, strict=True):
            frame = member.frame
            values = batch.matrix(relative=frame.relative)[rows]
            shap = np.zeros((n, width + 1))
            for number, booster in enumerate(boosters):
                mine = np.flatnonzero(step == number) if len(boosters) > 1 else np.arange(n)
                if len(mine):
                    shap[mine] = boosting.contributions(booster, values[mine], threads)[:, 0]
            shap *= member.weight * frame.unit(batch.level)[:, None]
            moved += shap[:, :-1]
            base += shap[:, -1]
            if frame.base.kind != "nothing":
                said = member.weight * batch.bases[frame.base][np.arange(n), step]
                by_rule[frame.base] = by_rule.get(frame.base, np.zeros(n)) + said
        rules = list(by_rule)
        extra = np.stack([by_rule[rule] for rule in rules], axis=1) if rules else np.zeros((n, 0))
        total = base + moved.sum(axis=1) + extra.sum(axis=1)
        raw = self.floored(total)
        lifted = raw - total
        everything = np.concatenate([moved, extra, lifted[:, None]], axis=1)
        shown = np.concatenate(
            [
                batch.values[rows].astype(np.float64),
                np.stack([batch.bases[rule][np.arange(n), step] for rule in rules], axis=1)
                if rules
                else np.zeros((n, 0)),
                np.full((n, 1), np.nan if self.floor is None else self.floor),
            ],
            axis=1,
        )
        order = np.argsort(-np.abs(everything), axis=1, kind="stable")[:, : max(0, top)]
        strongest = np.take_along_axis(everything, order, axis=1)
        reasons = tuple(
            tuple(
                self._reason(int(k), rules, float(shown[row, k]), float(everything[row, k]))
                for k in order[row]
                if everything[row, k] != 0.0
            )
            for row in range(n)
        )
        return Contributions(raw, base, reasons, everything.sum(axis=1) - strongest.sum(axis=1))

    def _reason(
        self, place: int, rules: Sequence[Rule], value: float, contribution: float
    ) -> Reason:
        steps, features = len(self.reader.columns), self.reader.features.features
        target = self.reader.features.target
        if target is None:
            raise AssertionError("a forecast's target has a window")
        part = target.aggregations[0]
        shown: float | str | None = None if np.isnan(value) else value
        table, column, window = part.table, part.column, None
        if place < steps:
            name = self.reader.names[place]
        elif place < steps + len(features):
            feature = features[place - steps]
            name, table, column = feature.name, feature.table, feature.column
            window = feature.window
            if feature.kind == "category" and feature.categories is not None and shown is not None:
                code = int(value)
                shown = feature.categories[code] if 0 <= code < len(feature.categories) else None
        elif place < steps + len(features) + len(rules):
            name = rules[place - steps - len(features)].name
        else:
            name = "least value of the target"
        return Reason(
            feature=name,
            table=table,
            column=column,
            window=window,
            value=shown,
            contribution=contribution,
        )

    def floored(self, values: Float) -> Float:
        return values if self.floor is None else np.maximum(values, self.floor)

    def pack(self) -> Packed:
        """Return what a bundle needs to build it again."""
        config: dict[str, Any] = {
            "kind": "forecast",
            "name": self.name,
            "reader": self.reader.to_json(),
            "floor": self.floor,
            "members": [
                {
                    "frame": member.frame.to_json(),
                    "boosters": len(member.texts),
                    "weight": member.weight,
                    "iterations": member.iterations,
                    "config": dict(member.config),
                }
                for member in self.members
            ],
            "fan": None if self.fan is None else self.fan.to_json(),
        }
        texts = {
            f"forecast-{number}-{step}.txt": text
            for number, member in enumerate(self.members)
            for step, text in enumerate(member.texts)
        }
        arrays: dict[str, npt.NDArray[Any]] = {}
        if self.fan is not None:
            arrays["fan.widths"] = self.fan.widths
            texts |= {f"fan-{number}.txt": text for number, text in enumerate(self.fan.texts)}
        return Packed(config, arrays, texts)

    @classmethod
    def unpack(
        cls,
        config: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
        texts: Mapping[str, str],
        target: Target,
    ) -> ForecastModel:
        """Rebuild a packed model; raises ``ValueError`` or ``KeyError`` when it does not fit."""
        reader = Reader.from_json(config["reader"], target.horizon)
        columns = len(reader.names)

        def sound(name: str) -> str:
            booster_text.check(texts[name], features=columns, outputs=1)
            return texts[name]

        members = []
        for number, entry in enumerate(config["members"]):
            count, weight = int(entry["boosters"]), float(entry["weight"])
            if count not in (0, 1, target.horizon) or not 0 < weight <= 1:
                raise ValueError("a member of a forecast has an impossible number or weight")
            members.append(
                Member(
                    Frame.from_json(entry["frame"]),
                    tuple(sound(f"forecast-{number}-{step}.txt") for step in range(count)),
                    weight,
                    int(entry["iterations"]),
                    entry["config"],
                )
            )
        if not members:
            raise ValueError("there is no booster")
        fan, obj = None, config["fan"]
        if obj is not None:
            boosters = [sound(f"fan-{number}.txt") for number in range(int(obj["boosters"]))]
            fan = Fan.unpack(obj, arrays["fan.widths"], boosters, target.horizon)
        allowed = set(reader.rules()) | {Rule("nothing")}
        bases = [member.frame.base for member in members] + ([fan.frame.base] if fan else [])
        if not set(bases) <= allowed:
            raise ValueError("a forecast is away from a rule that its windows do not allow")
        floor = None if config["floor"] is None else float(config["floor"])
        return cls(config["name"], target, reader, tuple(members), floor, fan)
