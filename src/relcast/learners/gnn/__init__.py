"""Graph networks over sampled neighbourhoods: a learner for entities of every table.

Needs PyTorch, the extra ``relcast[gnn]``; importing this package does not import it, and
``available`` says whether it is there. The sampler (``walks``) needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from relcast.core.errors import ModelError
from relcast.core.schema import TaskType

if TYPE_CHECKING:
    import numpy.typing as npt

    from relcast.learners.gnn.model import GraphModel
    from relcast.learners.learner import Trained, Work
    from relcast.learners.protocol import Target

__all__ = ["TASKS", "available", "train", "unpack"]

TASKS = frozenset(
    {
        TaskType.BINARY_CLASSIFICATION,
        TaskType.MULTICLASS_CLASSIFICATION,
        TaskType.MULTILABEL_CLASSIFICATION,
        TaskType.REGRESSION,
        TaskType.FORECASTING,
    }
)
"""The tasks that ``train`` fits."""


def available() -> bool:
    """Tell whether PyTorch is installed, without importing it."""
    return find_spec("torch") is not None


def train(work: Work, *, start: GraphModel | None = None) -> Trained[GraphModel]:
    """Train graph networks under the work's budget; ``start`` is an earlier model (warm start).

    Raises ``model.needs_torch`` where PyTorch is missing, ``model.task_type`` for a task that is
    none of ``TASKS``.
    """
    _require_torch()
    if work.target.task_type not in TASKS:
        raise ModelError(
            f"Graph networks do not fit {work.target.task_type.value} tasks",
            code="model.task_type",
            hint=f"They fit: {', '.join(sorted(task.value for task in TASKS))}.",
        )
    from relcast.learners.gnn.trials import train_networks

    return train_networks(work, start=start)


def unpack(
    config: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    texts: Mapping[str, str],  # noqa: ARG001 (every learner's signature; a network has none)
    target: Target,
) -> GraphModel:
    """Rebuild a packed model.

    Raises ``model.needs_torch`` where PyTorch is missing, ``ValueError`` or ``KeyError`` when the
    parts do not fit.
    """
    _require_torch()
    from relcast.learners.gnn.model import GraphModel

    return GraphModel.unpack(config, arrays, target)


def _require_torch() -> None:
    if not available():
        raise ModelError(
            "The graph network needs PyTorch, which is not installed",
            code="model.needs_torch",
            hint="Run: pip install 'relcast[gnn]'.",
        )
