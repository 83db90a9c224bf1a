"""What a network's outputs mean for a task: its loss, and predictions from raw scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    ``(y - centre) / scale``. ``asked`` is another loss that was asked for: ``mae`` or ``mse`` of
    numbers, ``focal`` of classes (Lin et al., 2017, with an exponent of 2).
    """

    task_type: TaskType
    outputs: int
    centre: float = 0.0
    scale: float = 1.0
    asked: str | None = None

    @classmethod
    def fit(cls, target: Target, label: Float, losses: Sequence[str] | None = None) -> Head:
        """Fit centre and scale on training labels; the first of ``losses`` that suits is taken."""
        outputs = target.width
        numbers = target.task_type in _NUMBERS
        suits = ("mae", "mse") if numbers else ("focal",)
        own = ("huber",) if numbers else ("binary_cross_entropy", "cross_entropy")
        first = next((name for name in losses or () if name in (*suits, *own)), None)
        asked = first if first in suits else None
        if not numbers:
            return cls(target.task_type, outputs, asked=asked)
        seen = label[np.isfinite(label)]
        centre = float(np.median(seen)) if len(seen) else 0.0
        with np.errstate(over="ignore"):
            spread = float(np.abs(seen - centre).mean()) if len(seen) else 1.0
        scale = spread if 0 < spread < np.inf else 1.0
        return cls(target.task_type, outputs, centre, scale, asked)

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
            return (self._focused(each) * weight).sum()
        if self.task_type in _NUMBERS:
            there = ~torch.isnan(label)
            known = torch.where(there, label, raw.detach())
            losses = {"mae": F.l1_loss, "mse": F.mse_loss}
            of = F.huber_loss if self.asked is None else losses[self.asked]
            cells = of(raw, known, reduction="none")
            each = cells.sum(1) / there.sum(1).clamp(min=1)
        else:
            cells = F.binary_cross_entropy_with_logits(raw, label, reduction="none")
            each = self._focused(cells).mean(1)
        return (each * weight).sum()

    def _focused(self, loss: Tensor) -> Tensor:
        """Weigh what is right already less, when that was asked for."""
        return loss if self.asked is None else loss * (1 - torch.exp(-loss)) ** 2

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
        return {
            "outputs": self.outputs,
            "centre": self.centre,
            "scale": self.scale,
            "asked": self.asked,
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any], target: Target) -> Head:
        if int(obj["outputs"]) != target.width:
            raise ValueError("the network's outputs do not fit the target")
        if obj["asked"] not in (None, "mae", "mse", "focal"):
            raise ValueError("the network's loss is unknown")
        return cls(
            target.task_type,
            target.width,
            float(obj["centre"]),
            float(obj["scale"]),
            obj["asked"],
        )
