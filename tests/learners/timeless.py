"""A small club without time, generated: people, the genres that they like, and films they saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relcast.core.schema import Dtype, Link, Stype
from relcast.relations import build
from relcast.snapshots import SnapshotStore, TableSpec
from relcast.sources import LocalDirectory
from tests.learners.worlds import World

EACH = "FOR EACH people.person_id"
STATIC = {
    "static_links": f"PREDICT LIST_DISTINCT(seen.film_id) RANK TOP 3 {EACH}",
    "static_multilabel": f"PREDICT people.genres CLASSIFY {EACH}",
    "static_ranking": f"PREDICT people.genres RANK TOP 2 {EACH}",
}
_GENRES = ("crime", "drama", "horror", "noir", "western")


def make_club(folder: Path, *, people: int = 400, films: int = 30, seed: int = 0) -> World:
    """Write the club, copy it into a store and link it; taste decides genres and films."""
    rng = np.random.default_rng(seed)
    taste = rng.integers(0, 5, people)
    town = np.where(rng.random(people) < 0.7, taste, rng.integers(0, 5, people))
    genre = rng.integers(0, 5, films)
    genres = [sorted({int(t), int(rng.integers(0, 5))}) for t in taste]
    pairs = set()
    for person in range(people):
        for _ in range(int(rng.integers(2, 9))):
            liked = np.flatnonzero(genre == taste[person])
            film = (
                rng.choice(liked) if len(liked) and rng.random() < 0.7 else rng.integers(0, films)
            )
            pairs.add((person, int(film)))
    seen = sorted(pairs)
    tables = {
        "people": {
            "person_id": pa.array(np.arange(people)),
            "town": pa.array([f"town {t}" for t in town]),
            "age": pa.array(rng.normal(40, 9, people)),
            "genres": pa.array([[_GENRES[g] for g in some] for some in genres]),
        },
        "films": {
            "film_id": pa.array(np.arange(films)),
            "genre": pa.array([_GENRES[g] for g in genre]),
        },
        "seen": {
            "person_id": pa.array([p for p, _ in seen]),
            "film_id": pa.array([f for _, f in seen]),
        },
    }
    (folder / "data").mkdir(parents=True)
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / "data" / f"{name}.parquet")
    source, store = LocalDirectory(folder / "data"), SnapshotStore(folder / "store")
    ids = {"person_id": Stype.ID, "film_id": Stype.ID}
    specs = [
        TableSpec(
            "people",
            primary_key="person_id",
            time_column=None,
            dtypes={"genres": Dtype.stringlist},
            stypes={"person_id": Stype.ID, "genres": Stype.multicategorical},
        ),
        TableSpec("films", primary_key="film_id", time_column=None),
        TableSpec("seen", primary_key=None, time_column=None, stypes=ids),
    ]
    tables_in = [store.ingest_table(source, spec.name, spec) for spec in specs]
    links = [Link("seen", "person_id", "people"), Link("seen", "film_id", "films")]
    snapshot = store.combine(tables_in, links)
    return World(snapshot, build(snapshot), {})
