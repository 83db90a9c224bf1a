"""The sampler finds exactly what a slow walk over the data frames finds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from relcast.core.errors import InvalidRequest
from relcast.learners.gnn.walks import EdgeType, Sampler
from relcast.relations import build
from tests.relations.databases import EPOCH, change_future, permuted, random_database

DAYS = (0, 20, 35, 50, 100)
EVERYTHING = 10_000


class Slow:
    """The reference: data frames, dictionaries and loops; nothing of ``relcast.relations`` but the
    order of rows with one time."""

    def __init__(self, db, relations):
        self.db, self.links = db, db.links
        self.parents = {link: self.parents_of(link) for link in db.links}
        self.place = {
            name: {int(row): k for k, row in enumerate(table.order)}
            for name, table in relations.tables.items()
        }

    def known(self, table, row, at):
        if at is None:
            return True
        frame, time, end = self.db.frames[table], self.db.times.get(table), self.db.ends.get(table)
        if time is not None and not frame[time].iloc[row] <= at:
            return False
        return end is None or pd.isna(frame[end].iloc[row]) or frame[end].iloc[row] > at

    def parents_of(self, link):
        keys = self.db.frames[link.to][self.db.keys[link.to]]
        row = {key: k for k, key in enumerate(keys)}
        values = self.db.frames[link.table][link.foreign_key]
        return [None if pd.isna(value) else row.get(value) for value in values]

    def around(self, edge, row, at, most):
        if edge.way == "up":
            parent = self.parents[edge.link][row]
            return [parent] if parent is not None and self.known(edge.link.to, parent, at) else []
        table = edge.link.table
        children = [
            k
            for k, parent in enumerate(self.parents[edge.link])
            if parent == row and k in self.place[table] and self.known(table, k, at)
        ]
        return sorted(children, key=self.place[table].get)[-most:]

    def walk(self, edges, table, row, at, fanouts):
        hops = {(table, row): 0}
        links = set()
        front = [(table, row)]
        for hop, most in enumerate(fanouts):
            following = []
            for name, number in front:
                for edge in edges:
                    if edge.target != name:
                        continue
                    for other in self.around(edge, number, at, most):
                        links.add((edge, hop, other, number))
                        if (edge.source, other) not in hops:
                            hops[edge.source, other] = hop + 1
                            following.append((edge.source, other))
            front = following
        return hops, links


def of_seed(sample, seed):
    hops = {}
    for table, rows in sample.rows.items():
        for h in range(len(sample.hops[table]) - 1):
            part = slice(*sample.hops[table][h : h + 2])
            mine = sample.owner[table][part] == seed
            hops |= {(table, int(row)): h for row in rows[part][mine]}
    links = set()
    for edge, found in sample.edges.items():
        source, target = sample.rows[edge.source], sample.rows[edge.target]
        owner = sample.owner[edge.target]
        for h in range(len(found.hops) - 1):
            for k in range(*found.hops[h : h + 2]):
                assert sample.owner[edge.source][found.source[k]] == owner[found.target[k]]
                if owner[found.target[k]] == seed:
                    links.add((edge, h, int(source[found.source[k]]), int(target[found.target[k]])))
    return hops, links


def seeds_of(relations, days=DAYS):
    n = relations.tables["entities"].rows
    rows = np.tile(np.arange(n), len(days))
    at = [(EPOCH + np.timedelta64(day, "D")).astype(np.int64) for day in days]
    return rows, np.repeat(at, n)


@pytest.mark.parametrize("seed", range(40))
def test_samples_are_those_of_a_slow_walk(seed, tmp_path):
    db = random_database(seed)
    relations = build(db.snapshot(tmp_path))
    sampler, slow = Sampler(relations), Slow(db, relations)
    rows, cutoffs = seeds_of(relations, (35, 50))
    chosen = np.random.default_rng(seed).permutation(len(rows))[:8]
    rows, cutoffs = rows[chosen], cutoffs[chosen]
    for fanouts in ((3, 2), (EVERYTHING, EVERYTHING), (2, 2, 2)):
        sample = sampler.sample("entities", rows, cutoffs, fanouts)
        for k, (row, at) in enumerate(zip(rows, cutoffs, strict=True)):
            expected = slow.walk(sampler.edge_types, "entities", row, pd.Timestamp(at), fanouts)
            assert of_seed(sample, k) == expected


@pytest.mark.parametrize("seed", range(12))
def test_without_a_cut_off_everything_is_known(seed, tmp_path):
    db = random_database(seed)
    relations = build(db.snapshot(tmp_path))
    sampler, slow = Sampler(relations), Slow(db, relations)
    seeds = np.arange(min(2, len(db.frames["entities"])))
    sample = sampler.sample("entities", seeds, None, (4, 4))
    for k in range(sample.seeds):
        assert of_seed(sample, k) == slow.walk(sampler.edge_types, "entities", k, None, (4, 4))


@pytest.mark.parametrize("strategy", ["uniform", "stratified"])
@pytest.mark.parametrize("seed", range(20))
def test_random_strategies_draw_known_children_without_replacement(seed, strategy, tmp_path):
    db = random_database(seed)
    relations = build(db.snapshot(tmp_path))
    sampler, slow = Sampler(relations), Slow(db, relations)
    rows, cutoffs = seeds_of(relations, (50,))
    rows, cutoffs = rows[:6], cutoffs[:6]
    sample = sampler.sample("entities", rows, cutoffs, (4,), strategy=strategy, salt=seed)
    for k, (row, at) in enumerate(zip(rows, cutoffs, strict=True)):
        _, links = of_seed(sample, k)
        for edge in sampler.edge_types:
            if edge.target != "entities":
                continue
            usable = slow.around(edge, row, pd.Timestamp(at), EVERYTHING)
            drawn = [other for e, _, other, _ in links if e == edge]
            assert len(drawn) == min(4, len(usable))
            assert set(drawn) <= set(usable)
            if strategy == "stratified" and len(usable) > 4:
                bounds = [i * len(usable) // 4 for i in range(5)]
                parts = [set(usable[a:b]) for a, b in pairwise(bounds)]
                assert all(len(part & set(drawn)) == 1 for part in parts)


@pytest.mark.parametrize("strategy", ["uniform", "stratified"])
def test_random_strategies_reach_every_child_equally_often(strategy, tmp_path):
    db = random_database(3)
    relations = build(db.snapshot(tmp_path))
    sampler, slow = Sampler(relations), Slow(db, relations)
    edge = EdgeType(next(k for k in db.links if k.table == "events" and k.to == "entities"), "down")
    at = EPOCH + np.timedelta64(100, "D")
    row = max(
        range(len(db.frames["entities"])),
        key=lambda r: len(slow.around(edge, r, pd.Timestamp(at), EVERYTHING)),
    )
    usable = slow.around(edge, row, pd.Timestamp(at), EVERYTHING)
    assert len(usable) >= 8
    count = dict.fromkeys(usable, 0)
    for salt in range(2000):
        sample = sampler.sample(
            "entities", np.array([row]), np.array([at.astype(np.int64)]), [{edge: 4}],
            strategy=strategy, salt=salt,
        )  # fmt: skip
        for found in sample.rows["events"]:
            count[int(found)] += 1
    expected = 2000 * 4 / len(usable)
    if strategy == "stratified" and len(usable) % 4:
        assert min(count.values()) > 0.5 * expected
    else:
        assert all(abs(n - expected) < 6 * np.sqrt(expected) for n in count.values())


def test_a_sample_depends_on_seed_cut_off_and_salt_alone(tmp_path):
    relations = build(random_database(3).snapshot(tmp_path))
    sampler = Sampler(relations)
    rows, cutoffs = seeds_of(relations)
    asked = {"strategy": "uniform", "salt": 5}
    whole = sampler.sample("entities", rows, cutoffs, (3, 2), **asked)
    back = sampler.sample("entities", rows[::-1], cutoffs[::-1], (3, 2), **asked)
    with ThreadPoolExecutor(4) as pool:
        alone = list(
            pool.map(
                lambda k: sampler.sample(
                    "entities", rows[k : k + 1], cutoffs[k : k + 1], (3, 2), **asked
                ),
                range(len(rows)),
            )
        )
    for k in range(len(rows)):
        assert of_seed(whole, k) == of_seed(alone[k], 0) == of_seed(back, len(rows) - 1 - k)
    other = sampler.sample("entities", rows, cutoffs, (3, 2), strategy="uniform", salt=6)
    assert any(of_seed(whole, k) != of_seed(other, k) for k in range(len(rows)))


def test_edges_stand_by_hop_and_target_and_hops_by_table(tmp_path):
    relations = build(random_database(3).snapshot(tmp_path))
    rows, cutoffs = seeds_of(relations)
    sample = Sampler(relations).sample("entities", rows, cutoffs, (5, 5, 5))
    assert np.array_equal(sample.rows["entities"][: len(rows)], rows)
    assert np.array_equal(sample.owner["entities"][: len(rows)], np.arange(len(rows)))
    found = 0
    for edge, edges in sample.edges.items():
        for h in range(3):
            part = slice(*edges.hops[h : h + 2])
            target = edges.target[part]
            found += len(target)
            assert (np.diff(target) >= 0).all()
            low, high = sample.hops[edge.target][h : h + 2]
            assert ((target >= low) & (target < high)).all()
            assert (edges.source[part] < sample.hops[edge.source][h + 2]).all()
    assert found > 100


@pytest.mark.parametrize("seed", range(30))
def test_rows_after_the_cut_off_change_nothing(seed, tmp_path):
    db = random_database(seed)
    at = EPOCH + np.timedelta64(50, "D")
    found = []
    for version in (db, change_future(db, at, seed), permuted(db, seed)):
        relations = build(version.snapshot(tmp_path))
        sampler = Sampler(relations)
        frame = version.frames["entities"]
        here = np.ones(len(frame), dtype=bool)
        if db.times.get("entities"):
            here = (frame["born"] <= at).to_numpy()
        keys = sorted(frame["id"][here])
        rows = relations.table("entities").key_index(np.array(keys, dtype=np.int64))
        cutoffs = np.full(len(rows), at.astype(np.int64))
        sample = sampler.sample("entities", rows, cutoffs, (3, 3))
        found.append([contents(version, *of_seed(sample, k)) for k in range(len(rows))])
    assert found[0] == found[1]
    assert found[0] == found[2]


def contents(db, hops, links):
    """Return what the rows hold; their numbers may differ from one snapshot to the next."""

    def row(table, number):
        return (table, *map(str, db.frames[table].iloc[number]))

    return (
        sorted((h, *row(*key)) for key, h in hops.items()),
        sorted((str(e), h, row(e.source, a), row(e.target, b)) for e, h, a, b in links),
    )


def test_a_foreign_key_can_be_closed(tmp_path):
    relations = build(random_database(3).snapshot(tmp_path))
    closed = next(iter(relations.links))
    sampler = Sampler(relations, without=[closed])
    assert all(edge.link != closed for edge in sampler.edge_types)
    assert len(sampler.edge_types) == 2 * (len(relations.links) - 1)


def test_no_seeds_and_empty_tables_are_no_trouble(tmp_path):
    for seed in range(40):
        relations = build(random_database(seed).snapshot(tmp_path / str(seed)))
        none = np.zeros(0, dtype=np.int64)
        sample = Sampler(relations).sample("entities", none, none, (3, 3))
        assert sample.seeds == 0
        assert all(len(rows) == 0 for rows in sample.rows.values())


def test_an_unknown_strategy_is_refused(tmp_path):
    relations = build(random_database(3).snapshot(tmp_path))
    with pytest.raises(InvalidRequest, match="strategy") as caught:
        Sampler(relations).sample("entities", np.arange(1), None, (3,), strategy="unifrom")
    assert "uniform" in str(caught.value.hint)
