"""What a network's outputs mean for a task: its loss, and predictions from raw scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the field's name for it)

from relcast.core.schema import TaskType
from relcast.learners.protocol import Fold, Target

__all__ = ["Head"]

Float = npt.NDArray[np.float64]

_LABELS = (TaskType.MULTILABEL_CLASSIFICATION, TaskType.MULTILABEL_RANKING)
_NUMBERS = (TaskType.REGRESSION, TaskType.FORECASTING)
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True)
class Head:
    """A task's end of the network.

    Binary: binary cross-entropy of log odds. Multiclass: cross-entropy. Multilabel: binary
    cross-entropy per label. Regression and forecasts (each step): Huber's loss of
    ``(y - centre) / scale``.
    """

    task_type: TaskType
    outputs: int
    centre: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, target: Target, label: Float) -> Head:
        """Fit centre and scale on training labels."""
        outputs = target.width
        if target.task_type not in _NUMBERS:
            return cls(target.task_type, outputs)
        seen = label[np.isfinite(label)]
        centre = float(np.median(seen)) if len(seen) else 0.0
        with np.errstate(over="ignore"):
            spread = float(np.abs(seen - centre).mean()) if len(seen) else 1.0
        return cls(target.task_type, outputs, centre, spread if 0 < spread < np.inf else 1.0)

    def labels(self, fold: Fold) -> npt.NDArray[np.float32]:
        """Return a fold's labels as the loss sees them, float32[n, outputs] (multiclass [n, 1])."""
        if self.task_type in _LABELS:
            if fold.lists is None:
                raise AssertionError("the labels of a multilabel task are lists")
            dense = np.zeros((len(fold), self.outputs), dtype=np.float32)
            dense[np.repeat(np.arange(len(fold)), fold.lists.lengths), fold.lists.values] = 1.0
            return dense
        label = fold.label.reshape(len(fold), -1)
        if self.task_type in _NUMBERS:
            label = np.clip((label - self.centre) / self.scale, -1e6, 1e6)
        return label.astype(np.float32)

    def first(self, labels: npt.NDArray[np.float32], weight: Float | None) -> Float:
        """Return the outputs, float64[outputs], that say what training rows say on the whole."""
        if self.task_type in _NUMBERS:
            return np.zeros(self.outputs)
        w = np.ones(len(labels)) if weight is None else weight
        if self.task_type is TaskType.MULTICLASS_CLASSIFICATION:
            count = np.bincount(labels[:, 0].astype(np.int64), weights=w, minlength=self.outputs)
            return np.asarray(np.log((count + 1) / (count + 1).sum()))
        share = (w @ labels + 1) / (w.sum() + 2)
        return np.asarray(np.log(share / (1 - share)))

    def loss(self, raw: Tensor, label: Tensor, weight: Tensor) -> Tensor:
        """Return the weighted sum of the losses of B rows: raw [B, O], weight [B]."""
        if self.task_type is TaskType.MULTICLASS_CLASSIFICATION:
            each = F.cross_entropy(raw, label[:, 0].long(), reduction="none")
            return (each * weight).sum()
        if self.task_type in _NUMBERS:
            there = ~torch.isnan(label)
            known = torch.where(there, label, raw.detach())
            cells = F.huber_loss(raw, known, reduction="none")
            each = cells.sum(1) / there.sum(1).clamp(min=1)
        else:
            each = F.binary_cross_entropy_with_logits(raw, label, reduction="none").mean(1)
        return (each * weight).sum()

    def values(self, raw: Float) -> Float:
        """Turn raw scores float64[n, outputs] into what ``Predictor.predict`` returns."""
        if self.task_type is TaskType.MULTICLASS_CLASSIFICATION:
            exponent = np.exp(raw - raw.max(axis=1, keepdims=True))
            return np.asarray(exponent / exponent.sum(axis=1, keepdims=True))
        if self.task_type in _NUMBERS:
            found = self.unscaled(raw)
            return found if self.task_type is TaskType.FORECASTING else found[:, 0]
        with np.errstate(over="ignore"):
            odds = 1.0 / (1.0 + np.exp(-raw))
        return odds if self.task_type in _LABELS else odds[:, 0]

    def unscaled(self, raw: Float) -> Float:
        """Return raw scores in the target's unit."""
        if self.task_type not in _NUMBERS:
            return raw
        with np.errstate(over="ignore"):
            return np.clip(self.centre + self.scale * raw, -_LARGEST, _LARGEST)

    def to_json(self) -> dict[str, Any]:
        return {"outputs": self.outputs, "centre": self.centre, "scale": self.scale}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any], target: Target) -> Head:
        if int(obj["outputs"]) != target.width:
            raise ValueError("the network's outputs do not fit the target")
        return cls(target.task_type, target.width, float(obj["centre"]), float(obj["scale"]))
