"""The network: a temporal heterogeneous GraphSAGE over a sample, with the seeds' own features.

Hamilton, Ying, Leskovec: Inductive representation learning on large graphs (2017), one weight per
edge type as in Schlichtkrull et al. (2018), on samples bounded by each seed's own cut-off. A layer
is computed only for rows that can still reach a seed.

Shapes: N rows of a table, C channels, B seeds, F channels of the seeds' own features, O outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the field's name for it)

from relcast.learners.gnn.codes import TableCode
from relcast.learners.gnn.inputs import TableInput
from relcast.learners.gnn.walks import EdgeType, Sample

__all__ = ["Batch", "Links", "Network", "Rows", "Shape"]

_NORMAL = 0.1


@dataclass(frozen=True, slots=True)
class Shape:
    """What a network is made of, JSON-ready.

    Attributes:
        channels: C.
        layers: Rounds of messages, one per hop.
        before: Hidden layers of each row before the messages.
        after: Hidden layers of the head.
        aggregations: Of ``sum`` (mean times the logarithm of the count), ``mean`` and ``max``.
        features: F; 0 leaves the seeds' own features out.
        feature_places: Embeddings of their categories.
        outputs: O.
    """

    channels: int
    layers: int
    before: int
    after: int
    aggregations: tuple[str, ...]
    features: int
    feature_places: int
    outputs: int

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "aggregations": list(self.aggregations)}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Shape:
        said = tuple(obj["aggregations"])
        if not said or not set(said) <= {"sum", "mean", "max"}:
            raise ValueError("the network aggregates in no known way")
        names = ("channels", "layers", "before", "after", "features", "feature_places", "outputs")
        size = {name: int(obj[name]) for name in names}
        if not (1 <= size["channels"] <= 4096 and 0 <= size["layers"] <= 8 and size["outputs"] > 0):
            raise ValueError("the network's sizes do not fit")
        return cls(aggregations=said, **size)


@dataclass(frozen=True, slots=True)
class Rows:
    """N rows of one table on the device.

    For explanations ``embedded`` takes the place of looking words up, and ``gate`` says how much
    each row is there.
    """

    numbers: Tensor  # [N, channels]
    places: Tensor  # [N, columns]
    bags: Tensor
    ends: Tensor
    embedded: Tensor | None = None  # [N, columns + bags, C]
    gate: Tensor | None = None  # [N]


@dataclass(frozen=True, slots=True)
class Links:
    """Edges of one type on the device; those of hops below h are the first ``hops[h]``."""

    source: Tensor  # int32[M] (down) or int64[M] (up)
    target: Tensor  # int64[M]
    ends: Tensor  # int32[N + 1], down only: the children of target n are ends[n]:ends[n + 1]
    hops: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """A sample on the device.

    Attributes:
        hops: Per table how many rows were found in hops up to h.
    """

    seeds: int
    rows: Mapping[str, Rows]
    links: Mapping[EdgeType, Links]
    hops: Mapping[str, tuple[int, ...]]
    features: Tensor  # [B, F]
    feature_places: Tensor  # [B, categories]
    feature_embedded: Tensor | None = None  # [B, categories, C], for explanations

    @classmethod
    def of(
        cls,
        sample: Sample,
        inputs: Mapping[str, TableInput],
        features: npt.NDArray[np.float32],
        feature_places: npt.NDArray[np.int32],
        device: torch.device,
    ) -> Batch:
        def put(array: npt.NDArray[Any]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        links = {}
        for edge, found in sample.edges.items():
            if not len(found.target):
                continue
            down = edge.way == "down"
            count = len(sample.rows[edge.target]) if down else 0
            ends = np.append(0, np.cumsum(np.bincount(found.target, minlength=count)))
            links[edge] = Links(
                put(found.source if down else found.source.astype(np.int64)),
                put(found.target.astype(np.int64)),
                put(ends.astype(np.int32)) if down else put(np.zeros(1, np.int32)),
                tuple(int(h) for h in found.hops),
            )
        rows = {
            name: Rows(put(r.numbers), put(r.places), put(r.bags), put(r.ends))
            for name, r in inputs.items()
        }
        hops = {name: tuple(int(h) for h in sample.hops[name][1:]) for name in inputs}
        return cls(sample.seeds, rows, links, hops, put(features), put(feature_places))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.linear = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + torch.relu(self.linear(self.norm(x)))
        return out


class Encoder(nn.Module):
    """Rows of one table as vectors."""

    def __init__(self, code: TableCode, shape: Shape) -> None:
        super().__init__()
        self.linear = nn.Linear(code.channels, shape.channels, bias=False)
        self.words = nn.Embedding(max(1, code.places), shape.channels)
        nn.init.normal_(self.words.weight, std=_NORMAL)
        self.bags = sum(c.kind in ("text", "list") for c in code.columns)
        with torch.no_grad():
            at = 0
            for column in code.columns:
                if column.kind == "category":
                    # What training never saw says nothing.
                    self.words.weight[at + 1 + len(column.words) : at + column.places] = 0.0
                at += column.places
        self.blocks = nn.ModuleList(_Residual(shape.channels) for _ in range(shape.before))
        self.norm = nn.LayerNorm(shape.channels)

    def embed(self, rows: Rows) -> Tensor:
        """Return what each column's words add, [N, columns + bags, C]; for explanations."""
        parts = [F.embedding(rows.places, self.words.weight)]
        n = len(rows.numbers)
        if self.bags:
            bags = self._bags(rows)
            parts.append(bags.reshape(self.bags, n, self.words.embedding_dim).transpose(0, 1))
        return torch.cat(parts, dim=1)

    def forward(self, rows: Rows) -> Tensor:
        x: Tensor = self.linear(rows.numbers)
        if rows.embedded is not None:
            x = x + rows.embedded.sum(1)
        else:
            if rows.places.shape[1]:
                x = x + F.embedding_bag(rows.places, self.words.weight, mode="sum")
            if self.bags:
                x = x + self._bags(rows).reshape(self.bags, len(x), x.shape[1]).sum(0)
        x = self.norm(torch.relu(x))
        for block in self.blocks:
            x = block(x)
        return x if rows.gate is None else x * rows.gate[:, None]

    def _bags(self, rows: Rows) -> Tensor:
        found: Tensor = F.embedding_bag(
            rows.bags.long(),
            self.words.weight,
            rows.ends,
            mode="mean",
            include_last_offset=True,
        )
        return found


class Layer(nn.Module):
    """One round of messages along every edge type."""

    def __init__(self, tables: Sequence[str], edges: Sequence[EdgeType], shape: Shape) -> None:
        super().__init__()
        c = shape.channels
        self.tables = tuple(tables)
        self.edges = tuple(edges)
        self.aggregations = shape.aggregations
        wide = {"up": 1, "down": len(shape.aggregations)}
        self.own = nn.ModuleList(nn.Linear(c, c) for _ in self.tables)
        self.norms = nn.ModuleList(nn.LayerNorm(c) for _ in self.tables)
        self.messages = nn.ModuleList(
            nn.Linear(c * wide[edge.way], c, bias=False) for edge in self.edges
        )

    def forward(self, h: Mapping[str, Tensor], batch: Batch, reach: int) -> dict[str, Tensor]:
        """Return the rows of hops up to ``reach``; ``h`` holds those one hop further."""
        keep = {name: batch.hops[name][reach] for name in self.tables}
        found = {
            name: own(h[name][: keep[name]])
            for name, own in zip(self.tables, self.own, strict=True)
        }
        for edge, linear in zip(self.edges, self.messages, strict=True):
            links = batch.links.get(edge)
            if links is None or not links.hops[reach + 1]:
                continue
            count, rows = links.hops[reach + 1], keep[edge.target]
            source = links.source[:count]
            x = h[edge.source]
            if edge.way == "up":
                # A row has one parent: no sum, a gather.
                gathered = linear(x).index_select(0, source)
                found[edge.target] = found[edge.target].index_add(0, links.target[:count], gathered)
            else:
                message = linear(self._aggregate(x, source, links.ends[: rows + 1]))
                found[edge.target] = found[edge.target] + message
        return {
            name: h[name][: keep[name]] + norm(torch.relu(found[name]))
            for name, norm in zip(self.tables, self.norms, strict=True)
        }

    def _aggregate(self, x: Tensor, source: Tensor, ends: Tensor) -> Tensor:
        def bag(mode: str) -> Tensor:
            found: Tensor = F.embedding_bag(source, x, ends, mode=mode, include_last_offset=True)
            return found

        parts = []
        mean = bag("mean")
        for name in self.aggregations:
            if name == "mean":
                parts.append(mean)
            elif name == "sum":
                count = (ends[1:] - ends[:-1]).to(x.dtype)
                parts.append(mean * torch.log1p(count)[:, None])
            else:
                parts.append(bag("max"))
        return torch.cat(parts, dim=1)


class Network(nn.Module):
    """Encoders, rounds of messages, the seeds' own features, head.

    Args:
        codes: Of every table that is read, the seeds' among them.
        edges: Edge types between those tables.
        entity: The seeds' table.
    """

    def __init__(
        self, codes: Sequence[TableCode], edges: Sequence[EdgeType], entity: str, shape: Shape
    ) -> None:
        super().__init__()
        self.shape, self.entity = shape, entity
        self.tables = tuple(code.table for code in codes)
        c = shape.channels
        self.encoders = nn.ModuleList(Encoder(code, shape) for code in codes)
        self.rounds = nn.ModuleList(Layer(self.tables, edges, shape) for _ in range(shape.layers))
        self.features = nn.Linear(max(1, shape.features), c, bias=False)
        self.words = nn.Embedding(max(1, shape.feature_places), c)
        nn.init.normal_(self.words.weight, std=_NORMAL)
        self.joined = nn.Linear(2 * c if shape.features else c, c)
        self.hidden = nn.ModuleList(_Residual(c) for _ in range(shape.after))
        self.norm = nn.LayerNorm(c)
        self.head = nn.Linear(c, shape.outputs)

    def embed(self, batch: Batch) -> Tensor:
        """Return the seeds' vectors, [B, C]."""
        h = {
            name: encode(batch.rows[name])
            for name, encode in zip(self.tables, self.encoders, strict=True)
        }
        for number, layer in enumerate(self.rounds):
            h = layer(h, batch, self.shape.layers - 1 - number)
        x = h[self.entity][: batch.seeds]
        if self.shape.features:
            own = self.features(batch.features)
            if batch.feature_embedded is not None:
                own = own + batch.feature_embedded.sum(1)
            elif batch.feature_places.shape[1]:
                own = own + F.embedding_bag(batch.feature_places, self.words.weight, mode="sum")
            x = torch.cat([x, torch.relu(own)], dim=1)
        x = self.joined(x)
        for block in self.hidden:
            x = block(x)
        out: Tensor = self.norm(x)
        return out

    def row_words(self, batch: Batch) -> dict[str, Tensor]:
        """Return what the words of each row add, [N, columns + bags, C] per table."""
        found = {}
        for name, encoder in zip(self.tables, self.encoders, strict=True):
            if isinstance(encoder, Encoder):
                found[name] = encoder.embed(batch.rows[name])
        return found

    def forward(self, batch: Batch) -> Tensor:
        out: Tensor = self.head(self.embed(batch))  # [B, O]
        return out
