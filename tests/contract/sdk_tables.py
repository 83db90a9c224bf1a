"""A user's script for the public SDK: tables, models and predictions of every task type.

Run by test_sdk_tables.py in a process of its own: ``python sdk_tables.py <url> <key> <data>``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

_nap, _async_nap = time.sleep, asyncio.sleep
NAP = 0.25


async def _short_async_nap(seconds: float, *rest: Any) -> Any:
    return await _async_nap(min(seconds, NAP), *rest)


# The SDK sleeps 4 to 20 s between polls. Only the naps are shortened; every call is its own.
time.sleep = lambda seconds: _nap(min(seconds, NAP))  # type: ignore[assignment]
asyncio.sleep = _short_async_nap  # type: ignore[assignment]

import kumoai  # noqa: E402
from kumoapi.model_plan import MissingType  # noqa: E402
from kumoapi.train import TrainingTableSpec  # noqa: E402

EACH = " FOR EACH customers.customer_id"
QUERIES = {
    "links": f"PREDICT LIST_DISTINCT(orders.product_id, 0, 30) RANK TOP 5{EACH}",
    "multilabel": f"PREDICT LIST_DISTINCT(orders.kind, 0, 30) CLASSIFY{EACH}",
    "ranking": f"PREDICT LIST_DISTINCT(orders.kind, 0, 30) RANK TOP 2{EACH}",
    "forecast": f"PREDICT SUM(orders.amount, 0, 10) FORECAST 3 TIMEFRAMES{EACH}",
    "planned": f"PREDICT SUM(orders.amount, 0, 10){EACH}",
    "classes": f"PREDICT LAST(orders.kind, 0, 30){EACH}",
    "static": f"PREDICT customers.segment{EACH}",
}
PLANS: dict[str, dict[str, Any]] = {
    "planned": {"forecast_length": 2, "lag_timesteps": 4, "year_over_year": True},
    "ranking": {"timeframe_step": 10, "split": "DateOffsetSplit([-60, -30])"},
    "classes": {
        "split": "TimeRangeSplit([('2023-03-01', '2023-07-01'), ('2023-07-01', '2023-09-01'), "
        "('2023-09-01', '2024-01-01')])",
        "start_time": "2023-04-15",
    },
}


TRAINED = ("links", "multilabel", "ranking", "forecast", "planned")


def trained(graph: Any, query: Any, table: Any, scored: Any) -> dict[str, Any]:
    """Train on a table, predict another, and say what came of it."""
    plan = query.suggest_model_plan(run_mode="debug")
    trainer = kumoai.Trainer(plan)
    result = trainer.fit(graph, table)
    holdout = result.holdout_df()
    config = {"output_types": {"predictions"}}
    prediction = trainer.predict(graph, scored, output_config=config)
    frame = prediction.predictions_df()
    return {
        "metrics": {m.name: m.value for m in result.metrics().test_metrics},
        "tune_metric": str(plan.training_job.tune_metric),
        "holdout": list(holdout.columns),
        "columns": list(frame.columns),
        "rows": len(frame),
        "entities": int(frame["ENTITY"].nunique()),
        "most": int(frame.groupby("ENTITY").size().max()),
        "first": frame.iloc[0].to_dict(),
    }


def walk(url: str, key: str, data: str) -> dict[str, Any]:
    kumoai.init(url=url, api_key=key)
    folder = kumoai.S3Connector(root_dir=data)
    tables = {
        n: kumoai.Table.from_source_table(folder[n]).infer_metadata()
        for n in ("customers", "orders", "products")
    }
    graph = kumoai.Graph(tables=tables, edges=[])
    graph.infer_links()
    binary = kumoai.PredictiveQuery(
        graph=graph, query=f"PREDICT COUNT(orders.*, 0, 30, days) > 1{EACH}"
    )
    trainer = kumoai.Trainer(binary.suggest_model_plan(run_mode="debug"))
    found: dict[str, Any] = {}
    for name, text in QUERIES.items():
        query = kumoai.PredictiveQuery(graph=graph, query=text)
        query.validate()
        plan = query.suggest_training_table_plan()
        suggested = {k: str(v) for k, v in asdict(plan).items() if v != MissingType.VALUE}
        for option, value in PLANS.get(name, {}).items():
            setattr(plan, option, value)
        table = query.generate_training_table(plan)
        frame = table.data_df()
        config = kumoai.TrainingTableJob(table.job_id).load_config().plan
        scored = query.generate_prediction_table(query.suggest_prediction_table_plan())
        found[name] = {
            "task": str(query.get_task_type()),
            "plan": suggested,
            "kept": {k: str(v) for k, v in asdict(config).items() if v != MissingType.VALUE},
            "columns": list(frame.columns),
            "splits": frame["SPLIT"].value_counts().to_dict(),
            "target": frame["TARGET"].iloc[0],
            "lengths": sorted({len(t) for t in frame["TARGET"] if hasattr(t, "__len__")})[:50],
            "anchors": sorted({str(t) for t in frame.get("TIMESTAMP", ())}),
            "scored": len(scored.data_df()),
            "model": trained(graph, query, table, scored) if name in TRAINED else None,
        }

    # A weight column is added to the generated table, which is then trained on.
    table = binary.generate_training_table()
    frame = table.data_df()
    frame["importance"] = 1.0 + frame.index.to_numpy() % 3
    frame.to_parquet(Path(data) / "weighted.parquet", index=False)
    connector = kumoai.FileUploadConnector("parquet")
    connector.upload("weighted_rows", f"{data}/weighted.parquet")
    spec = TrainingTableSpec(weight_col="importance")
    table.update(connector["weighted_rows"], spec, extensive_validation=True)
    result = trainer.fit(graph, table)
    weighted = result.training_table.data_df()
    found["weighted"] = {
        "columns": list(weighted.columns),
        "rows": [len(frame), len(weighted)],
        "same": bool(
            (weighted["WEIGHT"].to_numpy() == frame["importance"].to_numpy()).all()
            and (weighted["SPLIT"].to_numpy() == frame["SPLIT"].to_numpy()).all()
        ),
        "auroc": {m.name: m.value for m in result.metrics().test_metrics}["auroc"],
    }
    faults = []
    for name, change in (
        ("short", frame.iloc[:-5]),
        ("words", frame.assign(importance="much")),
        ("less", frame.drop(columns="TARGET")),
    ):
        change.to_parquet(Path(data) / f"{name}.parquet", index=False)
        connector.upload(f"{name}_rows", f"{data}/{name}.parquet")
        try:
            table.update(connector[f"{name}_rows"], spec, extensive_validation=True)
        except ValueError as error:
            faults.append(str(error))
    found["faults"] = faults
    return found


if __name__ == "__main__":
    print(
        "\nFOUND "
        + json.dumps(walk(*sys.argv[1:4]), default=lambda x: getattr(x, "tolist", lambda: str(x))())
    )
