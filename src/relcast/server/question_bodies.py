"""Bodies of questions about a query before any training: is it right, what would it train on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = ["CheckBody", "Compatibility", "NewCheck", "NewOutline", "OutlineBody", "OutlinePlan"]

Compatibility = Literal["kumo"]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class _Out(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class NewCheck(_In):
    """A query to be checked against a saved graph."""

    query_string: Annotated[str, StringConstraints(min_length=1, max_length=20_000)] = Field(
        examples=["PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"]
    )
    graph_id: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description="The id or name of a graph.", examples=["shop"]
    )


class OutlinePlan(_In):
    """Options of a training table, as `table` of a query's plan has them."""

    plan: dict[str, Any] = Field(
        default_factory=dict, examples=[{"timeframe_step": 7, "start_time": "2024-01-01"}]
    )


class NewOutline(NewCheck, OutlinePlan):
    """A query that is not saved, its graph, and the plan of its training table."""


class FaultBody(_Out):
    code: str = Field(examples=["pql.entity_without_time"])
    message: str
    hint: str
    position: dict[str, int] | None


class CheckBody(_Out):
    """What a sound query is; one with faults is a 422 that lists them all."""

    task_type: str = Field(examples=["binary_classification"])
    temporal: bool
    sentence: str = Field(description="The query in plain English.")
    warnings: list[FaultBody]
    extensions: list[FaultBody] = Field(
        description="What `compatibility=kumo` would refuse, each with its place."
    )


class PlannedAnchorBody(_Out):
    anchor: str
    split: str = Field(description="`train`, `val`, `test`, `left out` (between two), or `empty`.")
    labels_after: str
    labels_until: str


class PlannedSplitBody(_Out):
    anchors: int
    first: str
    last: str
    labels_after: str
    labels_until: str


class SampleBody(_Out):
    entities: int
    of: int
    estimated: bool = Field(description="Counts are scaled up from a part of the entities.")


class OutlineBody(_Out):
    """A training table as it would be."""

    query_string: str
    task_type: str
    temporal: bool
    sentence: str = Field(description="The query in plain English, with its anchors.")
    rhythm: str | None = Field(examples=["Each Monday"])
    data: dict[str, str] | None = Field(description="`begin` and `end` of the target's tables.")
    anchors: list[PlannedAnchorBody] = Field(description="Empty beyond 1,000.")
    anchor_count: int
    splits: dict[str, PlannedSplitBody]
    left_out_anchors: int
    report: dict[str, Any] | None = Field(
        description="Rows, targets per split and anchor, what was dropped and why, warnings."
    )
    sample: SampleBody | None
    fault: FaultBody | None = Field(description="Why there can be no table, and the mend.")
    warnings: list[FaultBody]
