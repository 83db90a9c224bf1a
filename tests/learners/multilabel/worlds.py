"""People who come back to kinds of things: a few kinds at a time, or one place after another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relcast.core.schema import Link, Stype
from relcast.learners.deadline import Deadline
from relcast.learners.features import FeatureSet
from relcast.learners.folds import Folds, make_folds
from relcast.learners.learner import Settings, Work
from relcast.learners.metrics import default_tune_metric
from relcast.learners.plan import ModelPlan
from relcast.pql import check
from relcast.pql.ast import CheckedQuery
from relcast.relations import Relations, build
from relcast.snapshots import Snapshot, SnapshotStore, TableSpec
from relcast.sources import LocalDirectory
from relcast.tasks import TablePlan, make_training_table

BASKET = "PREDICT LIST_DISTINCT(buys.kind, 0, 14, days) CLASSIFY FOR EACH people.person_id"
PLACE = "PREDICT FIRST(buys.kind, 0, 14, days) FOR EACH people.person_id"
TAGS = "PREDICT people.tags CLASSIFY FOR EACH people.person_id"


@dataclass(frozen=True)
class World:
    """A snapshot with its arrays."""

    snapshot: Snapshot
    relations: Relations

    def query(self, text: str) -> CheckedQuery:
        return check(text, self.snapshot.graph)

    def folds(self, text: str, regime: str = "rolling", **plan: object) -> Folds:
        table = make_training_table(
            self.snapshot,
            self.relations,
            self.query(text),
            TablePlan(**plan),  # type: ignore[arg-type]
        )
        return make_folds(table.examples, table.query, regime)  # type: ignore[arg-type]

    def work(
        self,
        text: str,
        folds: Folds,
        *,
        threads: int = 1,
        candidates: int = 60,
        metric: str | None = None,
        **plan: object,
    ) -> Work:
        query = self.query(text)
        anchor = folds.train.asked.anchor
        until = None if anchor is None else int(anchor.max())
        features = FeatureSet.generate(self.relations, query, budget=candidates, until=until)
        options = ModelPlan(**{"run_mode": "debug", "threads": threads, **plan})  # type: ignore[arg-type]
        settings = Settings(
            budget=options.budget(),
            metric=metric or default_tune_metric(query.task_type),
            seed=0,
            threads=threads,
            deadline=Deadline(),
        )
        return Work(
            self.relations,
            query,
            folds.target,
            folds.train,
            folds.validation,
            features,
            settings,
            lambda *_: None,
        )


def baskets(folder: Path, *, people: int = 400, days: int = 240, seed: int = 0) -> World:
    """Write people of five circles; each circle has its kinds, and who bought one buys its next.

    Kinds are named ``k00`` to ``k23``. A person turns to another kind of the circle now and then,
    which only others who turned the same way can tell of.
    """
    rng = np.random.default_rng(seed)
    kinds = 24
    circle = rng.integers(0, 5, people)
    start = rng.integers(0, kinds, people)
    rate = rng.gamma(3.0, 0.05, people)
    owner = np.repeat(np.arange(people), rng.poisson(rate * days))
    at = rng.uniform(0, days, len(owner))
    phase = (at / 40).astype(int)
    habit = (start[owner] + 5 * phase * (1 + circle[owner])) % kinds
    also = (habit + 1 + circle[owner]) % kinds
    draw = rng.random(len(owner))
    kind = np.where(
        draw < 0.55, habit, np.where(draw < 0.85, also, rng.integers(0, kinds, len(owner)))
    )
    names = np.array([f"k{i:02d}" for i in range(kinds)])
    return _write(folder, people, circle, owner, at, names[kind], rng)


def places(
    folder: Path, *, people: int = 1500, kinds: int = 1200, days: int = 120, seed: int = 0
) -> World:
    """Write people who go from place to place: to the successor of the last one, or to a home."""
    rng = np.random.default_rng(seed)
    after = rng.permutation(kinds)
    owner, at, kind = [], [], []
    home = rng.integers(0, kinds, people)
    for person in range(people):
        times = np.cumsum(rng.gamma(4.0, 2.5, 60))
        times = times[times < days]
        now = int(rng.integers(0, kinds))
        for moment in times:
            draw = rng.random()
            if draw < 0.6:
                now = int(after[now])
            elif draw < 0.8:
                now = int(home[person])
            else:
                now = int(rng.integers(0, kinds))
            owner.append(person)
            at.append(float(moment))
            kind.append(f"p{now:04d}")
    circle = np.zeros(people, dtype=np.int64)
    return _write(folder, people, circle, np.array(owner), np.array(at), np.array(kind), rng)


def _write(
    folder: Path,
    people: int,
    circle: np.ndarray,
    owner: np.ndarray,
    at: np.ndarray,
    kind: np.ndarray,
    rng: np.random.Generator,
) -> World:
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    age = 20 + 10 * circle + rng.normal(0, 4, people)
    tags = [
        [t for t in ("sport", "music", "books", "films") if rng.random() < chance(t, a)]
        for a in age.tolist()
    ]
    tables = {
        "people": {
            "person_id": pa.array(np.arange(people)),
            "age": pa.array(age),
            "city": pa.array(rng.choice(["here", "there"], people)),
            "tags": pa.array(tags, pa.list_(pa.string())),
        },
        "buys": {
            "buy_id": pa.array(np.arange(len(owner))),
            "person_id": pa.array(owner),
            "kind": pa.array(kind),
            "at": pa.array((1_600_000_000 + at * 86_400).astype("datetime64[s]")),
        },
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), data / f"{name}.parquet")
    return read(folder)


def chance(tag: str, age: float) -> float:
    """Return how likely a person of an age is to have a tag."""
    high = {"sport": age < 35, "music": age < 50, "books": age > 40, "films": True}[tag]
    return 0.7 if high else 0.15


def read(folder: Path) -> World:
    """Copy what stands in ``<folder>/data`` into a store."""
    source, store = LocalDirectory(folder / "data"), SnapshotStore(folder / "store")
    specs = [
        TableSpec(
            "people",
            primary_key="person_id",
            time_column=None,
            stypes={
                "person_id": Stype.ID,
                "city": Stype.categorical,
                "tags": Stype.multicategorical,
            },
        ),
        TableSpec(
            "buys",
            primary_key="buy_id",
            time_column="at",
            stypes={"person_id": Stype.ID, "kind": Stype.categorical},
        ),
    ]
    tables = [store.ingest_table(source, spec.name, spec) for spec in specs]
    snapshot = store.combine(tables, [Link("buys", "person_id", "people")])
    return World(snapshot, build(snapshot))
