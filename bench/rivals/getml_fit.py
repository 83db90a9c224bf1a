"""getML community: run by ``bench/peers.py`` with its own Python.

    getml/bin/python getml_fit.py FOLDER TASK fastprop OUT

FastProp over the tables below the entity, each joined with the tables that its rows point to, and
getML's gradient boosted trees. Writes ENTITY, TIMESTAMP, PREDICTION of the test rows to OUT and
prints seconds, CPU seconds (the engine's own process included) and peak memory as JSON.
"""

import json
import resource
import sys
import time
from pathlib import Path

import getml
import numpy as np
import pandas as pd
import psutil


def main() -> None:
    folder, name, _, out = Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])
    task = json.loads((folder / "tasks.json").read_text())[name]
    schema = {entry["table"]: entry for entry in json.loads((folder / "schema.json").read_text())}
    binary = task["metric"] == "auroc"
    getml.engine.launch(launch_browser=False)
    try:
        getml.set_project("relcast-peers")
        wall, cpu = time.perf_counter(), time.process_time() + spent()
        rows = pd.read_parquet(folder / "rows" / f"{name}.parquet")
        said = fit(folder, task, schema, rows, binary)
        wall, cpu = time.perf_counter() - wall, time.process_time() + spent() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        peak += sum(process.memory_info().rss for process in engine()) / 2**20
        getml.project.delete()
    finally:
        getml.engine.shutdown()
    test = rows[rows.SPLIT == 2]
    pd.DataFrame(
        {"ENTITY": test.ENTITY1, "TIMESTAMP": test.TIMESTAMP, "PREDICTION": said.astype(float)}
    ).to_parquet(out)
    print(json.dumps({"seconds": wall, "cpu": cpu, "mib": peak}))


def engine() -> list[psutil.Process]:
    """Return the processes of getML's engine."""
    return psutil.Process().children(recursive=True)


def spent() -> float:
    return sum(p.cpu_times().user + p.cpu_times().system for p in engine())


def fit(folder: Path, task: dict, schema: dict, rows: pd.DataFrame, binary: bool) -> np.ndarray:
    roles = getml.data.roles
    entity = task["entity_table"]
    key = schema[entity]["primary_key"]
    rows = rows.rename(columns={"ENTITY1": key, "TIMESTAMP": "moment", "TARGET1": "label"})
    rows["label"] = rows["label"].astype(float)
    parts = {}
    for number, split in enumerate(("train", "validation", "test")):
        part = rows[rows["SPLIT"] == number].drop(columns="SPLIT").reset_index(drop=True)
        frame = getml.DataFrame.from_pandas(part, name=split)
        frame.set_role([key], roles.join_key)
        frame.set_role(["moment"], roles.time_stamp)
        frame.set_role(["label"], roles.target)
        parts[split] = frame
    frames = {table: read(folder, schema, table) for table in schema}
    model = getml.data.DataModel(parts["train"].to_placeholder("population"))
    model.add(getml.data.to_placeholder(**frames))
    single = getml.data.relationship.many_to_one
    model.population.join(getattr(model, entity), on=key, relationship=single)
    for table, entry in schema.items():
        for foreign in entry["foreign_keys"]:
            if foreign["references"] != entity or entry["time_column"] is None:
                continue
            child = getattr(model, table)
            model.population.join(
                child, on=(key, foreign["column"]), time_stamps=("moment", entry["time_column"])
            )
            for other in entry["foreign_keys"]:
                if other["references"] != entity:
                    child.join(
                        getattr(model, other["references"]),
                        on=(other["column"], other["ref_column"]),
                        relationship=single,
                    )
    loss = getml.feature_learning.loss_functions
    boosted = getml.predictors.XGBoostClassifier if binary else getml.predictors.XGBoostRegressor
    pipeline = getml.Pipeline(
        data_model=model,
        feature_learners=[
            getml.feature_learning.FastProp(
                loss_function=loss.CrossEntropyLoss if binary else loss.SquareLoss, num_threads=2
            )
        ],
        predictors=[boosted(n_jobs=2)],
    )
    container = getml.data.Container(**parts)
    container.add(**frames)
    pipeline.fit(container.train, container.validation, check=False)
    return np.asarray(pipeline.predict(container.test)).reshape(-1)


def read(folder: Path, schema: dict, table: str) -> getml.DataFrame:
    """Read a table: keys join, times order, other numbers and words are what they are."""
    roles = getml.data.roles
    entry = schema[table]
    pandas = pd.read_parquet(folder / "tables" / f"{table}.parquet")
    frame = getml.DataFrame.from_pandas(pandas, name=f"table_{table}")
    keys = {foreign["column"] for foreign in entry["foreign_keys"]} | {entry["primary_key"]}
    keys |= {f["ref_column"] for e in schema.values() for f in e["foreign_keys"]} & set(pandas)
    for column in pandas.columns:
        if column in keys:
            frame.set_role([column], roles.join_key)
        elif pd.api.types.is_datetime64_any_dtype(pandas[column]):
            frame.set_role([column], roles.time_stamp)
        elif pd.api.types.is_numeric_dtype(pandas[column]):
            frame.set_role([column], roles.numerical)
        elif pandas[column].nunique() <= 200:
            frame.set_role([column], roles.categorical)
    return frame


if __name__ == "__main__":
    main()
