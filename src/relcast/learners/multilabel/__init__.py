"""Many classes: multilabel classification, and multiclass classification with very many classes.

``train`` and ``train_wide`` are one learner under two names, for lists of classes and for one class
of many; ``baselines`` are those of lists; ``unpack`` reads all of them back from a bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from relcast.learners.multilabel.baselines import (
    FrequencyBaseline,
    PastBaseline,
    unpack_baseline,
)
from relcast.learners.multilabel.baselines import make_baselines as baselines
from relcast.learners.multilabel.model import ClassModel
from relcast.learners.multilabel.training import train_classes as train
from relcast.learners.multilabel.training import train_classes as train_wide
from relcast.learners.protocol import Target

__all__ = [
    "ClassModel",
    "FrequencyBaseline",
    "PastBaseline",
    "baselines",
    "train",
    "train_wide",
    "unpack",
]


def unpack(
    config: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    texts: Mapping[str, str],
    target: Target,
) -> ClassModel | FrequencyBaseline | PastBaseline:
    """Rebuild what was packed; raises ``ValueError`` or ``KeyError`` when it does not fit."""
    if "baseline" in config:
        return unpack_baseline(config, arrays, target)
    return ClassModel.unpack(config, arrays, texts, target)
