"""Peers on the same rows and split: kumo-engine, featuretools with LightGBM, getML, and relcast.

    python bench/peers.py [--home .bench/peers] [--task driver-top3 ...] [--peer relcast ...]
                          [--limit 1800] [--threads 2]

The rows are the benchmark's own of rel-f1, rolling: an example sees everything up to its anchor.
Every peer runs in a process, and a virtual environment, of its own; environments that are missing
under ``--home`` are made first (some gigabytes; kumo-engine takes ``faiss-cpu`` in the place of
``faiss-gpu``). A peer that cannot be installed, fails, or is not done within ``--limit`` seconds is
named with its reason. Metrics are computed here, for all alike, from the predictions of the test
rows. Wall and CPU seconds begin after imports and end with the predictions.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import relf1

HERE = Path(__file__).resolve().parent
TORCH = "torch==2.13.0"
KUMO = [
    "numpy<3",
    "pandas<3",
    "pyarrow==24.0.0",
    "pydantic>=2.11",
    "tabulate==0.8.10",
    "filelock",
    "fsspec",
    "antlr4-python3-runtime==4.9.3",
    "matplotlib",
    "optuna<5",
    "scikit-learn>=1.6.1",
    "sqlglot==30.17.*",
    "psutil==7.2.2",
    "tensorboard<3",
    "torchmetrics==1.8.1",
    "lightning-utilities",
    "pyyaml",
    "tqdm",
    "faiss-cpu",
    "requests",
    "aiohttp",
    "jinja2",
    "xxhash",
    "pyparsing",
]
ENVIRONMENTS = {
    "kumo": [
        [TORCH],
        KUMO,
        [
            "--no-deps",
            "pytorch-lightning==2.6.5",
            "pytorch-frame==0.3.0",
            "torch-geometric>=2.8.1,<3",
            "kumo-engine==1.0.0",
        ],
    ],
    "getml": [["getml", "pyarrow", "psutil"]],
    "ft": [["featuretools", "pandas<2.3", "numpy<2.3", "lightgbm", "pyarrow", "scikit-learn"]],
}
"""What is installed, step by step, into each environment."""

PEERS = {
    "kumo-engine lean": ("kumo", "kumo_engine_fit.py", "lean"),
    "kumo-engine FAST": ("kumo", "kumo_engine_fit.py", "fast"),
    "getML community": ("getml", "getml_fit.py", "fastprop"),
    "featuretools + LightGBM": ("ft", "featuretools_fit.py", "dfs"),
}


def main() -> int:
    """Run every peer on every task; 0 unless relcast itself fails."""
    parser = argparse.ArgumentParser(description="peers on the same rows and split")
    parser.add_argument("--home", type=Path, default=Path(".bench/peers"))
    parser.add_argument("--task", nargs="+", default=[task.name for task in relf1.TASKS])
    parser.add_argument("--peer", nargs="+", default=["relcast", *PEERS])
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds for one fit")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ours", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours:
        ours(options.ours[0], Path(options.ours[1]), options.threads)
        return 0
    if not relf1.DATA.is_dir():
        print(f"rel-f1 is not here ({relf1.DATA}): nothing to measure.")
        return 0
    with tempfile.TemporaryDirectory(prefix="relcast-peers-") as scratch:
        folder = Path(scratch)
        write_inputs(folder)
        print("| task | peer | metric | value | seconds | CPU-s | MiB | x our CPU-s |")
        print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |")
        good = True
        for task in relf1.TASKS:
            if task.name in options.task:
                good &= compare(task, folder, options)
    return 0 if good else 1


def write_inputs(folder: Path) -> None:
    """Write tables, schema, rows and tasks as the peers' scripts read them."""
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    schema = json.loads((relf1.DATA / "schema.json").read_text())["tables"]
    (folder / "schema.json").write_text(json.dumps(schema))
    for name in ("tables", "rows"):
        (folder / name).mkdir()
    for entry in schema:
        table = pq.read_table(relf1.DATA / "db" / f"{entry['table']}.parquet")
        # Shuffled, because kumo-engine infers types from the first rows, which have columns without
        # a value here.
        table = table.take(np.random.default_rng(0).permutation(len(table)))
        pq.write_table(_plain(table), folder / "tables" / f"{entry['table']}.parquet")
    tasks = {}
    for task in relf1.TASKS:
        rows = relf1.benchmark_rows(task)
        order = pc.index_in(rows["SPLIT"], value_set=_splits())
        table = rows.set_column(rows.column_names.index("SPLIT"), "SPLIT", order.cast("int64"))
        names = {"ENTITY": "ENTITY1", "TARGET": "TARGET1"}
        table = table.rename_columns([names.get(n, n) for n in table.column_names])
        pq.write_table(table, folder / "rows" / f"{task.name}.parquet")
        tasks[task.name] = {"query": task.query, "metric": task.metric, "entity_table": "drivers"}
    (folder / "tasks.json").write_text(json.dumps(tasks))


def _plain(table: Any) -> Any:
    """Return the table with plain strings in the place of large ones, which kumo-engine refuses."""
    import pyarrow as pa

    fields = [
        f.with_type(pa.string()) if pa.types.is_large_string(f.type) else f for f in table.schema
    ]
    return table.cast(pa.schema(fields))


def _splits() -> Any:
    import pyarrow as pa

    return pa.array(["train", "val", "test"])


def compare(task: Any, folder: Path, options: Any) -> bool:
    """Run the peers on one task, relcast first, and print a line for each."""
    ours_cpu = None
    good = True
    for peer in options.peer:
        out = folder / "predictions.parquet"
        out.unlink(missing_ok=True)
        words = command(peer, task, folder, out, options)
        if isinstance(words, str):
            print(f"| {task.name} | {peer} | {words} |", flush=True)
            continue
        found = run(words, options.limit)
        if isinstance(found, str):
            good &= peer != "relcast"
            print(f"| {task.name} | {peer} | {found} |", flush=True)
            continue
        if peer == "relcast":
            ours_cpu = found["cpu"]
        value = score(task, folder, out)
        times = "" if ours_cpu is None else f"{found['cpu'] / ours_cpu:.1f}"
        print(
            f"| {task.name} | {peer} | {task.metric} | {value:.4g} | {found['seconds']:.0f} "
            f"| {found['cpu']:.0f} | {found['mib']:,.0f} | {times} |",
            flush=True,
        )
    return good


def command(peer: str, task: Any, folder: Path, out: Path, options: Any) -> list[str] | str:
    """Return the command that runs a peer, or why it cannot be run."""
    if peer == "relcast":
        words = [sys.executable, __file__, "--ours", task.name, str(out)]
        return [*words, "--threads", str(options.threads)]
    environment, script, mode = PEERS[peer]
    python = options.home.resolve() / environment / "bin" / "python"
    if not python.exists():
        failure = install(environment, options.home)
        if failure:
            return failure
    return [str(python), str(HERE / "rivals" / script), str(folder), task.name, mode, str(out)]


def install(environment: str, home: Path) -> str | None:
    """Make an environment; return why not when that fails."""
    where = home.resolve() / environment
    steps = [[sys.executable, "-m", "venv", str(where)]]
    steps += [
        [str(where / "bin" / "pip"), "install", "--quiet", *wanted]
        for wanted in ENVIRONMENTS[environment]
    ]
    for words in steps:
        ended = subprocess.run(words, capture_output=True, text=True, check=False)
        if ended.returncode:
            (where / "bin" / "python").unlink(missing_ok=True)
            last = (ended.stderr.strip().splitlines() or ["no word"])[-1]
            return f"not installed: {last[:200]}"
    return None


def run(words: list[str], limit: float) -> dict[str, Any] | str:
    """Run a peer; return the JSON of its last line, or what went wrong."""
    try:
        ended = subprocess.run(words, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return f"not done within {limit:.0f} s"
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no word"])[-1]
        return f"failed: {last[:200]}"
    found: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return found


def score(task: Any, folder: Path, out: Path) -> float:
    """Return the metric of the predictions of all test rows; every row must have one."""
    import numpy as np
    import pandas as pd

    from relcast.core.schema import TaskType
    from relcast.learners.metrics import metrics_of

    rows = pd.read_parquet(folder / "rows" / f"{task.name}.parquet")
    test = rows[rows.SPLIT == 2].rename(columns={"ENTITY1": "ENTITY"})
    said = pd.read_parquet(out)
    both = test.merge(said, on=["ENTITY", "TIMESTAMP"], how="left")
    if both.PREDICTION.isna().any() or len(both) != len(test):
        raise ValueError(f"{both.PREDICTION.isna().sum()} of {len(test)} rows have no prediction")
    kind = TaskType.REGRESSION if task.metric == "mae" else TaskType.BINARY_CLASSIFICATION
    label = both.TARGET1.astype(float).to_numpy()
    metrics = metrics_of(kind, label, np.asarray(both.PREDICTION, dtype=float))
    return metrics.compute((task.metric,))[task.metric]


def ours(name: str, out: Path, threads: int) -> None:
    """Fit relcast on one task, write its test predictions, print what it took."""
    import pyarrow.parquet as pq

    from relcast.learners import ModelPlan, fit
    from relcast.pql import check
    from relcast.tasks import TablePlan, training_table_from_rows

    task = next(task for task in relf1.TASKS if task.name == name)
    wall, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory(prefix="relcast-peers-") as home:
        snapshot, relations = relf1.load(Path(home), threads)
        query = check(task.query, snapshot.graph)
        rows = relf1.benchmark_rows(task)
        table = training_table_from_rows(snapshot, relations, query, rows, TablePlan())
        model = fit(relations, query, table, ModelPlan(threads=threads))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    holdout = model.holdout
    column = "True_PROB" if "True_PROB" in holdout.column_names else "TARGET_PRED"
    said = holdout.select(["ENTITY", "TIMESTAMP", column])
    pq.write_table(said.rename_columns(["ENTITY", "TIMESTAMP", "PREDICTION"]), out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": wall, "cpu": cpu, "mib": peak}))


if __name__ == "__main__":
    sys.exit(main())
