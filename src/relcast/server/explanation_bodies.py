"""Bodies of explanations: which score, and why."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ExplanationBody", "NewExplanation"]

Key = Annotated[str, Field(max_length=4096)] | int | float | bool


class NewExplanation(BaseModel):
    """Which score is to be explained."""

    model_config = ConfigDict(extra="forbid")

    entity: Key = Field(description="The entity's primary key.", examples=["N14228"])
    anchor: str | None = Field(
        default=None,
        description="ISO 8601; the latest time in the data when left out. Not for static queries.",
        examples=["2013-12-24"],
    )
    output: Key | None = Field(
        default=None,
        description="Of several predictions: a class, an item's key, or a step from 1. The best "
        "class or item and the first step when left out.",
    )
    top: Annotated[int, Field(ge=1, le=100, description="Reasons to list.")] = 10


class ExplanationBody(BaseModel):
    """Why an entity gets its score; base, contributions and rest add up to the raw score."""

    entity: Any
    anchor: str | None
    output: Any
    prediction: float
    raw: float
    base: float
    reasons: list[dict[str, Any]] = Field(
        description="Strongest first: feature, table, column, window, value, contribution."
    )
    rest: float = Field(description="The sum of the contributions that are not listed.")
    by_table: dict[str, float]
    rows: list[dict[str, Any]] = Field(
        description="Rows around the entity: table, link, time, cells, and effect: the prediction "
        "with the row less the prediction without it."
    )
    counterfactuals: list[dict[str, Any]] = Field(
        description="What would be predicted without some rows."
    )
    summary: str
