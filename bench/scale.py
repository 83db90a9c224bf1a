"""How time and memory grow from 10^5 to 10^6 orders: ingest, training table, fit, score everybody.

    python bench/scale.py                 # 100,000 and 1,000,000 orders
    python bench/scale.py 100000 300000   # other sizes

The data is generated (seeded): customers with their own rhythm, basket and decay; a tenth as many
customers as orders; two and a half years of days. The query is monthly with twelve anchors. Each
size runs in its own process, so that peak memory is its own. Absolute times mean little on a shared
machine; the ratios between sizes are the message.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QUERY = "PREDICT COUNT(orders.*, 0, 1, months) > 0 FOR EACH customers.customer_id"
STAGES = ("ingest", "training table", "fit", "prediction table", "score everybody")


def generate(orders: int, root: Path) -> None:
    """Write customers, products and orders as Parquet; ``orders`` rows in time order."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(7)
    customers = orders // 10
    start = np.datetime64("2022-01-01", "s").astype(np.int64)
    span = 913 * 86_400
    weight = rng.gamma(0.8, size=customers)
    customer = rng.choice(customers, size=orders, p=weight / weight.sum())
    life = rng.uniform(0.2, 1.0, size=customers)
    when = np.sort(start + (rng.beta(1.2, 1.0, size=orders) * span).astype(np.int64))
    when = start + ((when - start) * life[customer]).astype(np.int64)
    order = np.argsort(when, kind="stable")
    product = rng.zipf(1.3, size=orders) % 500
    price = np.round(rng.lognormal(3, 0.7, size=500), 2)
    root.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table(
            {
                "customer_id": np.arange(customers),
                "country": np.array(["DE", "FR", "US", "JP", "BR"])[rng.integers(0, 5, customers)],
                "signup": (start - rng.integers(0, 10**7, customers)).astype("datetime64[s]"),
            }
        ),
        root / "customers.parquet",
    )
    pq.write_table(
        pa.table(
            {
                "product_id": np.arange(500),
                "category": np.array([f"c{i}" for i in range(12)])[rng.integers(0, 12, 500)],
                "price": price,
            }
        ),
        root / "products.parquet",
    )
    pq.write_table(
        pa.table(
            {
                "order_id": np.arange(orders),
                "customer_id": customer[order],
                "product_id": product[order],
                "amount": np.round(price[product[order]] * rng.integers(1, 5, orders), 2),
                "ordered_at": when[order].astype("datetime64[s]"),
            }
        ),
        root / "orders.parquet",
    )


def measure(orders: int) -> dict[str, object]:
    """Run every stage for one size in this process; seconds, rows and peak MiB."""
    from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table
    from relcast.pipeline import steps

    def table(name: str, key: str, time_column: str | None, **columns: str) -> Table:
        made = []
        for column, kind in columns.items():
            dtype, stype = kind.split()
            made.append(Column(column, Dtype(dtype), Stype(stype)))
        return Table(name, tuple(made), key, time_column)

    graph = Graph(
        {
            "customers": table(
                "customers",
                "customer_id",
                None,
                customer_id="int64 ID",
                country="string categorical",
                signup="time timestamp",
            ),
            "products": table(
                "products",
                "product_id",
                None,
                product_id="int64 ID",
                category="string categorical",
                price="float64 numerical",
            ),
            "orders": table(
                "orders",
                "order_id",
                "ordered_at",
                order_id="int64 ID",
                customer_id="int64 ID",
                product_id="int64 ID",
                amount="float64 numerical",
                ordered_at="time timestamp",
            ),
        },
        (Link("orders", "customer_id", "customers"), Link("orders", "product_id", "products")),
    )
    threads = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(dir=os.environ.get("RELCAST_BENCH_DIR")) as folder:
        root = Path(folder)
        generate(orders, root / "data")
        base = _peak()
        seconds: dict[str, float] = {}
        store = str(root / "store")
        sources = {
            name: {"kind": "directory", "root": str(root / "data"), "table": name}
            for name in graph.tables
        }
        clock = time.perf_counter()

        def lap(stage: str) -> None:
            nonlocal clock
            seconds[stage] = time.perf_counter() - clock
            said = f"{orders:,} orders: {stage} {seconds[stage]:.1f} s, peak {_peak():,} MiB"
            print(said, file=sys.stderr, flush=True)
            clock = time.perf_counter()

        ingested = steps.ingest(steps.IngestSpec(store, graph.to_json(), sources, threads))
        lap("ingest")
        common = {"store": store, "snapshot_id": ingested.snapshot_id, "query": QUERY}
        table_result = steps.training_table(
            steps.TrainingTableSpec(
                **common,
                out=str(root / "train.parquet"),
                plan={"train_start_offset": 13},
                threads=threads,
            )
        )
        lap("training table")
        steps.train(
            steps.TrainSpec(
                **common,
                training_table=str(root / "train.parquet"),
                out=str(root / "model"),
                plan={"run_mode": "fast"},
                threads=threads,
            )
        )
        lap("fit")
        scored_table = steps.prediction_table(
            steps.PredictionTableSpec(**common, out=str(root / "score.parquet"), threads=threads)
        )
        lap("prediction table")
        scored = steps.predict(
            steps.PredictSpec(
                **common,
                prediction_table=str(root / "score.parquet"),
                model=str(root / "model"),
                out=str(root / "scores"),
                threads=threads,
            )
        )
        lap("score everybody")
        return {
            "orders": orders,
            "seconds": seconds,
            "training_rows": table_result.rows,
            "scored": scored.num_entities,
            "entities": scored_table.rows,
            "peak_mib": _peak(),
            "base_mib": base,
        }


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(sizes: list[int]) -> None:
    """Print a table of stages by size, with the growth from the first size to the last."""
    results = []
    for size in sizes:
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(size)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        results.append(json.loads(done.stdout.splitlines()[-1]))
    first, last = results[0], results[-1]
    head = "".join(f"{r['orders']:>14,}" for r in results)
    print(f"{'seconds for … orders':<24}{head}{'growth':>10}")
    for stage in STAGES:
        cells = "".join(f"{r['seconds'][stage]:>14.1f}" for r in results)
        growth = last["seconds"][stage] / max(first["seconds"][stage], 1e-9)
        print(f"{stage:<24}{cells}{growth:>9.1f}x")
    totals = [sum(r["seconds"].values()) for r in results]
    cells = "".join(f"{t:>14.1f}" for t in totals)
    print(f"{'all':<24}{cells}{totals[-1] / totals[0]:>9.1f}x")
    for name, key in (
        ("training rows", "training_rows"),
        ("customers scored", "scored"),
        ("peak memory, MiB", "peak_mib"),
    ):
        cells = "".join(f"{r[key]:>14,}" for r in results)
        print(f"{name:<24}{cells}{last[key] / max(first[key], 1):>9.1f}x")
    print("bars: all <= 300 s, peak <= 6,144 MiB at 1,000,000 orders; growth of all <= 12x")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(int(sys.argv[2]))))
    else:
        main([int(a) for a in sys.argv[1:]] or [100_000, 1_000_000])
