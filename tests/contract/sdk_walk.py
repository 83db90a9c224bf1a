"""A user's script for the public SDK, unchanged but for shorter naps; prints its findings as JSON.

Run by test_sdk.py in a process of its own: ``python sdk_walk.py <url> <key> <data folder>``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import Any

_nap, _async_nap = time.sleep, asyncio.sleep
NAP = 0.25


async def _short_async_nap(seconds: float, *rest: Any) -> Any:
    return await _async_nap(min(seconds, NAP), *rest)


# The SDK sleeps 4 to 20 s between polls. Only the naps are shortened; every call is its own.
time.sleep = lambda seconds: _nap(min(seconds, NAP))  # type: ignore[assignment]
asyncio.sleep = _short_async_nap  # type: ignore[assignment]

import kumoai  # noqa: E402

BINARY = "PREDICT COUNT(orders.*, 0, 30, days) > 1 FOR EACH customers.customer_id"
REGRESSION = "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"
OUTPUT = {"output_types": {"predictions"}}


def figures(metrics: list[Any]) -> dict[str, float | None]:
    return {m.name: m.value for m in metrics}


def text_of(error: BaseException) -> str:
    return f"{error} {error.__cause__}"


def walk(url: str, key: str, data: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    kumoai.init(url=url, api_key=key)

    connector = kumoai.FileUploadConnector("parquet")
    connector.upload("customers", f"{data}/customers.parquet")
    connector.upload("orders", f"{data}/orders.parquet")
    csv = kumoai.FileUploadConnector("csv")
    csv.upload("regions", f"{data}/regions.csv")
    found["tables"] = sorted(connector.table_names())
    found["head"] = connector["orders"].head(3).to_dict(orient="list")["order_id"]
    found["has"] = [connector.has_table("orders"), connector.has_table("nothing")]

    tables = {
        name: kumoai.Table.from_source_table(source[name]).infer_metadata()
        for name, source in (("customers", connector), ("orders", connector), ("regions", csv))
    }
    found["keys"] = {n: t.primary_key.name for n, t in tables.items() if t.primary_key}
    found["times"] = {n: t.time_column.name for n, t in tables.items() if t.time_column}
    graph = kumoai.Graph(tables=tables, edges=[])
    graph.infer_links()
    found["edges"] = sorted((e.src_table, e.fkey, e.dst_table) for e in graph.edges)
    graph.validate()
    graph_id = graph.save("shop")
    loaded = kumoai.Graph.load("shop")
    found["loaded"] = sorted(loaded.tables) == sorted(tables)
    snapshot = graph.snapshot()
    found["snapshot"] = [str(graph_id), str(snapshot)]
    health = graph.get_edge_stats()
    found["edge_stats"] = [health[edge].total_num_edges for edge in sorted(graph.edges, key=str)]
    found["rows"] = {
        n: next(iter(t.get_stats("minimal").values()))["COUNT"] for n, t in tables.items()
    }

    # A plain directory on the server; loading rebuilds its connector from the definition.
    folder = kumoai.S3Connector(root_dir=data)
    found["folder_tables"] = sorted(folder.table_names())
    local = kumoai.Table.from_source_table(folder["orders"]).infer_metadata()
    local.save("local orders")
    found["folder_table"] = [
        local.primary_key.name,
        kumoai.Table.load("local orders").time_column.name,
    ]

    # Errors must come with the server's words.
    wrong = "PREDICT COUNT(order.*, 0, 30, days) FOR EACH customers.customer_id"
    try:
        kumoai.PredictiveQuery(graph=graph, query=wrong).validate()
    except ValueError as error:
        found["bad_query"] = text_of(error)

    query = kumoai.PredictiveQuery(graph=graph, query=BINARY)
    query.validate()
    found["task_type"] = str(query.get_task_type())
    query.save("active")
    found["reloaded"] = kumoai.PredictiveQuery.load("active").query
    plan = query.suggest_training_table_plan()
    found["step"] = plan.timeframe_step
    model_plan = query.suggest_model_plan(run_mode="debug")
    found["tune_metric"] = model_plan.training_job.tune_metric

    table_job = query.generate_training_table(plan, non_blocking=True)
    trainer = kumoai.Trainer(model_plan)
    # Posted while the table is still being made.
    result = trainer.fit(graph, table_job, custom_tags={"team": "growth"})
    table = result.training_table
    frame = table.data_df()
    found["training_table"] = {"columns": list(frame.columns), "rows": len(frame)}
    metrics = result.metrics()
    found["test"] = figures(metrics.test_metrics)
    found["validation"] = figures(metrics.validation_metrics)
    holdout = result.holdout_df()
    holdout.to_parquet(f"{data}/holdout.parquet", index=False)

    prediction_table = query.generate_prediction_table(query.suggest_prediction_table_plan())
    found["anchor"] = str(prediction_table.anchor_time)
    prediction = trainer.predict(graph, prediction_table, output_config=OUTPUT)
    frame = prediction.predictions_df()
    found["predictions"] = {
        "columns": list(frame.columns),
        "rows": len(frame),
        "scored": prediction.summary().num_entities_predicted,
        "sums": float((frame["False_PROB"] + frame["True_PROB"] - 1).abs().max()),
    }

    again = kumoai.Trainer.load_from_tags({"team": "growth"})
    found["loaded_trainer"] = again._training_job_id == result.id
    job = kumoai.TrainingJob(result.id)
    found["tags"] = [job.update_tags({"stage": "test"}), kumoai.TrainingJob(result.id).get_tags()]
    found["config"] = job.load_config().train_table_job_id == table.job_id

    # The automation of our own face finds the same query by its name.
    second = kumoai.PredictiveQuery(graph=graph, query=REGRESSION)
    slow_plan = second.suggest_model_plan(run_mode="best")
    slow = kumoai.Trainer(slow_plan).fit(
        graph, second.generate_training_table(non_blocking=True), non_blocking=True
    )
    found["cancelled"] = slow.cancel()
    with contextlib.suppress(Exception):
        slow.result()
    found["cancelled_state"] = str(slow.status().status)

    far = kumoai.PredictiveQuery(
        graph=graph, query=BINARY.replace("30, days", "9000, days")
    ).generate_training_table(non_blocking=True)
    try:
        far.result()
    except RuntimeError as error:
        found["failed"] = text_of(error)
    return found


if __name__ == "__main__":
    print("\nFOUND " + json.dumps(walk(*sys.argv[1:4]), default=str))
