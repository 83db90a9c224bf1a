"""Training tables beside the best DuckDB SQL that we could write by hand, and overlapping windows.

    python bench/labels.py                          # 10^7 facts, 10^6 customers
    python bench/labels.py 1000000 100000           # other sizes: facts, customers
    python bench/labels.py 1000000 100000 churn     # one query
    python bench/labels.py 1000000 10000 overlap    # a step of a day, windows of 90, two years

The data is generated once (seeded) into ``.bench``: customers with skewed activity who sign up over
time, orders of three years in order of time with some foreign keys missing and some dangling.
*Table* is ``make_training_table``: from the snapshot's Parquet files to ``Examples``, split and
reported. *Labels* is ``examples_at`` with the keys of its entities: anchors are given, nothing
is split or reported, which is what the other side does. That is SQL written for the query and these
anchors, from the same files to an Arrow table of (key, anchor, target), which need not be sorted.
It may use what an expert knows of these windows (that 90 days are three steps of 30, that step and
window are alike) and sums floats as they come, where ours are exact. All have the same threads and
the same memory limit, and take turns, each time in a process of its own; the medians count. The
rows of the first turn are compared one by one, of both of ours.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pyarrow as pa

ROOT = Path(os.environ.get("RELCAST_BENCH_DIR", Path(__file__).parent.parent / ".bench"))
TURNS = int(os.environ.get("RELCAST_BENCH_TURNS", "3"))
THREADS = 2
MEMORY = "12GB"
STEP = 30 * 86_400 * 10**6  # microseconds
BAR = 1.2


@dataclass(frozen=True)
class Case:
    """A query of ours and the SQL beside it.

    Attributes:
        query: In our language; windows of 30 days, so that is the step.
        sql: Over the views ``orders``, ``customers``, ``products`` and ``anchors (k, at)``;
            ``$FIRST`` is the first anchor in microseconds, ``$STEP`` 30 days, ``$N`` the number of
            anchors. Columns: key, anchor, target.
    """

    query: str
    sql: str


# The number of the window (at, at + 30 days] that an order falls into.
BUCKET = "(epoch_us(ordered_at) - $FIRST - 1) // $STEP"
WITHIN = "ordered_at > make_timestamp($FIRST) AND ordered_at <= make_timestamp($FIRST + $N * $STEP)"
GRID = "customers c JOIN anchors a ON c.signed_up <= a.at"
# One bit for each window in which a customer ordered: three bits are the last 90 days. No join and
# no distinct pairs are needed then.
MASKS = (
    "SELECT customer_id, "
    "bit_or(1::BIGINT << ((epoch_us(ordered_at) - $FIRST - 1 + 3 * $STEP) // $STEP)::INTEGER) "
    "AS mask "
    "FROM orders WHERE ordered_at > make_timestamp($FIRST - 3 * $STEP) "
    "AND ordered_at <= make_timestamp($FIRST + $N * $STEP) GROUP BY 1"
)
ACTIVE = "((mask >> a.k::INTEGER) & 7) <> 0"

CASES = {
    "churn": Case(
        "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id "
        "WHERE COUNT(orders.*, -90, 0, days) > 0",
        f"WITH m AS ({MASKS}) SELECT c.customer_id, a.at, ((mask >> (a.k + 3)::INTEGER) & 1) = 0 "
        f"FROM m JOIN customers c USING (customer_id) JOIN anchors a ON c.signed_up <= a.at "
        f"WHERE {ACTIVE}",
    ),
    "spend": Case(
        "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id",
        f"WITH g AS (SELECT customer_id, {BUCKET} AS k, sum(amount) AS s FROM orders "
        f"WHERE {WITHIN} GROUP BY 1, 2) "
        f"SELECT c.customer_id, a.at, coalesce(s, 0) FROM {GRID} "
        "LEFT JOIN g ON g.customer_id = c.customer_id AND g.k = a.k",
    ),
    "breadth": Case(
        "PREDICT COUNT_DISTINCT(orders.product_id, 0, 30, days) FOR EACH customers.customer_id "
        "WHERE COUNT(orders.*, -90, 0, days) > 0",
        f"WITH m AS ({MASKS}), g AS (SELECT customer_id, k, count(*) AS n FROM "
        f"(SELECT DISTINCT customer_id, {BUCKET} AS k, product_id FROM orders WHERE {WITHIN} "
        "AND product_id IS NOT NULL) GROUP BY 1, 2) "
        "SELECT c.customer_id, a.at, coalesce(n, 0) FROM m JOIN customers c USING (customer_id) "
        "JOIN anchors a ON c.signed_up <= a.at "
        "LEFT JOIN g ON g.customer_id = c.customer_id AND g.k = a.k "
        f"WHERE {ACTIVE}",
    ),
    "channel": Case(
        "PREDICT LAST(orders.channel, 0, 30, days) FOR EACH customers.customer_id",
        f"WITH g AS (SELECT customer_id, {BUCKET} AS k, "
        "arg_max(channel, epoch_us(ordered_at)::HUGEINT << 40 | order_id) AS v FROM orders "
        f"WHERE {WITHIN} AND channel IS NOT NULL GROUP BY 1, 2) "
        f"SELECT c.customer_id, a.at, v FROM g JOIN customers c USING (customer_id) "
        "JOIN anchors a ON a.k = g.k AND c.signed_up <= a.at",
    ),
    "garden": Case(
        "PREDICT SUM(orders.amount WHERE products.category = 'c3', 0, 30, days) "
        "FOR EACH customers.customer_id WHERE COUNT(orders.*, -90, 0, days) > 0",
        f"WITH m AS ({MASKS}), g AS (SELECT customer_id, {BUCKET} AS k, sum(amount) AS s "
        "FROM orders JOIN products p USING (product_id) "
        f"WHERE {WITHIN} AND p.category = 'c3' GROUP BY 1, 2) "
        "SELECT c.customer_id, a.at, coalesce(s, 0) FROM m JOIN customers c USING (customer_id) "
        "JOIN anchors a ON c.signed_up <= a.at "
        "LEFT JOIN g ON g.customer_id = c.customer_id AND g.k = a.k "
        f"WHERE {ACTIVE}",
    ),
    "basket": Case(
        "PREDICT LIST_DISTINCT(orders.product_id, 0, 30, days) RANK TOP 10 "
        "FOR EACH customers.customer_id",
        f"WITH d AS (SELECT customer_id, {BUCKET} AS k, product_id, "
        "min(epoch_us(ordered_at)::HUGEINT << 40 | order_id) AS first FROM orders "
        f"JOIN products USING (product_id) WHERE {WITHIN} GROUP BY ALL), "
        "g AS (SELECT customer_id, k, list(product_id ORDER BY first) AS v FROM d GROUP BY 1, 2) "
        "SELECT c.customer_id, a.at, v FROM g JOIN customers c USING (customer_id) "
        "JOIN anchors a ON a.k = g.k AND c.signed_up <= a.at",
    ),
}
OVERLAP = {
    "sum": "PREDICT SUM(orders.amount, 0, 90, days) FOR EACH customers.customer_id",
    "distinct": "PREDICT COUNT_DISTINCT(orders.product_id, 0, 90, days) "
    "FOR EACH customers.customer_id WHERE COUNT(orders.*, -90, 0, days) > 0",
}
OVERLAP_CUSTOMERS = 10_000
OVERLAP_LIMITS = ("2500MB", "8GB")


# -- data ---------------------------------------------------------------------------------------


def store_of(facts: int, customers: int) -> tuple[Path, str]:
    """Return the store with the generated data and the snapshot's id; made when it is not there."""
    root = ROOT / f"labels-1-{facts}-{customers}"
    done = root / "snapshot"
    if not done.exists():
        from relcast.pipeline import steps

        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as folder:
            generate(facts, customers, Path(folder))
            spec = steps.IngestSpec(
                str(root / "store"),
                graph().to_json(),
                {
                    name: {"kind": "directory", "root": folder, "table": name}
                    for name in ("customers", "products", "orders")
                },
                THREADS,
            )
            done.write_text(steps.ingest(spec).snapshot_id)
    return root / "store", done.read_text()


def graph() -> Any:
    """Return the schema: orders point to customers and products."""
    from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table

    def table(name: str, key: str, time_column: str | None, **columns: str) -> Table:
        made = []
        for column, kind in columns.items():
            dtype, stype = kind.split()
            made.append(Column(column, Dtype(dtype), Stype(stype)))
        return Table(name, tuple(made), key, time_column)

    tables = [
        table(
            "customers",
            "customer_id",
            "signed_up",
            customer_id="int64 ID",
            country="string categorical",
            signed_up="time timestamp",
        ),
        table(
            "products",
            "product_id",
            None,
            product_id="int64 ID",
            category="string categorical",
            price="float64 numerical",
        ),
        table(
            "orders",
            "order_id",
            "ordered_at",
            order_id="int64 ID",
            customer_id="int64 ID",
            product_id="int64 ID",
            channel="string categorical",
            amount="float64 numerical",
            ordered_at="time timestamp",
        ),
    ]
    links = (Link("orders", "customer_id", "customers"), Link("orders", "product_id", "products"))
    return Graph({t.name: t for t in tables}, links)


def generate(facts: int, customers: int, root: Path) -> None:
    """Write customers, products and orders as Parquet: three years, seeded."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(11)
    start = np.datetime64("2022-01-01", "s").astype(np.int64)
    span = 1096 * 86_400
    key = rng.permutation(customers * 3)[:customers]
    signed_up = start + (rng.beta(0.7, 2.0, size=customers) * span).astype(np.int64)
    weight = rng.gamma(0.6, size=customers)
    customer = rng.choice(customers, size=facts, p=weight / weight.sum())
    left = start + span - signed_up
    age = (
        rng.random(facts) * rng.beta(2.0, 1.0, size=customers)[customer] * left[customer]
    ).astype(np.int64)
    when = signed_up[customer] + age
    order = np.argsort(when, kind="stable")
    customer, when = customer[order], when[order]
    named = key[customer]
    named[rng.random(facts) < 0.01] = customers * 3 + 1  # of no customer
    categories = np.array([f"c{i}" for i in range(12)])
    channels = np.array(["web", "app", "shop", "phone", "partner"])
    products = max(100, facts // 2_000)
    product = np.minimum(rng.zipf(1.2, size=facts), products) - 1
    price = np.round(rng.lognormal(3, 0.7, size=products), 2)
    channel = channels[rng.choice(5, facts, p=[0.4, 0.3, 0.2, 0.07, 0.03])]

    def nulled(values: np.ndarray, share: float) -> pa.Array:
        return pa.array(values, mask=rng.random(len(values)) < share)

    pq.write_table(
        pa.table(
            {
                "customer_id": key,
                "country": np.array(["DE", "FR", "US", "JP", "BR"])[rng.integers(0, 5, customers)],
                "signed_up": signed_up.astype("datetime64[s]"),
            }
        ),
        root / "customers.parquet",
    )
    pq.write_table(
        pa.table(
            {
                "product_id": np.arange(products),
                "category": categories[rng.integers(0, 12, products)],
                "price": price,
            }
        ),
        root / "products.parquet",
    )
    pq.write_table(
        pa.table(
            {
                "order_id": np.arange(facts),
                "customer_id": nulled(named, 0.02),
                "product_id": nulled(product, 0.005),
                "channel": nulled(channel, 0.01),
                "amount": nulled(np.round(price[product] * rng.integers(1, 5, facts), 2), 0.005),
                "ordered_at": when.astype("datetime64[s]"),
            }
        ),
        root / "orders.parquet",
    )


# -- one turn of one side, in a process of its own ------------------------------------------------


def turn(spec: dict[str, Any]) -> dict[str, Any]:
    """Run one side once; seconds, CPU-seconds, rows and the peak of this process in MiB."""
    from relcast.pql import check
    from relcast.relations import build
    from relcast.snapshots import SnapshotStore
    from relcast.tasks import TablePlan

    snapshot = SnapshotStore(Path(spec["store"])).open(spec["snapshot"])
    relations = build(snapshot)
    query = check(spec["query"], snapshot.graph)
    plan = TablePlan(**spec["plan"])
    load_kernels()  # a library that is loaded before the clock runs, as DuckDB is
    base = _peak()
    if spec["side"] == "table":
        from relcast.tasks import make_training_table

        cpu, clock = time.process_time(), time.perf_counter()
        made = make_training_table(
            snapshot, relations, query, plan, threads=THREADS, memory_limit=spec["memory"]
        )
        seconds, cpu = time.perf_counter() - clock, time.process_time() - cpu
        peak, rows = _peak(), len(made)
        if spec["keep"]:
            found = made.to_arrow().select(["ENTITY", "TIMESTAMP", "TARGET"])
    else:
        from relcast.tasks import Frame, make_anchors
        from relcast.tasks.extent import data_range
        from relcast.tasks.scan import open_session

        with open_session(snapshot, threads=1) as session:
            anchors = make_anchors(Frame.of(query), data_range(session, query), plan)
        if spec["side"] == "labels":
            cpu, clock = time.process_time(), time.perf_counter()
            found = labels_alone(snapshot, relations, query, anchors, spec["memory"])
        else:
            cpu, clock, found = sql_alone(snapshot, anchors, spec)
        seconds, cpu = time.perf_counter() - clock, time.process_time() - cpu
        peak, rows = _peak(), found.num_rows
    if spec["keep"]:
        import pyarrow.parquet as pq

        pq.write_table(found, spec["keep"])
    return {"seconds": seconds, "cpu": cpu, "rows": rows, "peak": peak, "base": base}


def load_kernels() -> None:
    """Load what runs compiled loops: a third of a second of a process's life."""
    import numpy as np

    from relcast.tasks import kernels

    kernels.count(np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.int64), 1)


def labels_alone(
    snapshot: Any, relations: Any, query: Any, anchors: np.ndarray, memory: str
) -> pa.Table:
    """Label everybody at the anchors: key, anchor, target."""
    import pyarrow as pa

    from relcast.core.schema import TaskType
    from relcast.tasks import examples_at

    made, _ = examples_at(snapshot, query, anchors, threads=THREADS, memory_limit=memory)
    target = made.target
    if query.task_type is TaskType.BINARY_CLASSIFICATION:
        target = target == 1
    if made.classes is not None:
        target = pa.array(made.classes).take(pa.array(target.astype("int32")))
    keys = relations.table(query.entity_table).keys().take(pa.array(made.entity))
    return pa.table(
        {"ENTITY": keys, "TIMESTAMP": made.anchor.view("datetime64[ns]"), "TARGET": target}
    )


def sql_alone(
    snapshot: Any, anchors: np.ndarray, spec: dict[str, Any]
) -> tuple[float, float, pa.Table]:
    """Run the SQL by hand; when it began, in CPU-seconds and seconds, and what it found."""
    import duckdb

    paths = {name: table.path for name, table in snapshot.tables.items()}
    with tempfile.TemporaryDirectory() as folder:
        config = {"threads": THREADS, "memory_limit": spec["memory"], "temp_directory": folder}
        cpu, clock = time.process_time(), time.perf_counter()
        with duckdb.connect(":memory:", config=config) as connection:
            return cpu, clock, by_hand(connection, CASES[spec["case"]].sql, paths, anchors)


def by_hand(
    connection: duckdb.DuckDBPyConnection, sql: str, paths: dict[str, Any], anchors: np.ndarray
) -> pa.Table:
    """Run the SQL of one case over the snapshot's files; not in any order."""
    import numpy as np
    import pyarrow as pa

    for name, path in paths.items():
        connection.read_parquet(str(path)).create_view(name)
    at = (anchors // 1000).astype("datetime64[us]")
    connection.register("given", pa.table({"k": np.arange(len(anchors)), "at": at}))
    connection.execute("CREATE TABLE anchors AS SELECT * FROM given")
    sql = sql.replace("$FIRST", str(anchors[0] // 1000)).replace("$STEP", str(STEP))
    return connection.sql(sql.replace("$N", str(len(anchors)))).to_arrow_table()


def differences(ours: Path, theirs: Path) -> int:
    """Return how many rows are in one side only or have another target."""
    import duckdb

    with duckdb.connect(":memory:", config={"threads": THREADS, "memory_limit": MEMORY}) as c:
        same = "l.target = r.target"
        numeric = c.sql(f"SELECT * FROM '{ours}' LIMIT 0").types[2] == "DOUBLE"
        if numeric:
            same = "abs(l.target - r.target) <= 1e-9 * greatest(1, abs(r.target))"
        sides = [
            f"(SELECT #1 AS key, epoch_us(#2::TIMESTAMP) AS at, #3 AS target FROM '{p}')"
            for p in (ours, theirs)
        ]
        return int(
            c.sql(
                f"SELECT count(*) FROM {sides[0]} l FULL JOIN {sides[1]} r "
                f"ON l.key = r.key AND l.at = r.at WHERE ({same}) IS NOT TRUE"
            ).fetchall()[0][0]
        )


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


# -- the comparison -------------------------------------------------------------------------------


def run(**spec: Any) -> dict[str, Any]:
    """Run one turn in a child process."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", json.dumps(spec)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(name: str, common: dict[str, Any]) -> tuple[float, float]:
    """Let all take turns on one case, print a line, and return both ratios of the medians."""
    case = CASES[name]
    spec = {**common, "case": name, "query": case.query, "plan": {}, "memory": MEMORY}
    sides: dict[str, list[dict[str, Any]]] = {"table": [], "labels": [], "by hand": []}
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        kept = {side: Path(folder) / f"{side}.parquet" for side in sides}
        for number in range(TURNS):
            for side, found in sides.items():
                keep = "" if number else str(kept[side])
                found.append(run(**spec, side=side, keep=keep))
        # In a child as well: a process starts with the peak memory of the one that it came from.
        wrong = sum(
            run(compare=[str(kept[side]), str(kept["by hand"])])["differences"]
            for side in ("table", "labels")
        )
    cells, ratios = "", []
    for what in ("seconds", "cpu"):
        middle = {
            side: statistics.median(turn[what] for turn in turns) for side, turns in sides.items()
        }
        cells += "".join(f"{seconds:>8.2f}" for seconds in middle.values())
        for side in ("table", "labels"):
            ratios.append(middle[side] / middle["by hand"])
            cells += f"{ratios[-1]:>7.2f}x"
    for turns in sides.values():
        cells += f"{statistics.median(turn['peak'] for turn in turns):>7,.0f}"
    verdict = "equal" if wrong == 0 else f"{wrong:,} rows differ"
    print(f"{name:<9}{sides['table'][0]['rows']:>11,}{cells}   {verdict}", flush=True)
    if wrong:
        raise SystemExit(f"{name}: ours and the SQL differ in {wrong:,} rows")
    return ratios[0], ratios[1]


def overlap(common: dict[str, Any]) -> None:
    """Make tables of overlapping windows under two memory limits, a line each."""
    plan = {"timeframe_step": 1, "train_start_offset": 820}
    head = (("limit", 8), ("rows", 13), ("s", 9), ("CPU-s", 9), ("MiB", 9))
    print("windows of 90, a day a step  " + "".join(f"{name:>{width}}" for name, width in head))
    for name, query in OVERLAP.items():
        for memory in OVERLAP_LIMITS:
            found = run(
                **common, side="table", case="", keep="", query=query, plan=plan, memory=memory
            )
            print(
                f"{name:<29}{memory:>8}{found['rows']:>13,}{found['seconds']:>9.2f}"
                f"{found['cpu']:>9.2f}{found['peak']:>9,}",
                flush=True,
            )


def data(facts: int, customers: int) -> dict[str, Any]:
    """Return where the data is; made when it is not there."""
    store, snapshot = store_of(facts, customers)
    return {"store": str(store), "snapshot": snapshot}


def main(arguments: list[str]) -> None:
    """Print a line for each case, then overlapping windows."""
    numbers = [int(a) for a in arguments if a.isdigit()]
    names = [a for a in arguments if not a.isdigit()]
    facts, customers = (*numbers, *(10_000_000, 1_000_000)[len(numbers) :])
    common = data(facts, customers)
    print(f"{facts:,} orders of {customers:,} customers; {THREADS} threads, {MEMORY}; "
          f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")  # fmt: skip
    chosen = [n for n in CASES if not names or n in names]
    if chosen:
        print(f"{'':<20}of each: table, labels, by hand, table / by hand, labels / by hand")
        print(f"{'':<9}{'rows':>11}{'seconds':>40}{'CPU-seconds':>40}{'MiB':>21}")
    ratios = [compare(name, common) for name in chosen]
    if ratios:
        tables, labels = (max(found) for found in zip(*ratios, strict=True))
        print(f"bar: each at most {BAR}x; the worst is {tables:.2f}x, of labels {labels:.2f}x")
    if not names or "overlap" in names:
        customers = min(customers, OVERLAP_CUSTOMERS)
        print(f"\n{facts:,} orders of {customers:,} customers; two years of anchors")
        overlap(data(facts, customers))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        given = json.loads(sys.argv[2])
        if "compare" in given:
            print(json.dumps({"differences": differences(*map(Path, given["compare"]))}))
        else:
            print(json.dumps(turn(given)))
    else:
        main(sys.argv[1:])
