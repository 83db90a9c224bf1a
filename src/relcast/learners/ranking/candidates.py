"""Which items are worth scoring for an example: its candidates."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.protocol import Asked
from relcast.learners.ranking.cohorts import Codes
from relcast.learners.ranking.pairs import REACH, Pairs, PairValues, sides
from relcast.learners.ranking.proposing import propose
from relcast.learners.ranking.scene import known_of
from relcast.relations import NEVER

__all__ = ["Quota", "candidates"]

Index = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_CHUNK = 256
_COHORTS = 2
_COHORT_LINKS = 20_000
_MOST_NEAR = 50_000


@dataclass(frozen=True, slots=True)
class Quota:
    """How many candidates each source gives, at most.

    Attributes:
        every: With at most so many items, all are candidates.
        own: The entity's own newest items.
        walk: The best of who shares items with it, by all their links and by later ones.
        near: The nearest by vectors.
        popular: The most popular: ever, lately, and in each of two cohorts.
    """

    every: int = 200
    own: int = 80
    walk: int = 60
    near: int = 60
    popular: int = 50

    @property
    def most(self) -> int:
        """The most candidates that an example can have."""
        return self.own + 2 * self.walk + self.near + (2 + _COHORTS) * self.popular

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Quota:
        found = cls(**{name: int(number) for name, number in obj.items()})
        if min(asdict(found).values()) < 0 or max(asdict(found).values()) > 100_000:
            raise ValueError("a quota of candidates is out of range")
        return found


def candidates(
    values: PairValues, quota: Quota, asked: Asked, among: Index | None, threads: int
) -> Pairs:
    """Return the candidates of each example, those of one source after another.

    An item that is not there at what an example knows, or not in ``among``, is none. They depend on
    the example alone, not on the others beside it, nor on ``threads``.
    """
    scene, links = values.scene, values.scene.links
    known = known_of(asked)
    moments, moment = np.unique(known, return_inverse=True)
    n = len(asked)
    out = np.full((n, 0), -1, dtype=np.int64)
    if len(moments) == 0:
        return Pairs(asked, np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64))
    if scene.count <= quota.every:
        free = [np.flatnonzero(scene.allowed(m, among)) for m in moments.tolist()]
        many = np.array([len(rows) for rows in free], dtype=np.int64)[moment]
        return Pairs(asked, _running(many), np.concatenate([free[m] for m in moment]))
    out = np.full((n, quota.most), -1, dtype=np.int64)
    count = np.zeros(n, dtype=np.int64)
    order = np.argsort(moment, kind="stable")
    near = quota.near if values.plan.vectors and scene.count <= _MOST_NEAR else 0
    walk = quota.walk if values.plan.temporal else 0
    own = quota.own if values.plan.temporal else 0
    quotas = np.array([own, walk, near, quota.popular], dtype=np.int64)
    entity = np.asarray(asked.entity, dtype=np.int64)
    name = links.originals(entity)
    two_sides, stack, space = sides(links), values.stack, values.space(known)

    def work(begin: int) -> None:
        rows = order[begin : begin + _CHUNK]
        here, group = np.unique(moment[rows], return_inverse=True)
        allowed = np.stack([scene.allowed(int(moments[m]), among) for m in here])
        lists, list_of = _popular(values, quota, entity[rows], moments[here], group, allowed)
        found = np.full((len(rows), quota.most), -1, dtype=np.int64)
        many = np.zeros(len(rows), dtype=np.int64)
        propose(
            *two_sides, entity[rows], name[rows], known[rows], allowed, group, lists, list_of,
            stack, space[rows], REACH, quotas, found, many,
        )  # fmt: skip
        out[rows] = found
        count[rows] = many

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        list(pool.map(work, range(0, n, _CHUNK)))
    inside = np.arange(quota.most)[None, :] < count[:, None]
    return Pairs(asked, _running(count), out[inside])


def _popular(
    values: PairValues, quota: Quota, entity: Index, moments: Index, group: Index, allowed: Any
) -> tuple[Index, Index]:
    """Return lists of popular items, int64[lists, most], and which each example reads.

    Twice the quota and the entity's own are kept, since its own items are passed over.
    """
    scene, plan = values.scene, values.plan
    most = quota.popular * 4 + quota.own + 2 * quota.walk + quota.near
    lists: list[Index] = []
    list_of: list[Index] = []
    widths = [-1, plan.spec.horizon] if plan.temporal else [-1]
    for width in widths:
        places = []
        for m, known in enumerate(moments.tolist()):
            places.append(len(lists))
            lists.append(scene.popularity(known, width).order(allowed[m], most))
        list_of.append(np.array(places, dtype=np.int64)[group])
    for codes in _telling(values):
        place: dict[tuple[int, int], int] = {}
        mine = codes.mine(entity, moments[group])
        chosen = np.empty(len(entity), dtype=np.int64)
        for row, (m, code) in enumerate(zip(group.tolist(), mine.tolist(), strict=True)):
            if (m, code) not in place:
                place[m, code] = len(lists)
                lists.append(_cohort(codes, code, int(moments[m]), allowed[m], most))
            chosen[row] = place[m, code]
        list_of.append(chosen)
    table = np.full((len(lists), most), -1, dtype=np.int64)
    for number, rows in enumerate(lists):
        table[number, : len(rows)] = rows
    return table, np.stack(list_of)


def _telling(values: PairValues) -> list[Codes]:
    """Return the cohorts whose popular items are candidates: one of each kind, then the next."""
    kinds = [[c for c in values.cohorts if c.cohort.kind == kind] for kind in ("before", "entity")]
    return [c for both in zip_longest(*kinds) for c in both if c is not None][:_COHORTS]


def _cohort(codes: Codes, code: int, known: int, allowed: Bools, most: int) -> Index:
    """Return the most popular allowed items among the newest links of a cohort."""
    links = codes.links
    if code < 0:
        return np.zeros(0, dtype=np.int64)
    end = int(np.searchsorted(links.time, known, side="right"))
    begin = max(0, end - _COHORT_LINKS) if known != NEVER else 0
    mine = codes.by_time[begin:end] == code
    if len(links.over):
        mine &= links.over[begin:end] > known
    count = np.bincount(links.item[begin:end][mine], minlength=links.items)
    rows = np.flatnonzero(allowed & (count > 0))
    return rows[np.lexsort((rows, -count[rows]))][:most]


def _running(lengths: Index) -> Index:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)])
