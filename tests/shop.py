"""A small shop, generated: customers, products and a year of orders with a rhythm to learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv
from pyarrow import parquet as pq


def write(folder: Path, *, customers: int = 200, days: int = 365, seed: int = 7) -> Path:
    """Write customers.csv, products.csv and orders.parquet; a third of the customers fade away."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    start = np.datetime64("2023-01-01T00:00:00")
    rate = rng.gamma(2.0, 0.03, customers)
    end = np.where(rng.random(customers) < 0.35, rng.uniform(0.2, 0.9, customers) * days, days)
    who, when = [], []
    for customer in range(customers):
        count = rng.poisson(rate[customer] * end[customer])
        who.append(np.full(count, customer))
        when.append(rng.uniform(0, end[customer], count))
    customer, day = np.concatenate(who), np.concatenate(when)
    order = np.argsort(day, kind="stable")
    customer, day = customer[order], day[order]
    product = rng.integers(0, 12, len(day))
    price = np.round(np.linspace(5, 60, 12), 2)
    times = (start + (day * 86_400).astype("timedelta64[s]")).astype("datetime64[s]")
    csv.write_csv(
        pa.table(
            {
                "customer_id": np.arange(customers) + 1,
                "country": np.array(["DE", "FR", "US"])[rng.integers(0, 3, customers)],
                "age": rng.integers(18, 80, customers),
            }
        ),
        folder / "customers.csv",
    )
    csv.write_csv(
        pa.table(
            {
                "product_id": np.arange(12) + 100,
                "category": np.array(["book", "toy", "food"])[np.arange(12) % 3],
                "price": price,
            }
        ),
        folder / "products.csv",
    )
    pq.write_table(
        pa.table(
            {
                "order_id": np.arange(len(day)) + 10_000,
                "customer_id": customer + 1,
                "product_id": product + 100,
                "amount": np.round(price[product] * rng.uniform(0.9, 1.1, len(day)), 2),
                "ordered_at": times,
            }
        ),
        folder / "orders.parquet",
    )
    return folder
