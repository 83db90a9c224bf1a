"""Medians, deviations, arithmetic and BETWEEN, on small worlds worked out by hand."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from relcast.core.errors import TaskError
from relcast.core.schema import Link
from relcast.pql import check
from relcast.tasks import evaluate_target, examples_at
from relcast.tasks.labels import _rounded_once
from tests.tasks.label_shop import (
    A,
    at,
    buy,
    holds,
    opened,
    shop,
    table,
    values,
)

# -- medians and deviations -------------------------------------------------------------------


def test_median_and_deviation(tmp_path: Path) -> None:
    amounts = {1: [4.0, 1.0, 10.0, 2.0], 2: [3.0], 3: [0.1, 0.1, 0.1]}
    rows = [buy(c * 10 + i, c, 1 + i, amount=a) for c in amounts for i, a in enumerate(amounts[c])]
    world = shop(rows)
    text = "PREDICT {}(purchases.amount, 0, 7) FOR EACH customers.id"
    assert values(world, tmp_path, text.format("MEDIAN")) == {0: 3.0, 1: 3.0, 2: 0.1}
    deviations = values(world, tmp_path, text.format("STDDEV"))
    assert deviations == {0: pytest.approx(np.std(amounts[1], ddof=1), rel=1e-15), 2: 0.0}


def test_the_median_of_truth_values(tmp_path: Path) -> None:
    world = shop([buy(i, 1, 1 + i, gift=gift) for i, gift in enumerate([True, False, True, None])])
    text = "PREDICT MEDIAN(purchases.gift, 0, 7) FOR EACH customers.id"
    assert values(world, tmp_path, text) == {0: 1.0}


INF = math.inf


@pytest.mark.parametrize(
    ("amounts", "median", "deviation"),
    [
        ([INF, INF], INF, None),
        ([INF, -INF], None, None),
        ([-INF, 1.0, INF], 1.0, None),
        ([1.7e308, 1.7e308], 1.7e308, 0.0),
        ([-1.7e308, 1.7e308], 0.0, None),  # beyond what a float holds
        ([1e308, -1e307], 4.5e307, 7.778174593052023e307),
        ([1e-300, 3e-300], 2e-300, 1.4142135623730952e-300),
        ([5e-324], 5e-324, None),
        ([1e308, 1.0, 2.0], 2.0, 5.773502691896257e307),
        ([1e9 + 1, 1e9 + 2, 1e9 + 3], 1e9 + 2, 1.0),
    ],
)
def test_the_edges_of_floats(
    amounts: list[float], median: float | None, deviation: float | None, tmp_path: Path
) -> None:
    world = shop([
        *[buy(i, 1, 1, amount=a) for i, a in enumerate(amounts)],
        *[buy(100 + i, 2, 1, amount=a) for i, a in enumerate([1e308, 1e-320, 3.0, 3.0])],
    ])  # fmt: skip
    snapshot = world.snapshot(tmp_path)
    for kind, want in (("MEDIAN", median), ("STDDEV", deviation)):
        query = check(
            f"PREDICT {kind}(purchases.amount, 0, 7) FOR EACH customers.id", snapshot.graph
        )
        (got,) = evaluate_target(snapshot, query, [0], [A.value]).tolist()  # type: ignore[union-attr]
        assert (
            got == pytest.approx(want, rel=1e-15, abs=0)
            if want is not None
            else not math.isfinite(got)
        )


@pytest.mark.parametrize("kind", ["STDDEV", "MEDIAN", "AVG"])
def test_the_last_bit_depends_on_the_window_alone(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    amounts = (rng.normal(size=600) * 10.0 ** rng.integers(-8, 8, 600)).tolist()
    rows = [buy(i, 1 + i % 2, 1 + i / 100, amount=a) for i, a in enumerate(amounts)]
    text = f"PREDICT {kind}(purchases.amount, 0, 10) FOR EACH customers.id"
    found = values(shop(rows), tmp_path, text)
    shuffled = [rows[i] for i in rng.permutation(len(rows))]
    later = [
        buy(1000, 1, 50, amount=1e300),
        buy(1001, 2, 60, amount=INF),
        buy(1002, 1, 50, amount=1e-310),
    ]
    assert values(shop(shuffled + later), tmp_path, text) == found
    snapshot, query = opened(shop(later + shuffled), tmp_path, text)
    threads, _ = examples_at(snapshot, query, [A.value], threads=2)
    assert threads.target is not None
    assert dict(enumerate(threads.target.tolist())) == found


# -- arithmetic -------------------------------------------------------------------------------


HUGE = " * 1000000000000000000"


@pytest.mark.parametrize(
    ("formula", "want"),
    [
        ("{SUM} + 1", {0: 11.0, 1: 1.0, 2: 1.0}),
        ("{SUM} / {COUNT}", {0: 5.0}),
        ("{AVG} - {MIN}", {0: 1.0}),
        ("2 * {SUM} - {SUM} / 4", {0: 17.5, 1: 0.0, 2: 0.0}),
        ("({SUM} + 2) * ({COUNT} + 1)", {0: 36.0, 1: 2.0, 2: 2.0}),
        ("1 / (1 / {COUNT})", {0: 2.0}),
        ("{SUM} - 0.5 - 0.25", {0: 9.25, 1: -0.75, 2: -0.75}),
        ("{SUM}" + HUGE * 18, {1: 0.0, 2: 0.0}),
        ("1 / (({COUNT} + 1) * 100" + HUGE * 17 + ")", {1: 1e-308, 2: 1e-308}),
    ],
)
def test_arithmetic(formula: str, want: dict[int, float], tmp_path: Path) -> None:
    world = shop([buy(1, 1, 1, amount=4.0), buy(2, 1, 2, amount=6.0)])
    parts = {k: f"{k}(purchases.amount, 0, 7)" for k in ("SUM", "AVG", "MIN", "COUNT")}
    text = f"PREDICT {formula.format(**parts)} FOR EACH customers.id"
    assert values(world, tmp_path, text) == pytest.approx(want, rel=1e-15)


def test_what_is_divided_by_an_infinite_aggregate_is_zero(tmp_path: Path) -> None:
    """An infinite aggregate has a value; a result that is infinite has none (found by seed 741)."""
    world = shop([buy(1, 1, 1, amount=INF), buy(2, 1, 2, amount=6.0), buy(3, 2, 1, amount=2.0)])
    total = "SUM(purchases.amount, 0, 7)"
    for formula, want in ((f"1 / {total}", {0: 0.0, 1: 0.5}), (f"1 / ({total} * 1)", {1: 0.5}),
                          (f"{total} - {total}", {1: 0.0, 2: 0.0})):  # fmt: skip
        assert values(world, tmp_path, f"PREDICT {formula} FOR EACH customers.id") == want


def test_arithmetic_in_conditions(tmp_path: Path) -> None:
    world = shop([buy(1, 1, -1, amount=4.0), buy(2, 1, -2, amount=6.0), buy(3, 2, -1, amount=9.0)])
    mean = "SUM(purchases.amount, -7, 0) / COUNT(purchases.*, -7, 0)"
    assert holds(world, tmp_path, f"{mean} > 5") == [1]
    assert holds(world, tmp_path, f"{mean} <= 5") == [0]
    assert holds(world, tmp_path, f"{mean} IS NULL") == [2]
    assert holds(world, tmp_path, f"NOT ({mean} > 5)") == [0, 2]
    assert holds(world, tmp_path, f"{mean} IN (5, 9)") == [0, 1]


def test_large_exact_sums_are_rounded_once(tmp_path: Path) -> None:
    world = shop([buy(1, 1, 1)], customers=[(1, 2**62 + 1), (2, 2**62 + 3), (3, None)])
    world.tables["bills"] = table(
        {"id": "key", "customer": "key", "time": "time", "cents": "int"},
        [(1, 1, *at(1), 2**62 + 1), (2, 1, *at(2), 2**62 + 513), (3, 1, *at(3), 2**53 + 1)],
        "id", "time",
    )  # fmt: skip
    world.links = (*world.links, Link("bills", "customer", "customers"))
    want = float(2**63 + 514 + 2**53 + 1)
    for target in (
        "SUM(bills.cents, 0, 7)",
        "SUM(bills.cents, 0, 7) * 1",
        "AVG(bills.cents, 0, 7) * 3",
    ):
        got = values(world, tmp_path, f"PREDICT {target} FOR EACH customers.id")[0]
        assert got == pytest.approx(want, rel=3e-16 if "AVG" in target else 0)


def test_sums_beyond_64_bits_are_rounded_once() -> None:
    rng = np.random.default_rng(0)
    whole = [int(rng.integers(2**62)) << int(s) for s in rng.integers(0, 50, 2000)]
    whole += [(1 << 64) + 2**11 + 1, -(2**80) - 2**27 - 1, None, 5]  # type: ignore[list-item]
    column = pa.array([None if v is None else Decimal(v) for v in whole], pa.decimal128(38, 0))
    got = _rounded_once(column).to_pylist()
    assert got == [None if v is None else float(v) for v in whole]
    assert _rounded_once(column[-2:]).to_pylist() == [None, 5.0]


def test_a_long_chain_of_arithmetic_stays_small(tmp_path: Path) -> None:
    world = shop([buy(1, 1, 1, amount=2.0)])
    part = "SUM(purchases.amount, 0, 7)"
    text = f"PREDICT {' + '.join([part] * 30)} FOR EACH customers.id"
    assert values(world, tmp_path, text)[0] == 60.0


def test_divisors_in_divisors_are_refused_in_time(tmp_path: Path) -> None:
    part = "COUNT(purchases.*, 0, 7)"
    formula = part
    for _ in range(12):
        formula = f"1 / ({formula})"
    snapshot, query = opened(
        shop([buy(1, 1, 1)]), tmp_path, f"PREDICT {formula} FOR EACH customers.id"
    )
    with pytest.raises(TaskError) as caught:
        examples_at(snapshot, query, [A.value])
    assert caught.value.code == "task.too_many_divisors"


# -- between ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "want"),
    [
        ("customers.age BETWEEN 30 AND 50", [0, 2]),
        ("customers.age BETWEEN 30.5 AND 50.5", [2]),
        ("customers.age BETWEEN 29.5 AND 49.5", [0]),
        ("customers.age NOT BETWEEN 30 AND 40", [2]),
        ("NOT (customers.age BETWEEN 30 AND 40)", [1, 2]),
        ("SUM(purchases.amount, -7, 0) BETWEEN 1 AND 2", [0]),
        ("SUM(purchases.amount, -7, 0) NOT BETWEEN 1 AND 2", [1, 2]),
        ("AVG(purchases.amount, -7, 0) NOT BETWEEN 1 AND 2", [1]),
        (
            "COUNT(purchases.* WHERE purchases.time BETWEEN 2023-04-09 AND 2023-04-10, -9, 0) > 0",
            [0],
        ),
        ("LAST(purchases.kind, -7, 0) = 'a'", [0, 1]),
    ],
)
def test_between(test: str, want: list[int], tmp_path: Path) -> None:
    world = shop([buy(1, 1, -1, amount=2.0), buy(2, 2, -3, amount=2.5)])
    assert holds(world, tmp_path, test) == want
