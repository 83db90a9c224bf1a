"""Groups of a moment, standings, seasons, cohorts, texts, lists and lags are what they say."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from relcast.core.delays import Delay
from relcast.core.schema import Link
from relcast.learners.features import FeatureSet
from relcast.learners.features.cells import PARTS
from relcast.learners.leaving_out import without
from relcast.pql import check
from relcast.relations import build
from tests.learners.features.cases import same
from tests.relations.databases import EPOCH, Database, change_future, moments

DAY = 86_400 * 10**9
ANCHOR = EPOCH + np.timedelta64(500, "D")
QUERY = "PREDICT AVG(starts.place, 0, 30, days) FOR EACH riders.rider"


def league(seed: int) -> Database:
    """Draw races of riders in teams over two years, with texts, lists and dates ahead."""
    rng = np.random.default_rng([seed, 9])
    riders, teams, races = 18, 5, 90
    day = np.sort(rng.choice(np.arange(0, 700), races, replace=False)).astype(float)
    rows = [
        (race, rider)
        for race in range(races)
        for rider in rng.choice(riders, int(rng.integers(2, 12)), replace=False)
    ]
    race, rider = (np.array(part) for part in zip(*rows, strict=True))
    n = len(rows)
    words = np.array(
        ["fast wet track", "Slow uphill", "gravel & fast", "Ünterwegs 9"], dtype=object
    )
    marks = np.array(["red", "green", "blue"], dtype=object)
    db = Database({}, {})
    db.frames = {
        "riders": pd.DataFrame(
            {
                "rider": np.arange(riders),
                "joined": moments(rng.integers(0, 400, riders).astype(float)),
                "nation": rng.choice(["at", "ch", "it"], riders).astype(object),
                "about": words[rng.integers(0, 4, riders)],
                "renews": moments(rng.integers(300, 900, riders).astype(float)),
            }
        ),
        "teams": pd.DataFrame({"team": np.arange(teams), "budget": rng.gamma(2, 3, teams)}),
        "races": pd.DataFrame({"race": np.arange(races), "day": moments(day)}),
        "starts": pd.DataFrame(
            {
                "start": rng.permutation(n),
                "race": race,
                "rider": rider,
                "team": (rider + (day[race] > 300) * rng.integers(0, 2, n)) % teams,
                "day": moments(day[race]),
                "place": np.where(rng.random(n) < 0.1, np.nan, rng.integers(1, 20, n)),
                "grid": rng.integers(1, 20, n).astype(float),
                "tyre": rng.choice(["a", "b", "c"], n).astype(object),
                "note": words[rng.integers(0, 4, n)],
                "marks": pd.Series(
                    [list(rng.permutation(marks)[: rng.integers(0, 3)]) for _ in range(n)],
                    dtype=object,
                ),
                "paid": moments(day[race] + rng.integers(0, 90, n)),
            }
        ),
    }
    db.kinds = {
        "riders": {
            "rider": "id",
            "joined": "time",
            "nation": "category",
            "about": "text",
            "renews": "time",
        },
        "teams": {"team": "id", "budget": "number"},
        "races": {"race": "id", "day": "time"},
        "starts": {
            "start": "id",
            "race": "id",
            "rider": "id",
            "team": "id",
            "day": "time",
            "place": "number",
            "grid": "number",
            "tyre": "category",
            "note": "text",
            "marks": "labels",
            "paid": "time",
        },
    }
    db.keys = {"riders": "rider", "teams": "team", "races": "race", "starts": "start"}
    db.times = {"riders": "joined", "teams": None, "races": "day", "starts": "day"}
    db.links = (
        Link("starts", "race", "races"),
        Link("starts", "rider", "riders"),
        Link("starts", "team", "teams"),
    )
    return db


def made_of(db: Database, tmp_path, text: str = QUERY, until: np.datetime64 = ANCHOR):
    relations = build(db.snapshot(tmp_path))
    query = check(text, relations.graph)
    moment = int(until.astype(np.int64))
    return relations, FeatureSet.generate(relations, query, budget=5000, until=moment)


def asked(relations, db: Database, days) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, anchors and keys of the riders that have joined by each day."""
    joined = db.frames["riders"].set_index("rider")["joined"].sort_index()
    found = [
        (int(key), int((EPOCH + np.timedelta64(day, "D")).astype(np.int64)))
        for day in days
        for key in joined.index[joined <= EPOCH + np.timedelta64(day, "D")]
        if key < 1_000_000
    ]
    keys, anchors = (np.array(part) for part in zip(*found, strict=True))
    return relations.table("riders").key_index(keys).astype(np.int64), anchors, keys


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    db = league(1)
    relations, made = made_of(db, tmp_path_factory.mktemp("league"))
    rows, anchors, keys = asked(relations, db, (400, 450, 500))
    values = made.compute(relations, rows, anchors).values
    starts = db.frames["starts"]
    pasts = [
        starts[starts["day"] <= pd.Timestamp(int(a))].sort_values(["day", "start"]) for a in anchors
    ]
    return made, values, anchors, keys, pasts, db


def column(case, *parts: str) -> np.ndarray:
    """Return the values of the feature whose name is that, word for word."""
    made, values = case[:2]
    name = "".join(parts)
    names = [f.name for f in made.features]
    assert name in names, [n for n in names if name[:25] in n]
    return values[:, names.index(name)]


def expect(case, values: np.ndarray, how) -> None:
    """Compare with a slow computation from (rider, anchor, the known starts of all)."""
    _, _, anchors, keys, pasts, _ = case
    wanted = [
        how(key, pd.Timestamp(int(a)), past)
        for key, a, past in zip(keys, anchors, pasts, strict=True)
    ]
    assert np.isfinite(values).sum() > 10
    np.testing.assert_allclose(values, np.array(wanted, dtype=float), rtol=1e-5, atol=1e-5)


def test_rows_of_one_moment_are_compared(case):
    def beside(how):
        def last(key, _, past):
            mine = past[past.rider == key].dropna(subset="place")
            found = []
            for row in mine.itertuples():
                field = past[(past.race == row.race)].place.dropna()
                value = how(row.place, field)
                if not np.isnan(value):
                    found.append(value)
            return found[-1] if found else np.nan

        return last

    def rank(place, field):
        others = len(field) - 1
        below, level = (field < place).sum(), (field == place).sum() - 1
        return (below + 0.5 * level) / others if others else np.nan

    expect(case, column(case, "last rank of starts.place among the same race"), beside(rank))
    expect(
        case,
        column(case, "last starts.place relative to the same race"),
        beside(lambda place, field: place - field.mean()),
    )


def test_the_others_of_a_team_and_the_size_of_a_field(case):
    def others(key, _, past):
        found = []
        for row in past[past.rider == key].itertuples():
            team = past[(past.day == row.day) & (past.team == row.team) & (past.rider != key)]
            if len(team.place.dropna()):
                found.append(team.place.mean())
        return found[-1] if found else np.nan

    expect(case, column(case, "last starts.place of the others of the same team"), others)

    def size(key, _, past):
        mine = past[past.rider == key]
        return (past.race == mine.race.iloc[-1]).sum() if len(mine) else np.nan

    expect(case, column(case, "last starts rows of the same race and moment"), size)


def test_an_entity_stands_among_those_who_are_active(case):
    made, _, _, _, _, db = case
    joined = db.frames["riders"].set_index("rider")["joined"]
    year = next(f.recipe.width for f in made.features if f.recipe.family == "standing")

    def means(now, past):
        recent = past[(now - past.day).dt.total_seconds() * 1e9 < year]
        recent = recent[recent.rider.map(joined) <= now]
        return recent.groupby("rider").place.mean().dropna(), recent.rider.nunique()

    label = f"the last {year // DAY} days"
    active = f"those with starts rows in {label}"
    name = f"mean of starts.place over {label}, among {active}"

    def rank(key, now, past):
        found, _ = means(now, past)
        if key not in found:
            return np.nan
        return ((found < found[key]).sum() + 0.5 * (found == found[key]).sum()) / len(found)

    def off(key, now, past):
        found, _ = means(now, past)
        return found[key] - found.mean() if key in found else np.nan

    expect(case, column(case, "rank of ", name), rank)
    expect(case, column(case, "distance to the mean of ", name), off)
    expect(case, column(case, f"count of {active}"), lambda _, now, past: means(now, past)[1])


def test_the_season_a_year_ago_and_the_year_so_far(case):
    def season(past, now):
        begin = now - pd.Timedelta(365, "D")
        return past[(past.day > begin) & (past.day <= begin + pd.Timedelta(30, "D"))]

    label = "in the season of 30 days a year ago"
    expect(
        case,
        column(case, f"count of moments of starts rows {label} of all"),
        lambda _, now, past: season(past, now).day.nunique(),
    )
    expect(
        case,
        column(case, f"mean of starts.place {label} of all"),
        lambda _, now, past: season(past, now).place.mean(),
    )
    expect(
        case,
        column(case, "mean of starts.place over the year so far"),
        lambda key, now, past: past[
            (past.rider == key) & (past.day >= pd.Timestamp(now.year, 1, 1))
        ].place.mean(),
    )


def test_examples_that_know_less_look_a_further_year_back(case, tmp_path):
    made, _, anchors, _, _, db = case
    relations = build(db.snapshot(tmp_path))
    names = [f.name for f in made.features]
    some = made.select(
        [names.index("mean of starts.place in the season of 30 days a year ago of all")]
    )
    year = 365 * DAY
    rows = np.zeros(len(anchors), dtype=np.int64)
    later = some.compute(relations, rows, anchors + year, known=anchors).values
    np.testing.assert_array_equal(later, some.compute(relations, rows, anchors).values)


def test_cohorts_share_a_category(case):
    _, _, _, _, _, db = case
    riders = db.frames["riders"].set_index("rider")

    def mean(key, now, past):
        there = riders.index[(riders.nation == riders.nation[key]) & (riders.joined <= now)]
        return past[past.rider.isin(there)].place.mean()

    name = "mean of starts.place over all time of all with the same riders.nation"
    expect(case, column(case, name), mean)


def test_entropy_share_and_pace(case):
    made = case[0]
    window = next(f.window for f in made.features if f.name.startswith("entropy of starts.tyre"))
    days = pd.Timedelta(int(window.split()[2]), "D")

    def tyres(key, now, past):
        mine = past[(past.rider == key) & (now - past.day < days)]
        return mine.tyre.value_counts(normalize=True)

    def entropy(*given):
        shares = tyres(*given)
        return -(shares * np.log2(shares)).sum() if len(shares) else np.nan

    expect(case, column(case, f"entropy of starts.tyre over {window}"), entropy)
    expect(
        case,
        column(case, f"largest share of starts.tyre over {window}"),
        lambda *given: tyres(*given).max(),
    )
    pace = next(f for f in made.features if f.recipe.measure == "pace" and f.name.endswith("days"))
    short, long = (pd.Timedelta(w, "ns") for w in (pace.recipe.width, pace.recipe.other))

    def expected(key, now, past):
        ages = now - past[past.rider == key].day
        lately, ever = (ages < short).sum(), (ages < long).sum()
        return lately / (ever * (short / long)) if ever else np.nan

    expect(case, column(case, pace.name), expected)


def test_lists_and_lags(case):
    def red(key, _, past):
        mine = past[past.rider == key]
        return float("red" in mine.marks.iloc[-1]) if len(mine) else np.nan

    expect(case, column(case, "last whether starts.marks has 'red'"), red)

    def length(key, _, past):
        mine = past[past.rider == key]
        return len(mine.marks.iloc[-1]) if len(mine) else np.nan

    expect(case, column(case, "last length of starts.marks"), length)

    def lag(key, now, past):
        mine = past[(past.rider == key) & (past.paid <= now)]
        return (mine.paid - mine.day).iloc[-1].days if len(mine) else np.nan

    expect(case, column(case, "last days from the starts row to its paid"), lag)


def test_texts_fold_to_columns_of_one_length(case, tmp_path):
    made, values, _, keys, _, db = case
    names = [f.name for f in made.features]
    places = [names.index(f"words of riders.about (part {k + 1} of {PARTS})") for k in range(PARTS)]
    folded = values[:, places]
    np.testing.assert_allclose((folded**2).sum(axis=1), 1.0, rtol=1e-5)
    about = db.frames["riders"].set_index("rider").about[keys].to_numpy()
    for text in np.unique(about):
        assert len(np.unique(folded[about == text], axis=0)) == 1
    assert len(np.unique(folded, axis=0)) == len(np.unique(about))
    for text in np.unique(about):
        np.testing.assert_allclose(folded[about == text][0], _folded(text), rtol=1e-5, atol=1e-7)


def _folded(text: str) -> np.ndarray:
    """Fold a text as it must be folded for ever, or stored models go wrong: FNV-1a of n-grams."""
    assert _fnv(b"a") == 0xAF63DC4C8601EC8C
    found = np.zeros(PARTS)
    for word in re.findall(rb"[0-9a-z\x80-\xff]+", text.lower().encode()):
        grams = [word]
        if len(word) > 3:
            grams += [word[k : k + n] for n in (3, 4, 5) for k in range(len(word) - n + 1)]
        for gram in grams:
            mixed = _fnv(gram)
            mixed ^= mixed >> 33
            found[(mixed >> 1) % PARTS] += 1 if mixed & 1 else -1
    return found / np.sqrt((found**2).sum())


def _fnv(data: bytes) -> int:
    found = 0xCBF29CE484222325
    for byte in data:
        found = (found ^ byte) * 0x100000001B3 % 2**64
    return found


def test_a_date_ahead_is_told_where_the_schema_says_that_it_is_known(tmp_path):
    db = league(1)
    relations, made = made_of(db, tmp_path)
    assert not [f for f in made.features if f.recipe.measure == "ahead"]
    _say(db, "riders", renews={"known_after": Delay(10, None, "days")})
    relations, made = made_of(db, tmp_path / "told")
    place = next(k for k, f in enumerate(made.features) if f.recipe.measure == "ahead")
    assert made.features[place].name == "days until riders.renews"
    rows, anchors, keys = asked(relations, db, (400,))
    found = made.compute(relations, rows, anchors).values[:, place]
    riders = db.frames["riders"].set_index("rider").loc[keys]
    now = pd.Timestamp(int(anchors[0]))
    ahead = (riders.renews - now).dt.days.to_numpy(dtype=float)
    seen = (riders.joined + pd.Timedelta(10, "D") <= now).to_numpy() & (ahead > 0)
    np.testing.assert_array_equal(found, np.where(seen, ahead, np.nan))
    assert 0 < seen.sum() < len(seen) or seen.all()


def _say(db: Database, name: str, **said: dict[str, object]) -> None:
    """Say in the schema when columns of a table are known."""
    graph = db.graph()
    table = graph.table(name)
    columns = tuple(dataclasses.replace(c, **said.get(c.name, {})) for c in table.columns)
    told = dataclasses.replace(
        graph, tables={**graph.tables, name: dataclasses.replace(table, columns=columns)}
    )
    db.graph = lambda: told  # type: ignore[method-assign]


LATE = ("place", "grid", "tyre", "note", "marks")


@pytest.mark.parametrize("seed", range(4))
def test_values_that_are_filled_in_later_move_nothing_before(seed, tmp_path):
    """Rows of the past whose values are known after the anchor only: no family reads them."""
    texts = (
        QUERY,
        "PREDICT COUNT(starts.* WHERE starts.place > 8, 0, 30, days) > 0 FOR EACH riders.rider",
    )
    db, other = league(seed), league(seed)
    frame = other.frames["starts"]
    unknown = ((frame["day"] <= ANCHOR) & (frame["paid"] > ANCHOR)).to_numpy()
    assert unknown.sum() > 10
    rng = np.random.default_rng(seed)
    frame.loc[unknown, "place"] = rng.integers(20, 90, unknown.sum()).astype(float)
    frame.loc[unknown, "grid"] = np.nan
    frame.loc[unknown, "tyre"] = "new"
    frame.loc[unknown, "note"] = "other words"
    frame["marks"] = [["new"] if u else m for u, m in zip(unknown, frame["marks"], strict=True)]
    for world in (db, other):
        _say(world, "starts", **{name: {"known_at": "paid"} for name in LATE})
    relations, made = made_of(db, tmp_path, texts[seed % 2])
    changed, again = made_of(other, tmp_path, texts[seed % 2])
    assert again.to_json() == made.to_json()
    rows, anchors, _ = asked(relations, db, (440, 500))
    values = made.compute(relations, rows, anchors).values
    same(values, made.compute(changed, rows, anchors).values, [f.name for f in made.features])
    read = {(f.recipe.family, f.column) for f in made.features}
    assert {("recent", name) for name in LATE} - {("recent", "note")} <= read | {("recent", "tyre")}
    later = anchors + 100 * DAY
    moved = made.compute(relations, rows, later).values != made.compute(changed, rows, later).values
    assert moved.any()  # once they are known they count


@pytest.mark.parametrize("seed", range(6))
def test_the_future_of_a_league_moves_nothing(seed, tmp_path):
    text = (
        QUERY,
        "PREDICT COUNT(starts.* WHERE starts.place > 8, 0, 30, days) > 0 FOR EACH riders.rider",
        "PREDICT LAST(starts.tyre, 0, 60, days) FOR EACH riders.rider",
    )[seed % 3]
    db = league(seed)
    other = change_future(db, ANCHOR, seed)
    relations, made = made_of(db, tmp_path, text)
    changed, again = made_of(other, tmp_path, text)
    names = [f.name for f in made.features]
    assert again.to_json() == made.to_json()
    rows, anchors, keys = asked(relations, db, (440, 500))
    here = made.compute(relations, rows, anchors).values
    there = changed.table("riders").key_index(keys).astype(np.int64)
    same(here, made.compute(changed, there, anchors).values, names)
    known = anchors - 40 * DAY
    same(
        made.compute(relations, rows, anchors, known=known).values,
        made.compute(changed, there, anchors, known=known).values,
        names,
    )
    families = {f.recipe.family for f in made.features}
    assert {"standing", "span", "past", "codes", "timing", "recent"} <= families
    kinds = {f.recipe.value.kind for f in made.features if f.recipe.value}
    assert {"rank", "others", "size", "ratio", "text", "element", "length", "lag"} <= kinds


def test_a_feature_says_whether_it_tells_of_the_time_alone(case):
    made, values, anchors = case[:3]
    shared = {f.name for f in made.features if f.shared}
    assert "month of the anchor" in shared
    assert "mean of starts.place over all time of all" in shared
    assert "mean of starts.place over all time" not in shared
    for k, feature in enumerate(made.features):
        if feature.shared and feature.recipe.stream and not feature.recipe.stream.by:
            for anchor in np.unique(anchors):
                assert len(np.unique(values[anchors == anchor, k])) == 1, feature.name


def test_a_column_that_is_left_out_defines_no_cohort(case):
    made = case[0]
    kept = without(made, frozenset({("riders", "nation")}))
    assert [f for f in made.features if "riders.nation" in f.name]
    assert not [f.name for f in kept.features if "riders.nation" in f.name]


def test_parents_that_are_yet_to_come_make_no_siblings(tmp_path):
    """A bug once: rows were found comparable by parents that nobody knew of."""
    db = league(1)
    db.frames["teams"]["since"] = moments(np.full(len(db.frames["teams"]), 600.0))
    db.kinds["teams"]["since"] = "time"
    db.times["teams"] = "since"
    _, made = made_of(db, tmp_path)
    assert not [f.name for f in made.features if "of the same team" in f.name]
    _, later = made_of(db, tmp_path, until=EPOCH + np.timedelta64(650, "D"))
    assert [f.name for f in later.features if "of the same team" in f.name]
