"""Forecasting: the target in n future windows of an entity, as one task.

``train`` makes a blend of boosted trees over (example, step) rows, with quantiles; ``baselines``
are the simple forecasts that it must beat; ``unpack`` reads both back from a bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from relcast.learners.forecasting.baselines import ConstantForecast, RuleForecast, unpack_baseline
from relcast.learners.forecasting.model import ForecastModel
from relcast.learners.forecasting.preparing import make_baselines as baselines
from relcast.learners.forecasting.training import train_forecast as train
from relcast.learners.protocol import Target

__all__ = ["ConstantForecast", "ForecastModel", "RuleForecast", "baselines", "train", "unpack"]


def unpack(
    config: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    texts: Mapping[str, str],
    target: Target,
) -> ForecastModel | ConstantForecast | RuleForecast:
    """Rebuild a packed forecast; raises ``ValueError`` or ``KeyError`` when it does not fit."""
    if "baseline" in config:
        return unpack_baseline(config, arrays, target)
    return ForecastModel.unpack(config, arrays, texts, target)
