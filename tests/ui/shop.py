"""A small shop, generated: customers who buy in busy months and rest in between."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

QUERY = "PREDICT COUNT(orders.*, 0, 30, days) > 0\nFOR EACH customers.customer_id"


def write_shop(folder: Path, *, customers: int = 160, days: int = 300, seed: int = 7) -> Path:
    """Write ``customers.csv`` and ``orders.parquet``; who will buy can be learned."""
    rng = np.random.default_rng(seed)
    start = datetime(2024, 1, 1)  # noqa: DTZ001  # tables hold naive UTC
    # Busy or resting, in spells of some weeks: who bought lately buys again, who did not rests.
    busy = np.zeros((customers, days), dtype=bool)
    for row in busy:
        day, on = 0, bool(rng.random() < 0.5)
        while day < days:
            spell = int(rng.integers(40, 110))
            row[day : day + spell] = on
            day, on = day + spell, not on
    chance = np.where(busy, 0.12, 0.002)
    city = rng.choice(["Graz", "Linz", "<b>Wien</b>"], customers)
    joined = [start + timedelta(days=int(d)) for d in rng.integers(0, 40, customers)]
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {
            "customer_id": [f"c{n:04d}" for n in range(customers)],
            "city": city.tolist(),
            "joined": joined,
        }
    )
    pa_csv.write_csv(table, folder / "customers.csv")
    bought = [
        (f"c{n:04d}", start + timedelta(days=day, hours=int(rng.integers(24))))
        for n in range(customers)
        for day in range((joined[n] - start).days, days)
        if rng.random() < chance[n, day]
    ]
    amounts = rng.gamma(2.0, 20.0, len(bought)).round(2)
    orders = pa.table(
        {
            "order_id": list(range(1, len(bought) + 1)),
            "customer_id": [who for who, _ in bought],
            "ordered_at": pa.array([when for _, when in bought], pa.timestamp("us")),
            "amount": amounts,
        }
    )
    pq.write_table(orders, folder / "orders.parquet")
    return folder
