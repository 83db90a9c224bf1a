"""From examples to batches: sampler, codes and own features of one snapshot under one roof."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from relcast.learners.gnn.codes import TableCode
from relcast.learners.gnn.inputs import Inputs
from relcast.learners.gnn.network import Batch
from relcast.learners.gnn.walks import EdgeType, Sample, Sampler
from relcast.learners.protocol import Asked
from relcast.relations import Relations

__all__ = ["Own", "Reader", "ahead", "best_device"]

T = TypeVar("T")
Fanouts = Sequence[Mapping[EdgeType, int]]


def best_device() -> torch.device:
    """Return the first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Own:
    """The seeds' own features, ready for the network: float32[n, F] and int32[n, categories]."""

    def __init__(self, numbers: npt.NDArray[np.float32], places: npt.NDArray[np.int32]) -> None:
        self.numbers, self.places = numbers, places

    @classmethod
    def none(cls, n: int) -> Own:
        return cls(np.ones((n, 1), dtype=np.float32), np.zeros((n, 0), dtype=np.int32))

    def take(self, rows: npt.NDArray[Any] | slice) -> Own:
        return Own(self.numbers[rows], self.places[rows])


class Reader:
    """Makes batches from examples of one snapshot; safe to share between threads."""

    def __init__(
        self,
        relations: Relations,
        entity: str,
        codes: Sequence[TableCode],
        fanouts: Fanouts,
        device: torch.device,
        *,
        few: bool = False,
    ) -> None:
        self.entity, self.fanouts, self.device = entity, fanouts, device
        self.sampler = Sampler(relations)
        self.inputs = Inputs(relations, codes, few=few)

    def batch(self, asked: Asked, own: Own) -> Batch:
        """Return the examples' neighbourhoods as they were known at ``asked.known``."""
        return self.read(asked, own)[1]

    def read(self, asked: Asked, own: Own) -> tuple[Sample, Batch]:
        """Return the same with the rows that it is made of."""
        sample = self.sampler.sample(self.entity, asked.entity, asked.known, self.fanouts)
        inputs = self.inputs.of(sample, asked.known)
        return sample, Batch.of(sample, inputs, own.numbers, own.places, self.device)


def ahead(pool: ThreadPoolExecutor, jobs: Iterable[Callable[[], T]], depth: int) -> Iterator[T]:
    """Yield what jobs return, in their order, while the pool works on the next ``depth``."""
    waiting = iter(jobs)
    running: list[Future[T]] = [pool.submit(job) for job in islice(waiting, max(1, depth))]
    while running:
        done = running.pop(0)
        found = done.result()
        running.extend(pool.submit(job) for job in islice(waiting, 1))
        yield found
