"""featuretools' deep feature synthesis and LightGBM: run by ``bench/peers.py`` with its own Python.

    ft/bin/python featuretools_fit.py FOLDER TASK dfs OUT

Deep feature synthesis of depth two with cut-off times, its default primitives, a training window of
everything; LightGBM with early stopping on the validation rows. Writes ENTITY, TIMESTAMP,
PREDICTION of the test rows to OUT and prints seconds, CPU seconds and peak memory as JSON.
"""

import json
import resource
import sys
import time
import warnings
from pathlib import Path

import featuretools as ft
import lightgbm as lgb
import numpy as np
import pandas as pd


def main() -> None:
    folder, name, _, out = Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])
    warnings.filterwarnings("ignore")
    task = json.loads((folder / "tasks.json").read_text())[name]
    schema = json.loads((folder / "schema.json").read_text())
    entities = ft.EntitySet("peer")
    began, cpu = time.perf_counter(), time.process_time()
    for entry in schema:
        frame = pd.read_parquet(folder / "tables" / f"{entry['table']}.parquet")
        key = entry["primary_key"]
        entities.add_dataframe(
            dataframe_name=entry["table"],
            dataframe=frame,
            index=key or "row",
            make_index=key is None,
            time_index=entry["time_column"],
        )
    for entry in schema:
        for key in entry["foreign_keys"]:
            entities.add_relationship(
                key["references"], key["ref_column"], entry["table"], key["column"]
            )
    rows = pd.read_parquet(folder / "rows" / f"{name}.parquet")
    key = next(e["primary_key"] for e in schema if e["table"] == task["entity_table"])
    cutoff = pd.DataFrame({key: rows.ENTITY1, "time": rows.TIMESTAMP})
    matrix, _ = ft.dfs(
        entityset=entities,
        target_dataframe_name=task["entity_table"],
        cutoff_time=cutoff,
        max_depth=2,
        n_jobs=1,
    )
    for column in matrix.columns:
        if not pd.api.types.is_numeric_dtype(matrix[column]):
            matrix[column] = matrix[column].astype("category").cat.codes
    values = matrix.astype(np.float32).to_numpy()
    binary = task["metric"] == "auroc"
    label = rows.TARGET1.astype(float).to_numpy()
    fit, check, test = ((k == rows.SPLIT).to_numpy() for k in (0, 1, 2))
    model = lgb.train(
        {
            "objective": "binary" if binary else "l1",
            "learning_rate": 0.03,
            "num_leaves": 15,
            "num_threads": 2,
            "verbosity": -1,
            "seed": 0,
        },
        lgb.Dataset(values[fit], label[fit]),
        1000,
        valid_sets=[lgb.Dataset(values[check], label[check])],
        callbacks=[lgb.early_stopping(50, verbose=False)],
    )
    said = model.predict(values[test])
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    pd.DataFrame(
        {
            "ENTITY": rows.ENTITY1[test],
            "TIMESTAMP": rows.TIMESTAMP[test],
            "PREDICTION": np.asarray(said, dtype=float),
        }
    ).to_parquet(out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": wall, "cpu": cpu, "mib": peak, "features": int(values.shape[1])}))


if __name__ == "__main__":
    main()
