"""Train a graph network in several processes: ``torchrun -m relcast.learners.gnn.distributed``.

    torchrun --nproc-per-node 2 -m relcast.learners.gnn.distributed <folder>

``write_work`` puts what is to be trained into a folder, each process reads it and takes its shards
of every batch, and the first one writes the model there. Gradients are summed over all processes
(NCCL on GPUs, else Gloo); two processes on one machine give the weights of one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor

from relcast.core.schema import TaskType
from relcast.learners.deadline import Deadline
from relcast.learners.learner import Settings, Work
from relcast.learners.plan import Budget
from relcast.learners.protocol import Asked, Fold, Packed, Target

if TYPE_CHECKING:
    from relcast.learners.gnn.model import GraphModel

__all__ = ["Together", "main", "read_model", "write_work"]

_WORK, _MODEL = "work", "model"
_PARTS = ("entity", "anchor", "known", "label", "weight", "offsets", "values")

Array = npt.NDArray[Any]


class Together:
    """The processes that torchrun started, as ``training.Group``."""

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Sum over all processes in one message."""
        flat = torch.cat([t.reshape(-1) for t in tensors])
        dist.all_reduce(flat)
        at = 0
        for tensor in tensors:
            tensor.copy_(flat[at : at + tensor.numel()].reshape(tensor.shape))
            at += tensor.numel()

    def agree(self, value: float) -> float:
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        said = torch.tensor([value], dtype=torch.float64, device=device)
        dist.broadcast(said, src=0)
        return float(said[0])


def write_work(work: Work, folder: Path, *, seconds: float | None = None) -> None:
    """Write what is to be trained: JSON and arrays.

    Args:
        work: The work; its relations must have been built on disk.
        folder: Where the processes read it; it is made.
        seconds: Processor seconds of the training; None for no limit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target, settings = work.target, work.settings
    said = {
        "relations": str(work.relations.path),
        "query": work.query.text,
        "target": {
            "task_type": target.task_type.value,
            "classes": None if target.classes is None else list(target.classes),
            "horizon": target.horizon,
        },
        "features": work.features.to_json(),
        "budget": asdict(settings.budget),
        "metric": settings.metric,
        "seed": settings.seed,
        "threads": settings.threads,
        "seconds": seconds,
    }
    arrays: dict[str, Array] = {}
    for name, fold in (("train", work.train), ("valid", work.valid)):
        found = (
            fold.asked.entity,
            fold.asked.anchor,
            fold.asked.known,
            fold.label,
            fold.weight,
            None if fold.lists is None else fold.lists.offsets,
            None if fold.lists is None else fold.lists.values,
        )
        arrays |= {
            f"{name}.{part}": np.ascontiguousarray(array)
            for part, array in zip(_PARTS, found, strict=True)
            if array is not None
        }
    _write(folder, _WORK, said, arrays)


def read_model(folder: Path, target: Target) -> GraphModel:
    """Read the model that the first process wrote."""
    from relcast.learners.gnn.model import GraphModel

    config, arrays = _read(folder, _MODEL)
    return GraphModel.unpack(config, arrays, target)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as one of the processes that torchrun started."""
    from relcast.learners.gnn.trials import train_networks

    parser = argparse.ArgumentParser(description="Train a graph network in several processes")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    gpus = torch.cuda.is_available()
    if gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if gpus else "gloo")
    try:
        trained = train_networks(_work(folder), group=Together())
        if dist.get_rank() == 0:
            packed: Packed = trained.model.pack()
            _write(folder, _MODEL, dict(packed.config), packed.arrays)
        dist.barrier()
    finally:
        dist.destroy_process_group()
    return 0


def _work(folder: Path) -> Work:
    from relcast.learners.features import FeatureSet
    from relcast.pql import check
    from relcast.relations import Relations
    from relcast.tasks import Lists

    said, arrays = _read(folder, _WORK)
    relations = Relations.load(Path(said["relations"]))
    target = Target(
        TaskType(said["target"]["task_type"]),
        None if said["target"]["classes"] is None else tuple(said["target"]["classes"]),
        int(said["target"]["horizon"]),
    )

    def fold(name: str) -> Fold:
        found = {part: arrays.get(f"{name}.{part}") for part in _PARTS}
        lists = None
        if found["offsets"] is not None and found["values"] is not None:
            lists = Lists(found["offsets"], found["values"])
        asked = Asked(arrays[f"{name}.entity"], found["anchor"], found["known"])
        return Fold(asked, arrays[f"{name}.label"], found["weight"], lists)

    seconds = said["seconds"]
    return Work(
        relations,
        check(said["query"], relations.graph),
        target,
        fold("train"),
        fold("valid"),
        FeatureSet.from_json(said["features"]),
        Settings(
            Budget(**said["budget"]),
            said["metric"],
            said["seed"],
            said["threads"],
            Deadline() if seconds is None else Deadline.after(None, float(seconds)),
        ),
        lambda *_: None,
    )


def _write(folder: Path, stem: str, said: Any, arrays: Any) -> None:
    from safetensors.numpy import save_file

    save_file(
        {k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / f"{stem}.safetensors"
    )
    (folder / f"{stem}.json").write_text(json.dumps(said), "utf-8")


def _read(folder: Path, stem: str) -> tuple[Any, dict[str, Array]]:
    from safetensors.numpy import load_file

    said = json.loads((folder / f"{stem}.json").read_text("utf-8"))
    return said, dict(load_file(folder / f"{stem}.safetensors"))


if __name__ == "__main__":
    sys.exit(main())
