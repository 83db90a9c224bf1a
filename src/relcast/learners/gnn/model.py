"""A fitted graph network as a predictor: predict, embed, explain, pack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch

from relcast.core.schema import Link
from relcast.learners.gnn.codes import TableCode
from relcast.learners.gnn.heads import Head
from relcast.learners.gnn.network import Network, Shape
from relcast.learners.gnn.own import OwnFeatures
from relcast.learners.gnn.reader import Own, Reader, best_device
from relcast.learners.gnn.walks import EdgeType
from relcast.learners.protocol import Asked, Contributions, Packed, Target

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.relations import Relations

__all__ = ["GraphModel", "Member", "one_thread"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
State = Mapping[str, npt.NDArray[np.float32]]

_BATCH = 256
_CHUNK = 128 * _BATCH
_FEW = 512


@contextmanager
def one_thread() -> Iterator[None]:
    """Let every operation of torch use one thread, so that bits do not depend on their number.

    Work is shared between threads by batches instead.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Member:
    """One network of a blend: its shape, weights, share, and the settings it was trained with."""

    shape: Shape
    state: State
    weight: float
    epochs: int
    config: Mapping[str, Any]


@dataclass(frozen=True)
class GraphModel:
    """A weighted mean of networks in raw space.

    Attributes:
        entity: The entity table.
        codes: How the columns of each table are read.
        fanouts: Per hop the most neighbours by edge type.
        features, own: The seeds' own features and how they are read.
    """

    name: str
    target: Target
    entity: str
    codes: tuple[TableCode, ...]
    fanouts: tuple[Mapping[EdgeType, int], ...]
    features: FeatureSet
    own: OwnFeatures
    head: Head
    members: tuple[Member, ...]
    _readers: dict[bool, Reader] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def edges(self) -> tuple[EdgeType, ...]:
        """Return the edge types that are walked."""
        return tuple(dict.fromkeys(edge for hop in self.fanouts for edge in hop))

    def network(self, member: Member) -> Network:
        """Build a member's network; raises ``ValueError`` when its weights do not fit."""
        network = Network(self.codes, self.edges, self.entity, member.shape)
        wanted = network.state_dict()
        if set(wanted) != set(member.state) or any(
            tuple(wanted[k].shape) != v.shape or v.dtype != np.float32
            for k, v in member.state.items()
        ):
            raise ValueError("the weights do not fit the network")
        network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in member.state.items()})
        return network.eval()

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        device = best_device()
        return tuple(self.network(member).to(device) for member in self.members)

    def reader(self, relations: Relations, *, few: bool) -> Reader:
        """Return what reads a snapshot; the latest is kept."""
        kept = self._readers.get(few)
        if kept is not None and kept.inputs.relations is relations:
            return kept
        reader = Reader(relations, self.entity, self.codes, self.fanouts, best_device(), few=few)
        self._readers[few] = reader
        return reader

    def own_features(self, relations: Relations, asked: Asked, threads: int) -> Own:
        """Compute the seeds' own features."""
        if not self.features.features:
            return Own.none(len(asked))
        found = self.features.compute(
            relations, asked.entity, asked.anchor, known=asked.known, threads=threads
        )
        return Own(*self.own.apply(found.values))

    def raw(self, relations: Relations, asked: Asked, *, threads: int) -> Float:
        """Return raw scores, float64[n, outputs]."""
        members = list(zip(self.networks, self.members, strict=True))

        def score(batch: Any) -> Float:
            total = np.zeros((batch.seeds, self.head.outputs))
            for network, member in members:
                total += member.weight * network(batch).double().cpu().numpy()
            return total

        return self._by_batch(relations, asked, score, self.head.outputs, threads)

    def predict(self, relations: Relations, asked: Asked, *, threads: int) -> Float:
        return self.head.values(self.raw(relations, asked, threads=threads))

    def embed(
        self, relations: Relations, asked: Asked, *, threads: int = 1
    ) -> npt.NDArray[np.float32]:
        """Return what the strongest network holds of each example, float32[n, channels]."""
        strongest = int(np.argmax([member.weight for member in self.members]))
        network = self.networks[strongest]

        def vectors(batch: Any) -> Float:
            found: Float = network.embed(batch).double().cpu().numpy()
            return found

        channels = network.shape.channels
        return self._by_batch(relations, asked, vectors, channels, threads).astype(np.float32)

    def _by_batch(
        self, relations: Relations, asked: Asked, of: Any, width: int, threads: int
    ) -> Float:
        if not len(asked):
            return np.zeros((0, width))
        reader = self.reader(relations, few=len(asked) < _FEW)

        def work(task: tuple[Asked, Own]) -> Float:
            with torch.no_grad():
                found: Float = of(reader.batch(*task))
            return found

        parts: list[Float] = []
        with one_thread(), ThreadPoolExecutor(max(1, threads)) as pool:
            # Own features of a chunk at a time, so that scoring needs bounded memory.
            for begin in range(0, len(asked), _CHUNK):
                chunk = asked.take(slice(begin, begin + _CHUNK))
                own = self.own_features(relations, chunk, threads)
                cuts = [slice(k, k + _BATCH) for k in range(0, len(chunk), _BATCH)]
                parts += pool.map(work, [(chunk.take(cut), own.take(cut)) for cut in cuts])
        return np.concatenate(parts)

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int,
        output: Index | None = None,
    ) -> Contributions:
        from relcast.learners.gnn.explaining import explain

        return explain(self, relations, asked, top=top, threads=threads, output=output)

    def pack(self) -> Packed:
        arrays: dict[str, npt.NDArray[Any]] = {"gnn.own": self.own.knots}
        for number, member in enumerate(self.members):
            arrays |= {f"gnn.{number}.{name}": array for name, array in member.state.items()}
        config = {
            "kind": "gnn",
            "name": self.name,
            "entity": self.entity,
            "codes": [code.to_json() for code in self.codes],
            "fanouts": [
                [{"link": e.link.to_json(), "way": e.way, "most": n} for e, n in hop.items()]
                for hop in self.fanouts
            ],
            "features": self.features.to_json(),
            "own": self.own.to_json(),
            "head": self.head.to_json(),
            "members": [
                {
                    "shape": member.shape.to_json(),
                    "weight": member.weight,
                    "epochs": member.epochs,
                    "config": dict(member.config),
                }
                for member in self.members
            ],
        }
        return Packed(config, arrays, {})

    @classmethod
    def unpack(
        cls,
        config: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
        target: Target,
    ) -> GraphModel:
        """Rebuild a packed model; raises ``ValueError`` or ``KeyError`` when it does not fit."""
        from relcast.learners.features import FeatureSet

        members = []
        for number, entry in enumerate(config["members"]):
            prefix = f"gnn.{number}."
            state = {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}
            weight = float(entry["weight"])
            if not 0 < weight <= 1:
                raise ValueError("a member's weight is not between 0 and 1")
            shape = Shape.from_json(entry["shape"])
            members.append(Member(shape, state, weight, int(entry["epochs"]), entry["config"]))
        if not members:
            raise ValueError("there is no network")
        features = FeatureSet.from_json(config["features"])
        model = cls(
            name=str(config["name"]),
            target=target,
            entity=str(config["entity"]),
            codes=tuple(TableCode.from_json(code) for code in config["codes"]),
            fanouts=tuple(_fanout(hop) for hop in config["fanouts"]),
            features=features,
            own=OwnFeatures.from_json(config["own"], arrays["gnn.own"]),
            head=Head.from_json(config["head"], target),
            members=tuple(members),
        )
        for member in model.members:
            if member.shape.outputs != model.head.outputs:
                raise ValueError("the network's outputs do not fit the target")
            model.network(member)
        return model


def _fanout(hop: Any) -> dict[EdgeType, int]:
    found = {}
    for entry in hop:
        if entry["way"] not in ("up", "down"):
            raise ValueError("an edge goes neither up nor down")
        way = cast("Literal['up', 'down']", entry["way"])
        found[EdgeType(Link.from_json(entry["link"]), way)] = int(entry["most"])
    return found
