"""kumo-engine 1.0.0 on rows of our own: run by ``bench/peers.py`` with the engine's own Python.

    kumo/bin/python kumo_engine_fit.py FOLDER TASK fast|lean OUT

*fast* is the engine's suggested plan for its FAST run mode. *lean* is the same with one trial of
four epochs. Writes ENTITY, TIMESTAMP, PREDICTION of the test rows to OUT and prints seconds, CPU
seconds and peak memory as JSON.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch


def main() -> None:
    folder, name, mode, out = Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])
    torch.set_num_threads(2)
    from kumo.engine import (
        Edge,
        FileConnector,
        Graph,
        PredictiveQuery,
        Table,
        Trainer,
        TrainingTable,
        configure,
    )
    from kumoapi.model_plan import RunMode
    from kumoapi.train import TrainingTableSpec

    task = json.loads((folder / "tasks.json").read_text())[name]
    schema = json.loads((folder / "schema.json").read_text())
    with tempfile.TemporaryDirectory(prefix="relcast-peers-") as scratch:
        configure(scratch_dir=scratch)
        files = FileConnector(root_dir=str(folder))
        tables = {
            entry["table"]: Table.from_source_table(
                files[f"tables/{entry['table']}.parquet"],
                primary_key=entry["primary_key"],
                time_column=entry["time_column"],
            )
            for entry in schema
        }
        edges = [
            Edge(src_table=entry["table"], fkey=key["column"], dst_table=key["references"])
            for entry in schema
            for key in entry["foreign_keys"]
        ]
        began, cpu = time.perf_counter(), time.process_time()
        graph = Graph(tables=tables, edges=edges)
        snapshot = graph.snapshot()
        query = PredictiveQuery(graph, task["query"])
        rows = TrainingTable.from_source_table(
            files[f"rows/{name}.parquet"],
            TrainingTableSpec(split_col="SPLIT"),
            pq=query,
            snapshot=snapshot,
        )
        plan = query.suggest_model_plan(snapshot, run_mode=RunMode.FAST)
        if mode == "lean":
            plan.training_job.num_experiments = 1
            plan.training_job.refit_trainval = False
            plan.optimization.max_epochs = 4
        result = Trainer(plan).fit(rows, snapshot=snapshot)
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        found = result.holdout_df()
    column = "True_PROB" if "True_PROB" in found.columns else "TARGET_PRED"
    pd.DataFrame(
        {
            "ENTITY": found["ENTITY"],
            "TIMESTAMP": pd.to_datetime(found["TIMESTAMP"]),
            "PREDICTION": found[column].astype(float),
        }
    ).to_parquet(out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": wall, "cpu": cpu, "mib": peak}))


if __name__ == "__main__":
    main()
