"""featuretools' deep feature synthesis on a shop: run by ``bench/features.py`` with its own Python.

    python featuretools_features.py FOLDER

Depth two, default primitives, one cut-off time a row. Prints rows, features and seconds as JSON.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import featuretools as ft
import pandas as pd


def main() -> None:
    folder = Path(sys.argv[1])
    warnings.filterwarnings("ignore")
    frames = {name: pd.read_parquet(folder / f"{name}.parquet") for name in TABLES}
    entities = ft.EntitySet("shop")
    for name, (key, time_index) in TABLES.items():
        entities.add_dataframe(
            dataframe_name=name, dataframe=frames[name], index=key, time_index=time_index
        )
    entities.add_relationship("customers", "customer_id", "orders", "customer_id")
    entities.add_relationship("products", "product_id", "orders", "product_id")
    rows = pd.read_parquet(folder / "rows.parquet")
    wall, cpu = time.perf_counter(), time.process_time()
    matrix, _ = ft.dfs(
        entityset=entities,
        target_dataframe_name="customers",
        cutoff_time=rows,
        max_depth=2,
        n_jobs=1,
    )
    said = {
        "rows": matrix.shape[0],
        "features": matrix.shape[1],
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "version": ft.__version__,
    }
    print(json.dumps(said))


TABLES = {
    "customers": ("customer_id", "joined"),
    "products": ("product_id", None),
    "orders": ("order_id", "ordered"),
}

if __name__ == "__main__":
    main()
