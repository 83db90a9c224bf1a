"""Bodies of the platform's own resources (not the SDK's): what comes in, and what goes out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from relcast.core.clock import isoformat

__all__ = [
    "ConnectorBody",
    "FileBody",
    "FilesBody",
    "GraphBody",
    "JobBody",
    "JobsBody",
    "KeyBody",
    "ModelBody",
    "ModelsBody",
    "NewConnector",
    "NewGraph",
    "NewKey",
    "NewPrediction",
    "NewQuery",
    "NewRetraining",
    "OwnRowsBody",
    "PredictionsBody",
    "QueryBody",
    "StageBody",
    "StatusBody",
    "TableOverrides",
    "stamp",
]

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.@-]*$")
]
Tags = Annotated[
    dict[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")],
        Annotated[str, StringConstraints(max_length=256)],
    ],
    Field(max_length=50),
]


class _In(BaseModel):
    """A body that comes in; a misspelt field is an error, not silence."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class _Out(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class NewConnector(_In):
    """A directory of tables below the configured data roots."""

    name: Name = Field(examples=["flights"])
    kind: Literal["file"] = "file"
    root: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = Field(
        examples=["/srv/data/flights"]
    )


class DelayBody(_In):
    """A delay: an amount or a column of numbers, with a unit; or a column of durations."""

    amount: float | None = Field(default=None, ge=0, examples=[6])
    column: str | None = Field(default=None, examples=["air_time"])
    unit: str | None = Field(default=None, examples=["minutes"])


class TableOverrides(_In):
    """What inference gets wrong about one table; what is left out is inferred."""

    columns: list[str] | None = Field(default=None, description="Keep only these columns.")
    primary_key: str | None = Field(default=None, description="A column, or '' for none.")
    time_column: str | None = Field(default=None, description="A column, or '' for none.")
    end_time_column: str | None = None
    dtypes: dict[str, str] = Field(default_factory=dict, examples=[{"zip": "string"}])
    stypes: dict[str, str] = Field(default_factory=dict, examples=[{"year": "categorical"}])
    known_at: dict[str, str] = Field(
        default_factory=dict,
        description="By column, the time column from which its values are known.",
        examples=[{"paid_amount": "paid_at"}],
    )
    known_after: dict[str, str | DelayBody] = Field(
        default_factory=dict,
        description="By column, how long after that time, or after the row's own, its values are "
        "known: `6 hours`, `air_time minutes` (a column of numbers), or `flown` (of durations).",
        examples=[{"arr_delay": "air_time minutes"}],
    )
    mutable: list[str] = Field(
        default_factory=list, description="Columns that are overwritten in place."
    )


class LinkBody(_In):
    """A foreign key and the table whose primary key it holds."""

    table: str = Field(examples=["orders"])
    foreign_key: str = Field(examples=["customer_id"])
    to: str = Field(examples=["customers"])


class GraphOverrides(_In):
    """What inference gets wrong about a graph."""

    tables: dict[str, TableOverrides] = Field(default_factory=dict)
    links: list[LinkBody] | None = Field(
        default=None, description="All links of the graph; left out, they are inferred."
    )


class NewGraph(_In):
    """Which tables of a connector make a graph."""

    connector_id: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description="The id or name of a connector, or `parquet_upload_connector`.",
        examples=["flights"],
    )
    tables: list[str] | None = Field(default=None, description="Left out: every table there.")
    overrides: GraphOverrides = Field(default_factory=GraphOverrides)
    name: Name | None = None


class NewQuery(_In):
    """A predictive query over a saved graph."""

    query_string: Annotated[str, StringConstraints(min_length=1, max_length=20_000)] = Field(
        examples=["PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"]
    )
    graph_id: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    name: Name | None = Field(default=None, examples=["spend"])
    description: Annotated[str, StringConstraints(max_length=2000)] = ""
    plan: dict[str, Any] | None = Field(
        default=None,
        description="What retraining uses: `table` (training table) and `model` options.",
        examples=[{"table": {"timeframe_step": 7}, "model": {"run_mode": "fast", "seed": 0}}],
    )


class OwnRowsBody(_In):
    """A table of a connector whose rows take the place of generated ones.

    Training: `ENTITY, TARGET`, for queries over time `TIMESTAMP`, at will `SPLIT` (train, val,
    test) and `WEIGHT`. Prediction: `ENTITY`, and `TIMESTAMP` for queries over time.
    """

    connector_id: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        default="parquet_upload_connector", description="Where it is; by default the uploads."
    )
    table: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        examples=["benchmark_rows"]
    )
    weight_column: str | None = Field(
        default=None, description="Training: the column of weights, where it is not `WEIGHT`."
    )
    allow_unmatched: bool = Field(
        default=False, description="Leave out rows whose `ENTITY` is no key, and count them."
    )


class NewRetraining(_In):
    """What one retraining does differently from the query's stored plan."""

    plan: dict[str, Any] | None = Field(default=None, examples=[{"model": {"run_mode": "normal"}}])
    rows: OwnRowsBody | None = Field(
        default=None, description="Own training rows; left out: they are generated."
    )
    tags: Tags = Field(default_factory=dict)


class NewPrediction(_In):
    """What one batch prediction scores, and how."""

    anchor_time: datetime | None = Field(
        default=None, description="Predict from this time on; left out: the newest data."
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="Binary: scores from here on are true."
    )
    num_classes: int | None = Field(
        default=None,
        ge=1,
        le=6000,
        description="Keep the best so many: classes, or items of a ranking.",
    )
    items: Annotated[list[str | int | float], Field(min_length=1, max_length=100_000)] | None = (
        Field(
            default=None,
            description="Rankings: the only items that may be in one, by key or class.",
        )
    )
    levels: Annotated[list[float], Field(max_length=20)] = Field(
        default_factory=list,
        description="Numbers and forecasts: quantiles that are wanted too, as columns `q_<level>`.",
        examples=[[0.1, 0.9]],
    )
    model_id: str | None = Field(default=None, description="Left out: the promoted model.")
    rows: OwnRowsBody | None = Field(
        default=None, description="Own rows to score; left out: every eligible entity."
    )
    tags: Tags = Field(default_factory=dict)


class StageBody(_Out):
    """One stage of a job."""

    name: str = Field(examples=["Training"])
    state: str
    started_at: str | None
    ended_at: str | None
    done: float | None
    total: float | None
    unit: str
    detail: str


class JobBody(_Out):
    """A job as it stands."""

    id: str = Field(examples=["trainingjob-9k2m4n6p8q0r1s3t"])
    kind: str = Field(examples=["training"])
    state: str = Field(examples=["RUNNING"])
    query_id: str | None
    graph_id: str | None
    config: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    tags: dict[str, str]
    created_at: str
    started_at: str | None
    ended_at: str | None
    stages: list[StageBody]
    cancel_requested: bool
    keep_best: bool = Field(
        description="Whether a training that was asked to stop is to publish its best so far."
    )
    parents: list[str]
    attempts: int
    position: int | None = Field(description="Place in the queue; 1 is next.")
    links: dict[str, str] = Field(
        description="Where to go on from here: `self`, `events`, `cancel`, `files`."
    )


class JobsBody(_Out):
    """A page of jobs, newest first."""

    items: list[JobBody]
    cursor: str | None = Field(description="Fetches the next page; null on the last.")


class StatusBody(_Out):
    """The newest job of a kind for a query; null fields when there never was one."""

    job_id: str | None
    state: str | None
    stage: StageBody | None
    result: dict[str, Any] | None = Field(description="Metrics beside the baselines, when DONE.")
    error: dict[str, Any] | None
    job: JobBody | None


class NewCancel(_In):
    """How a job is to stop."""

    keep_best: bool | None = Field(
        default=None,
        description="Of a training that runs: publish the best model so far. The job then ends "
        "DONE, and its result says stopped_early. Left out: what `on_stop` of its plan says.",
        examples=[True],
    )


class CancelBody(_Out):
    """What a cancel did; it is a wish, the job's state tells when it came true."""

    is_cancelled: bool = Field(description="Whether there was something to cancel.")
    job_id: str | None
    detail: str


class ModelBody(_Out):
    """A model version and what it was made from."""

    id: str
    query_id: str
    graph_id: str
    job_id: str
    training_table_job_id: str | None
    snapshot_id: str
    task_type: str
    promoted: bool
    created_at: str
    evaluation: dict[str, Any]
    lineage: dict[str, Any]


class ModelsBody(_Out):
    """A page of models, newest first."""

    items: list[ModelBody]
    cursor: str | None = Field(description="Fetches the next page; null on the last.")


class ConnectorBody(_Out):
    id: str
    name: str
    kind: str
    root: str | None
    created_at: str


class GraphBody(_Out):
    """A graph, and why inference made it so."""

    id: str
    name: str | None
    graph: dict[str, Any] = Field(description="`tables` and `links`.")
    sources: dict[str, dict[str, str]]
    reasons: dict[str, Any] = Field(description="The evidence behind every inferred choice.")
    created_at: str


class QueryBody(_Out):
    id: str
    name: str | None
    query_string: str
    graph_id: str
    description: str
    plan: dict[str, Any]
    task_type: str
    promoted_model_id: str | None
    created_at: str
    updated_at: str
    restatement: str = Field(description="The query in plain English.")


class NewKey(_Out):
    """A new key; it is never shown again."""

    api_key: str = Field(examples=["demo:rc_7Hq0…"])
    key: KeyBody


class KeyBody(_Out):
    """The living global key, without its secret."""

    id: str
    last_four: str
    scopes: list[str]
    created_at: str
    last_used_at: str | None


class FileBody(_Out):
    name: str = Field(examples=["predictions"])
    format: str = Field(examples=["csv"])
    url: str = Field(description="Needs no key and expires; treat it as a secret.")
    expires_at: str


class FilesBody(_Out):
    items: list[FileBody]


class PredictionsBody(_Out):
    """The first rows of a batch prediction."""

    columns: list[str]
    rows: list[dict[str, Any]] = Field(description="One object a row.")
    reasons: list[list[dict[str, Any]]] = Field(
        description="For each row, its strongest reasons; empty where none were written."
    )
    num_entities: int | None


def stamp(moment: datetime | None) -> str | None:
    """Return a time as the API writes it."""
    return isoformat(moment)
