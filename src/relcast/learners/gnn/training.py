"""Train one network: shards of a batch side by side, one step for their sum.

A batch is always cut into the same number of shards, whose gradients are added in one order: the
weights do not depend on how many threads, or processes, share the work.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from relcast.learners.gnn.heads import Head
from relcast.learners.gnn.network import Batch, Network
from relcast.learners.gnn.reader import Own, Reader, ahead
from relcast.learners.gnn.settings import Effort, Trying
from relcast.learners.protocol import Asked

__all__ = ["PATIENCE", "SHARDS", "Alone", "Course", "Group", "Rows", "run_course"]

SHARDS = 2
PATIENCE = 3
_CLIP = 5.0
_WARM_UP = 0.1
_FADING = 0.97
_BETAS, _EPSILON = (0.9, 0.999), 1e-8

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Gradients = tuple[list[Tensor], Tensor]


class Group(Protocol):
    """Processes that train one network together."""

    @property
    def rank(self) -> int:
        """Which of them this is; the first is 0."""

    @property
    def size(self) -> int:
        """How many there are."""

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over all processes into the tensors."""

    def agree(self, value: float) -> float:
        """Return what the first process says."""


class Alone:
    """One process by itself."""

    rank = 0
    size = 1

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Leave the tensors as they are."""

    def agree(self, value: float) -> float:
        return value


@dataclass(frozen=True, slots=True)
class Rows:
    """Training rows.

    Attributes:
        labels: float32[n, ...] as the loss sees them.
        examples: How many examples the rows are of; some may stand there several times.
    """

    asked: Asked
    own: Own
    labels: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    examples: int

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Course:
    """What a training run came to.

    Attributes:
        state: Weights after the best epoch.
        value: The tune metric then.
        epochs: Epochs up to then.
        out_of_time: Whether the deadline ended it.
    """

    state: dict[str, npt.NDArray[np.float32]]
    value: float
    epochs: int
    out_of_time: bool


def run_course(
    network: Network,
    head: Head,
    reader: Reader,
    rows: Rows,
    trying: Trying,
    effort: Effort,
    *,
    seed: int,
    threads: int,
    measure: Callable[[Network, int], float] | None,
    better: Callable[[float, float], bool],
    late: Callable[[], bool],
    patience: int = PATIENCE,
    group: Group | None = None,
) -> Course:
    """Train until validation has not gained for ``patience`` epochs, or epochs or time are over.

    ``measure(network, epoch)`` is the tune metric on validation; None trains for all epochs.
    """
    together = Alone() if group is None else group
    steps = min(max(effort.steps[0], math.ceil(rows.examples / effort.batch)), effort.steps[1])
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(
        parameters, lr=trying.rate, betas=_BETAS, eps=_EPSILON, weight_decay=trying.decay
    )
    whole = steps * effort.epochs
    averaged = _Averaged(network)
    best: Course | None = None
    done = bad = epoch = 0
    stopped = False
    with ThreadPoolExecutor(threads) as readers, ThreadPoolExecutor(threads) as workers:
        while epoch < effort.epochs and bad < patience and not stopped:
            order = _order(len(rows), steps * effort.batch, seed, epoch)
            chunks = [order[k * effort.batch : (k + 1) * effort.batch] for k in range(steps)]
            network.train()
            dropping = _Dropping(trying.dropout, seed, epoch)
            for batch in _batches(readers, reader, rows, chunks, dropping, together):
                for part in optimizer.param_groups:
                    part["lr"] = trying.rate * _height(done, whole, trying.schedule)
                _step(network, head, parameters, batch, workers, together)
                optimizer.step()
                averaged.add(network)
                done += 1
                # Before the first look at validation there is nothing to fall back on.
                stopped = together.agree(float(late() and done > 1)) > 0
                if stopped:
                    break
            epoch += 1
            smooth = averaged.network()
            value = math.nan
            if measure is not None and together.rank == 0:
                value = measure(smooth, epoch)
            value = together.agree(value)
            if measure is None or best is None or better(value, best.value):
                best, bad = Course(_state(smooth), value, epoch, stopped), 0
            else:
                bad += 1
    if best is None:
        raise AssertionError("a course has at least one epoch")
    return Course(best.state, best.value, best.epochs, stopped)


class _Averaged:
    """The weights' moving average, which forgets a thirtieth per step: what is measured and kept.

    Polyak, Juditsky: Acceleration of stochastic approximation by averaging (1992), with fading.
    """

    def __init__(self, network: Network) -> None:
        self._network = copy.deepcopy(network).eval()
        self._steps = 0

    @torch.no_grad()
    def add(self, network: Network) -> None:
        """Take in the weights after a step; the first steps are averaged evenly."""
        self._steps += 1
        fresh = max(1 - _FADING, 1 / self._steps)
        for kept, new in zip(self._network.parameters(), network.parameters(), strict=True):
            kept.lerp_(new, fresh)

    def network(self) -> Network:
        """Return the network with the averaged weights."""
        return self._network


def _order(rows: int, wanted: int, seed: int, epoch: int) -> Index:
    """Return the rows of an epoch: shuffled, and again and again where it wants more than all."""
    parts: list[Index] = []
    for turn in range(math.ceil(wanted / max(1, rows))):
        parts.append(np.random.default_rng([seed, epoch, turn]).permutation(rows))
        if turn == 0 and wanted <= rows:
            break
    return np.concatenate(parts)[:wanted]


@dataclass(frozen=True, slots=True)
class _Dropping:
    """Hides a share of the own features of each example, anew at each step."""

    share: float
    seed: int
    epoch: int

    def apply(self, own: Own, step: int, part: int) -> Own:
        if not self.share or own.numbers.shape[1] < 2:
            return own
        rng = np.random.default_rng([self.seed, self.epoch, step, part, 83])
        pairs = own.numbers.shape[1] // 2
        kept = rng.random((len(own.numbers), pairs)) >= self.share
        factor = np.repeat(kept / (1 - self.share), 2, axis=1).astype(np.float32)
        numbers = own.numbers.copy()
        numbers[:, 1:] *= factor
        return Own(numbers, own.places)


def _batches(
    pool: ThreadPoolExecutor,
    reader: Reader,
    rows: Rows,
    chunks: Sequence[Index],
    dropping: _Dropping,
    group: Group,
) -> Iterator[list[tuple[Batch, Tensor, Tensor]]]:
    """Yield the shards of each batch that this process works on."""
    shards = max(SHARDS, group.size)

    def job(step: int, part: int) -> tuple[Batch, Tensor, Tensor]:
        chunk = chunks[step]
        chosen = chunk[part::shards]
        total = max(float(rows.weight[chunk].sum()), 1e-12)
        own = dropping.apply(rows.own.take(chosen), step, part)
        batch = reader.batch(rows.asked.take(chosen), own)
        label = torch.from_numpy(rows.labels[chosen]).to(reader.device)
        weight = torch.from_numpy(rows.weight[chosen] / np.float32(total)).to(reader.device)
        return batch, label, weight

    mine = range(group.rank, shards, group.size)
    jobs = ((lambda s=step, p=part: job(s, p)) for step in range(len(chunks)) for part in mine)
    waiting: list[tuple[Batch, Tensor, Tensor]] = []
    for found in ahead(pool, jobs, 2 * len(mine)):
        waiting.append(found)
        if len(waiting) == len(mine):
            yield waiting
            waiting = []


def _step(
    network: Network,
    head: Head,
    parameters: Sequence[Tensor],
    shards: Sequence[tuple[Batch, Tensor, Tensor]],
    pool: ThreadPoolExecutor,
    group: Group,
) -> None:
    """Leave the gradient of the batch's mean loss in the parameters."""

    def work(shard: tuple[Batch, Tensor, Tensor]) -> list[Tensor]:
        batch, label, weight = shard
        loss = head.loss(network(batch), label, weight)
        found: Sequence[Tensor | None] = torch.autograd.grad(loss, parameters, allow_unused=True)
        return [
            torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)
        ]

    total: list[Tensor] = []
    for gradients in pool.map(work, shards):
        total = gradients if not total else [a + b for a, b in zip(total, gradients, strict=True)]
    group.add_up(total)
    length = math.sqrt(sum(float((g.double() ** 2).sum()) for g in total))
    # A gradient that is no number is left out rather than followed.
    factor = min(1.0, _CLIP / max(length, 1e-12)) if math.isfinite(length) else None
    for parameter, gradient in zip(parameters, total, strict=True):
        parameter.grad = torch.zeros_like(gradient) if factor is None else gradient * factor


def _height(step: int, steps: int, schedule: str) -> float:
    """Return the share of the highest learning rate at a step."""
    warm = max(1, int(_WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    gone = (step - warm) / max(1, steps - warm)
    if schedule == "constant":
        return 1.0
    if schedule == "linear":
        return max(0.01, 1.0 - gone)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, gone))) / 2


def _state(network: Network) -> dict[str, Any]:
    return {k: v.detach().cpu().numpy().copy() for k, v in network.state_dict().items()}
