"""Translation between the SDK's types and ours, as the SDK itself would read the answers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from kumoapi.common import ValidationResponse
from kumoapi.encoder import Null, Numerical
from kumoapi.graph import ColumnKey, ColumnKeyGroup, GraphDefinition
from kumoapi.jobs import (
    AutoTrainerProgress,
    BatchPredictionJobResource,
    ErrorDetails,
    GeneratePredictionTableJobResource,
    GenerateTrainTableJobResource,
    PredictionProgress,
    TrainingJobResource,
)
from kumoapi.json_serde import from_json, to_json_dict
from kumoapi.model_plan import (
    ColumnProcessingPlan,
    EarlyStoppingConfig,
    HuberLossConfig,
    InferredType,
    LossType,
    MissingType,
    ModelPlan,
    OptimizationPlan,
    PredictionTableGenerationPlan,
    RunMode,
    TrainingJobPlan,
    TrainingTableGenerationPlan,
)
from kumoapi.pquery import QueryType
from kumoapi.source_table import S3SourceTable, SnowflakeSourceTable

from relcast.catalog import JobKind, JobRecord, JobState, StageRecord
from relcast.core.errors import Fault, InvalidRequest, Position, PqlError, SchemaError
from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table
from relcast.learners import ModelPlan as OurPlan
from relcast.pql import check
from relcast.server.wire.codec import finite, validation, wire_answer
from relcast.server.wire.configs import (
    prediction_request,
    prediction_table_request,
    training_request,
    training_table_request,
)
from relcast.server.wire.graphs import graph_of, wire_graph
from relcast.server.wire.jobs import (
    error_details,
    job_resource,
    prediction_progress,
    prediction_summary,
    table_job_extras,
    table_progress,
    training_progress,
    training_summary,
)
from relcast.server.wire.plans import (
    model_plan_of,
    prediction_anchor_of,
    suggest_model_plan,
    suggest_table_plan,
    table_plan_of,
)
from relcast.server.wire.source_tables import Location, dtype_of, location_of
from relcast.server.wire.tables import checked_table
from relcast.sources import SourceRef
from relcast.tasks import TablePlan

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)


def shop() -> Graph:
    ids = {"dtype": Dtype.int64, "stype": Stype.ID}
    time = Column("time", Dtype.time, Stype.timestamp)
    return Graph(
        {
            "customers": Table("customers", (Column("id", **ids),), primary_key="id"),
            "orders": Table(
                "orders",
                (
                    Column("id", **ids),
                    Column("buyer", **ids),
                    Column("payer", **ids),
                    time,
                    Column("amount", Dtype.float64, Stype.numerical),
                ),
                primary_key="id",
                time_column="time",
            ),
        },
        (Link("orders", "buyer", "customers"),),
    )


def refs(graph: Graph) -> dict[str, SourceRef]:
    return {name: SourceRef("parquet_upload_connector", name) for name in graph.tables}


def over_the_wire(value: Any, kind: Any) -> Any:
    """Write as the server does and read as the SDK does."""
    return from_json(bytes(wire_answer(value).body).decode(), kind)


def job(kind: JobKind, state: JobState, **more: Any) -> JobRecord:
    stages = more.pop("stages", ())
    fields: dict[str, Any] = {
        "id": f"{kind.prefix}-1",
        "kind": kind,
        "state": state,
        "query_id": "pquery-1",
        "graph_id": "graph-1",
        "config": {},
        "result": None,
        "error": None,
        "tags": {"team": "growth"},
        "created_at": NOW,
        "started_at": None,
        "ended_at": None,
        "stages": stages,
        "cancel_requested": False,
        "parents": (),
    }
    return JobRecord(**(fields | more))


def test_graphs_make_the_round_trip():
    for links in (
        (),
        (Link("orders", "buyer", "customers"),),
        (Link("orders", "buyer", "customers"), Link("orders", "payer", "customers")),
    ):
        graph = Graph(shop().tables, links)
        definition = over_the_wire(wire_graph(graph, refs(graph)), GraphDefinition)
        assert graph_of(definition) == graph
        source = definition.tables["orders"].source_table
        assert source == S3SourceTable(
            s3_path="",
            connector_id="parquet_upload_connector",
            source_table_name="orders",
            file_type="PARQUET",
        )


def test_a_group_lists_the_primary_key_first():
    group = wire_graph(shop(), refs(shop())).col_groups[0]
    assert group.columns == (ColumnKey("customers", "id"), ColumnKey("orders", "buyer"))


def test_a_group_without_a_key_is_refused():
    definition = wire_graph(shop(), refs(shop()))
    definition.col_groups = [
        ColumnKeyGroup((ColumnKey("orders", "buyer"), ColumnKey("orders", "payer")))
    ]
    with pytest.raises(SchemaError) as caught:
        graph_of(definition)
    assert caught.value.code == "schema.group_without_key"


def test_every_fault_of_a_table_is_told():
    definition = wire_graph(shop(), refs(shop())).tables["orders"]
    broken = json.loads(json.dumps(to_json_dict(definition)))
    broken["cols"][4]["stype"] = "timestamp"  # a float cannot mean a time
    broken["time_col"] = "amount"
    broken["end_time_col"] = "buyer"
    with pytest.raises(SchemaError) as caught:
        checked_table("orders", from_json(broken, type(definition)))
    assert [f.code for f in caught.value.faults] == ["schema.wrong_stype", "schema.bad_role"]


@pytest.mark.parametrize(
    ("path", "root", "table"),
    [
        ("/data/shop/orders.parquet", "/data/shop", "orders"),
        ("/data/shop/orders/", "/data/shop", "orders"),
        ("file:///data/shop/or.ders.csv", "/data/shop", "or.ders"),
    ],
)
def test_paths_become_root_and_table(path: str, root: str, table: str):
    assert location_of(S3SourceTable(path)) == Location(None, root, table)


@pytest.mark.parametrize("path", ["s3://bucket/orders.parquet", "orders.parquet", "???", "/", ""])
def test_other_paths_are_refused(path: str):
    with pytest.raises(InvalidRequest):
        location_of(S3SourceTable(path))


def test_warehouses_are_refused_in_words():
    with pytest.raises(InvalidRequest) as caught:
        location_of(SnowflakeSourceTable("c", "db", "public", "orders"))
    assert caught.value.code == "connector.unsupported"
    assert "SNOWFLAKE" in str(caught.value)


def test_dtypes_of_arrow_types():
    assert dtype_of(pa.timestamp("us", "UTC")) is Dtype.time
    assert dtype_of(pa.date32()) is Dtype.date
    assert dtype_of(pa.large_string()) is Dtype.string
    assert dtype_of(pa.int64()) is Dtype.int64  # nullable or not


def test_table_plans_make_the_round_trip():
    query = check("PREDICT SUM(orders.amount, 7, 21, days) FOR EACH customers.id", shop())
    plan = over_the_wire(suggest_table_plan(query, shop()), TrainingTableGenerationPlan)
    assert plan.timeframe_step == 14
    assert plan.forecast_length == MissingType.VALUE
    assert plan.weight_col is None
    ours = table_plan_of(plan)
    assert ours.timeframe_step == 14
    assert ours.start_time is None
    plan.start_time = "2024-01-01"
    plan.train_start_offset = 90
    assert table_plan_of(plan).start_time == "2024-01-01"
    assert table_plan_of(plan).train_start_offset == 90
    table_job = job(
        JobKind.training_table, JobState.DONE, config={"table_plan": table_plan_of(plan).to_json()}
    )
    assert table_plan_of(training_table_request(table_job).plan) == table_plan_of(plan)
    static = check("PREDICT orders.amount FOR EACH orders.id", shop())
    assert suggest_table_plan(static, shop()).split == "TemporalSplit([0.8, 0.1, 0.1])"
    assert table_plan_of(TrainingTableGenerationPlan()).split == "inferred"


EACH = " FOR EACH customers.id"


@pytest.mark.parametrize(
    ("text", "split", "step", "length"),
    [
        ("SUM(orders.amount, 0, 10) FORECAST 3 TIMEFRAMES", "DateOffsetSplit([-50, -20], 'days')", 10, 3),
        ("LIST_DISTINCT(orders.payer, 0, 2, months) RANK TOP 5", "DateOffsetSplit([-2, 0], 'months')", 2, None),
        ("COUNT(orders.*, 0, 7) > 1", "ApproxDateOffsetSplit([0.8, 0.1, 0.1])", 7, None),
    ],
)  # fmt: skip
def test_the_plan_of_each_task_makes_the_round_trip(text, split, step, length):
    tables = dict(shop().tables)
    tables["payers"] = replace(tables["customers"], name="payers")
    graph = Graph(tables, (*shop().links, Link("orders", "payer", "payers")))
    query = check(f"PREDICT {text}{EACH}", graph)
    suggested = over_the_wire(suggest_table_plan(query, graph), TrainingTableGenerationPlan)
    assert (suggested.split, suggested.timeframe_step) == (split, step)
    assert suggested.forecast_length == (length or MissingType.VALUE)
    assert suggested.lag_timesteps == suggested.year_over_year == MissingType.VALUE
    # What nobody touched is nobody's wish; what somebody wrote is.
    assert table_plan_of(suggested, suggested).split == "inferred"
    mine = over_the_wire(suggested, TrainingTableGenerationPlan)
    mine.split, mine.lag_timesteps, mine.year_over_year = "DateOffsetSplit([-9, -4])", 3, True
    kept = table_plan_of(mine, suggested)
    assert (kept.split, kept.forecast_length) == ("DateOffsetSplit([-9, -4])", length)
    done = job(JobKind.training_table, JobState.DONE, config={"table_plan": kept.to_json()})
    read = over_the_wire(training_table_request(done).plan, TrainingTableGenerationPlan)
    assert table_plan_of(read) == kept


def test_a_plan_that_says_nothing_is_ours_that_says_nothing():
    unsaid = TrainingTableGenerationPlan(
        split=InferredType.VALUE,
        train_start_offset=MissingType.VALUE,
        train_end_offset=InferredType.VALUE,
        start_time=MissingType.VALUE,
        end_time=InferredType.VALUE,
        timeframe_step=MissingType.VALUE,
        forecast_length=MissingType.VALUE,
    )
    assert table_plan_of(over_the_wire(unsaid, TrainingTableGenerationPlan)) == TablePlan()
    days = TrainingTableGenerationPlan(start_time=-30, end_time="2024-02-01", weight_col="w")
    ours = table_plan_of(over_the_wire(days, TrainingTableGenerationPlan))
    assert (ours.start_time, ours.end_time, ours.weight_column) == (-30, "2024-02-01", "w")
    with pytest.raises(InvalidRequest):
        table_plan_of(TrainingTableGenerationPlan(start_time=5))


@pytest.mark.parametrize("mode", list(RunMode))
def test_model_plans_make_the_round_trip(mode: RunMode):
    query = check("PREDICT COUNT(orders.*, 0, 7, days) > 0 FOR EACH customers.id", shop())
    info = over_the_wire(suggest_model_plan(query, mode), type(suggest_model_plan(query, mode)))
    assert info.query_type is QueryType.TEMPORAL
    assert info.model_plan.training_job.tune_metric == "auroc"
    # The SDK takes out what says "???"; a user may send any part back.
    assert info.model_plan.optimization.max_epochs == MissingType.VALUE
    assert model_plan_of(info.model_plan)["run_mode"] == mode.value
    assert model_plan_of(ModelPlan())["run_mode"] == "fast"
    mine = ModelPlan(training_job=TrainingJobPlan(metrics=["ap"], tune_metric="ap"))
    assert model_plan_of(mine)["tune_metric"] == "ap"


def test_options_of_a_network_that_our_learners_share_arrive():
    plan = ModelPlan(
        column_processing=ColumnProcessingPlan(
            encoder_overrides={"customers.age": Null(), "orders.price": Numerical()}
        ),
        optimization=OptimizationPlan(
            loss=["mae", HuberLossConfig(name="huber"), "multi_quantile"],
            early_stopping=[EarlyStoppingConfig(min_delta=0.0, patience=4)],
            weight_mode=[None],
        ),
    )
    found = model_plan_of(over_the_wire(plan, ModelPlan))
    assert found["leave_out"] == ["customers.age"]
    assert found["losses"] == ["mae", "huber", "quantile"]
    assert found["patience"] == 4
    assert found["use_weights"] is False
    OurPlan.from_json(found)
    every = ModelPlan(optimization=OptimizationPlan(loss=list(LossType)))
    assert OurPlan.from_json(model_plan_of(every)).losses
    plain = model_plan_of(ModelPlan())
    assert not {"leave_out", "losses", "patience", "use_weights"} & set(plain)


def test_anchor_times_are_nanoseconds():
    moment = int(NOW.timestamp()) * 10**9
    assert prediction_anchor_of(PredictionTableGenerationPlan(moment)) == "2024-03-01T12:00:00Z"
    assert prediction_anchor_of(PredictionTableGenerationPlan()) is None
    table_job = job(
        JobKind.prediction_table, JobState.DONE, config={"anchor": "2024-03-01T12:00:00Z"}
    )
    assert prediction_table_request(table_job).plan.anchor_time == moment
    with pytest.raises(InvalidRequest):
        prediction_anchor_of(PredictionTableGenerationPlan(-(2**70)))
    empty = job(JobKind.prediction_table, JobState.QUEUED)
    assert prediction_table_request(empty).plan.anchor_time == InferredType.VALUE


@pytest.mark.parametrize("state", list(JobState))
def test_the_sdk_can_read_jobs_of_every_kind_and_state(state: JobState):
    ended = NOW if state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED) else None
    error = {"code": "task.no_rows", "message": "No rows", "hint": "Bring more.", "faults": []}
    more = {
        "ended_at": ended,
        "error": error if state is JobState.FAILED else None,
        "result": {"metrics": {"test": {"mae": 1.5, "r2": float("nan")}}, "num_entities": 3}
        if state is JobState.DONE
        else None,
    }
    kinds = (
        (JobKind.training, TrainingJobResource, training_request, training_summary),
        (JobKind.prediction, BatchPredictionJobResource, prediction_request, prediction_summary),
        (JobKind.training_table, GenerateTrainTableJobResource, training_table_request, None),
        (JobKind.prediction_table, GeneratePredictionTableJobResource, prediction_table_request, None),
    )  # fmt: skip
    for kind, resource, request, summary in kinds:
        record = job(kind, state, **more)
        extra = {"result": summary(record)} if summary else table_job_extras()
        read = over_the_wire(job_resource(record, request(record), **extra), resource)
        report = read.job_status_report
        assert report.status.value == state.value
        assert report.start_time.tzinfo is not None
        assert report.event_log
        assert read.tags == {"team": "growth"}
        if summary:
            assert (read.result is not None) is (state is JobState.DONE)
        if state is JobState.FAILED:
            assert "No rows. Bring more." in report.validation_response.message()
            details = over_the_wire(error_details(record), ErrorDetails)
            assert details.items[0].description == "No rows. Bring more."
        else:
            assert report.validation_response.ok is (state is not JobState.CANCELLED)
    if state is JobState.DONE:
        done = training_summary(job(JobKind.training, state, **more))
        assert done is not None
        named = {m.name: m.value for m in done.eval_metrics.test_metrics}
        assert named["mae"] == 1.5


def test_progress_never_makes_the_sdk_spin():
    running = StageRecord("Training", JobState.RUNNING, NOW, None, 1, 4, "trials")
    record = job(JobKind.training, JobState.RUNNING, stages=(running,), started_at=NOW)
    progress = over_the_wire(training_progress(record), AutoTrainerProgress)
    assert (progress.completed_trials, progress.total_trials) == (1, 4)
    assert progress.estimated_training_time is None
    waiting = job(JobKind.prediction, JobState.QUEUED)
    assert over_the_wire(prediction_progress(waiting), PredictionProgress).total_iterations == 1
    rows = StageRecord("Training table", JobState.RUNNING, NOW, None, 5, 9, "rows")
    assert table_progress(job(JobKind.training_table, JobState.RUNNING, stages=(rows,))) == {}


def test_faults_keep_their_places_and_hints():
    error = PqlError.of(
        [
            Fault("pql.unknown_column", "No column x", "Did you mean 'y'?", Position(1, 9, 1)),
            Fault("pql.bad_window", "The window is empty", "", Position(2, 3, 4)),
        ]
    )
    read = over_the_wire(validation(error), ValidationResponse)
    assert not read.ok
    assert "No column x (line 1, column 9). Did you mean 'y'?" in read.message()
    assert "The window is empty (line 2, column 3)." in read.message()


def test_numbers_that_json_lacks_become_null():
    assert finite({"a": [float("nan"), float("inf"), 1.5]}) == {"a": [None, None, 1.5]}
    assert json.loads(bytes(wire_answer({"a": float("nan")}).body)) == {"a": None}
