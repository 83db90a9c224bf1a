"""Commands about a query before any training: ``relcast query check`` and ``query sql``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from relcast.cli.engine import (
    Key,
    KnownAfter,
    KnownAt,
    Late,
    LinkOption,
    Mutable,
    Query,
    Source,
    Time,
    open_data,
)
from relcast.cli.platform import AsJson, Home
from relcast.core.clock import anchor_time
from relcast.core.errors import InvalidRequest, TaskError

if TYPE_CHECKING:
    from relcast.core.settings import Compatibility
    from relcast.tasks import Outline

__all__ = ["check_query", "print_sql"]

Plan = Annotated[
    list[str],
    typer.Option("--plan", help="option=value of the training table, as timeframe_step=7."),
]
Strictness = Annotated[
    str | None,
    typer.Option("--compatibility", help="kumo refuses our extensions of the language."),
]
_BARS = "▁▂▃▄▅▆▇█"
_COLOURS = {"train": "blue", "val": "yellow", "test": "green"}


def check_query(
    source: Source,
    query: Query,
    plan: Plan = [],  # noqa: B006 (typer copies it)
    compatibility: Strictness = None,
    key: Key = [],  # noqa: B006
    time: Time = [],  # noqa: B006
    link: LinkOption = [],  # noqa: B006
    known_at: KnownAt = [],  # noqa: B006
    known_after: KnownAfter = [],  # noqa: B006
    mutable: Mutable = [],  # noqa: B006
    home: Home = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Check a query: what it means, and what its training table would hold.

    Exits with 1 when there can be no training table, after saying what there is.
    """
    late = Late(known_at, known_after, mutable)
    data = open_data(source, home, key, time, link, late, quiet=as_json)
    asked = data.query(query, compatibility=_compatibility(compatibility))
    found = asked.outline(progress=not as_json and "auto", **_plan(plan))
    extensions = asked.checked.extensions
    if as_json:
        told = {**found.to_json(), "extensions": [x.to_json() for x in extensions]}
        typer.echo(json.dumps(told, default=str))
    else:
        console = Console(highlight=False)
        console.print(f"[bold]{found.task_type.value}[/bold]")
        console.print(found.sentence, markup=False)
        for x in extensions:
            console.print(f"extension: {x.message}", markup=False, style="dim")
        for warning in found.warnings:
            console.print(
                f"warning: {warning.message}. {warning.hint}", markup=False, style="yellow"
            )
        _show(console, found)
    if found.fault is not None:
        raise TaskError(found.fault.message, code=found.fault.code, hint=found.fault.hint)


def print_sql(
    source: Source,
    query: Query,
    dialect: Annotated[
        str,
        typer.Option(help="duckdb, postgres, spark, databricks, snowflake or bigquery."),
    ] = "duckdb",
    anchor: Annotated[
        list[str],
        typer.Option(help="A moment; may be repeated. By default those of the training table."),
    ] = [],  # noqa: B006
    table: Annotated[
        list[str],
        typer.Option(help="table=schema.name: what the warehouse calls a table."),
    ] = [],  # noqa: B006
    row_order: Annotated[
        list[str],
        typer.Option(help="table=column that numbers the rows of a table without a key."),
    ] = [],  # noqa: B006
    plan: Plan = [],  # noqa: B006
    key: Key = [],  # noqa: B006
    time: Time = [],  # noqa: B006
    link: LinkOption = [],  # noqa: B006
    known_at: KnownAt = [],  # noqa: B006
    known_after: KnownAfter = [],  # noqa: B006
    mutable: Mutable = [],  # noqa: B006
    home: Home = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print one SELECT that computes the labels of a query in a warehouse."""
    late = Late(known_at, known_after, mutable)
    data = open_data(source, home, key, time, link, late, quiet=True)
    moments = [m for text in anchor if (m := anchor_time(text)) is not None]
    statement = data.query(query).label_sql(
        dialect,
        anchors=moments or None,
        tables=_pairs(table, "--table"),
        row_order=_pairs(row_order, "--row-order"),
        **_plan(plan),
    )
    typer.echo(json.dumps({"dialect": dialect, "sql": statement}) if as_json else statement)


def _show(console: Console, found: Outline) -> None:
    """Print the figures: a table of splits, a line of anchors, and what was dropped."""
    from relcast.tasks.offsets import text
    from relcast.tasks.wording import target_words

    report = found.report
    if report is None:
        return
    of = found.sample
    estimated = of is not None and of.estimated
    title = f"Training table: {_about(report.rows, estimated)} rows"
    if of is not None and estimated:
        title += f" (estimated from {of.entities:,} of {of.of:,} entities)"
    table = Table(title=title, title_justify="left")
    for head in ("split", "anchors", "from", "to", "rows", "targets"):
        table.add_column(head, justify="right" if head in ("anchors", "rows") else "left")
    for name, split in report.splits.items():
        planned = found.splits.get(name)
        first, last = ("", "") if planned is None else (text(planned.first), text(planned.last))
        table.add_row(
            f"[{_COLOURS.get(name, 'white')}]{name}[/]",
            f"{split.anchors:,}" if found.temporal else "",
            first,
            last,
            _about(split.target.rows, estimated),
            target_words(split.target),
        )
    console.print(table)
    _line(console, found)
    for reason, count in report.dropped.items():
        console.print(f"left out: {_about(count, estimated)}: {reason}", markup=False)
    for warning in report.warnings:
        console.print(f"warning: {warning}", markup=False, style="yellow")


def _line(console: Console, found: Outline) -> None:
    """Print one bar an anchor, as high as its rows, coloured by split; only what fits a line."""
    report = found.report
    if report is None or not 1 < len(report.anchors) <= console.width - 10:
        return
    most = max(a.target.rows for a in report.anchors) or 1
    bars = "".join(
        f"[{_COLOURS.get(a.split, 'dim')}]{_BARS[round(a.target.rows / most * 7)]}[/]"
        for a in report.anchors
    )
    console.print(f"anchors {bars} {found.rhythm}")


def _about(count: int, estimated: bool) -> str:
    return f"about {count:,}" if estimated else f"{count:,}"


def _compatibility(word: str | None) -> Compatibility | None:
    if word is None:
        return None
    if word != "kumo":
        raise InvalidRequest(
            f"--compatibility {word!r} is not known", hint="Write --compatibility kumo."
        )
    return "kumo"


def _pairs(options: list[str], name: str) -> dict[str, str]:
    pairs = {}
    for text in options:
        left, mark, right = text.partition("=")
        if not (left and mark and right):
            raise InvalidRequest(
                f"{name} {text!r} names no table", hint=f"Write {name} orders=shop.orders."
            )
        pairs[left] = right
    return pairs


def _plan(options: list[str]) -> dict[str, Any]:
    """Read ``option=value``; whole numbers become numbers."""
    plan: dict[str, Any] = {}
    for text in options:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise InvalidRequest(
                f"--plan {text!r} sets no option", hint="Write --plan timeframe_step=7."
            )
        whole = value.removeprefix("-").isdecimal()
        plan[name.strip()] = int(value) if whole else value
    return plan
