"""Models and snapshots that stay open from one question to the next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from relcast.learners import FittedModel
    from relcast.relations import Relations

__all__ = ["Opened"]

_KEPT = 2

T = TypeVar("T")


class Opened:
    """Opens bundles and snapshots, and keeps the two of each that were asked for last.

    Both never change once they are published, so that a kept one answers as a fresh one does. For
    one thread.
    """

    def __init__(self) -> None:
        self._models: _Newest[FittedModel] = _Newest()
        self._relations: _Newest[Relations] = _Newest()

    def model(self, path: str) -> FittedModel:
        """Return the model of a bundle; raises as ``FittedModel.load`` does."""
        from relcast.learners import FittedModel

        return self._models.get(path, lambda: FittedModel.load(Path(path)))

    def relations(self, store: str, snapshot_id: str) -> Relations:
        """Return the arrays of a snapshot; raises ``snapshot.not_found``."""
        from relcast.relations import build
        from relcast.snapshots import SnapshotStore

        return self._relations.get(
            (store, snapshot_id), lambda: build(SnapshotStore(Path(store)).open(snapshot_id))
        )


class _Newest(Generic[T]):
    """What was opened last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, opening: Callable[[], T]) -> T:
        if key not in self._kept:
            self._kept[key] = opening()
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]
