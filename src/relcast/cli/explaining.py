"""``relcast explain``: why one entity gets its score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from relcast.cli.engine import (
    Anchor,
    Key,
    KnownAfter,
    KnownAt,
    Late,
    LinkOption,
    Mutable,
    Source,
    Time,
    open_data,
)
from relcast.cli.platform import AsJson, Home

if TYPE_CHECKING:
    from relcast.learners.explaining import Explanation

__all__ = ["explain"]


def explain(
    model: Annotated[Path, typer.Argument(help="Folder of a model bundle.")],
    source: Source,
    entity: Annotated[str, typer.Argument(help="Primary key of the entity.")],
    anchor: Anchor = None,
    output: Annotated[
        str | None,
        typer.Option(help="A class, an item's key, or a step from 1; default: the best, or 1."),
    ] = None,
    top: Annotated[int, typer.Option(help="Reasons to list.")] = 10,
    key: Key = [],  # noqa: B006 (typer copies it)
    time: Time = [],  # noqa: B006
    link: LinkOption = [],  # noqa: B006
    known_at: KnownAt = [],  # noqa: B006
    known_after: KnownAfter = [],  # noqa: B006
    mutable: Mutable = [],  # noqa: B006
    home: Home = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Say why an entity gets its score: features, rows that mattered, and what without them."""
    from relcast.core.schema import TaskType
    from relcast.pipeline import load

    late = Late(known_at, known_after, mutable)
    data = open_data(source, home, key, time, link, late, quiet=as_json)
    loaded = load(model, data)
    chosen: Any = output
    if output is not None and loaded.fitted.task_type is TaskType.FORECASTING:
        chosen = int(output) if output.isdecimal() else output
    found = loaded.explain(entity, anchor, output=chosen, top=top)
    if as_json:
        typer.echo(json.dumps(found.to_json(), default=str))
        return
    _show(Console(highlight=False), found)


def _show(console: Console, found: Explanation) -> None:
    console.print(found.summary, markup=False)
    reasons = Table("reason", "value", "contribution", title="Reasons", title_justify="left")
    for reason in found.reasons:
        value = reason["value"]
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        reasons.add_row(reason["feature"], shown, f"{reason['contribution']:+.4g}")
    console.print(reasons)
    rows = Table("table", "time", "row", "effect", title="Rows around it", title_justify="left")
    for row in found.rows[:10]:
        cells = ", ".join(f"{name} {value}" for name, value in list(row.cells.items())[:4])
        rows.add_row(row.table, row.time or "", cells, f"{row.effect:+.4g}")
    if found.rows:
        console.print(rows)
    for other in found.counterfactuals:
        console.print(f"without {other.without}: {other.prediction:.4g}", markup=False)
