"""Commands of the engine: ingest, train, predict. They need no server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from relcast.cli.platform import AsJson, Home
from relcast.core.errors import InvalidRequest

if TYPE_CHECKING:
    from relcast.pipeline import Data

__all__ = ["ingest", "open_data", "predict", "train"]

Source = Annotated[Path, typer.Argument(help="A folder of CSV or Parquet files, or one such file.")]
Query = Annotated[str, typer.Argument(help="The predictive query, in quotes.")]
Key = Annotated[
    list[str], typer.Option("--key", help="table.column is a primary key; table= for none.")
]
Time = Annotated[
    list[str],
    typer.Option("--time", help="table.column says when a row happened; table= for none."),
]
LinkOption = Annotated[
    list[str],
    typer.Option("--link", help="table.column=referenced_table; any given replaces inference."),
]
KnownAt = Annotated[
    list[str],
    typer.Option("--known-at", help="table.column=time_column from which its values are known."),
]
KnownAfter = Annotated[
    list[str],
    typer.Option(
        "--known-after", help="table.column=delay: '6 hours', or 'air_time minutes' of the row."
    ),
]
Mutable = Annotated[
    list[str], typer.Option("--mutable", help="table.column that is overwritten in place.")
]
Anchor = Annotated[str | None, typer.Option(help="Anchor time; default: the latest.")]
RunMode = Annotated[str, typer.Option(help="debug, fast, normal or best.")]


def ingest(
    source: Source,
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
    """Copy tables, and show what was inferred, kept and dropped."""
    late = Late(known_at, known_after, mutable)
    data = open_data(source, home, key, time, link, late, quiet=as_json)
    if as_json:
        snapshot = data.snapshot
        typer.echo(
            json.dumps(
                {
                    "snapshot": snapshot.id,
                    "graph": data.graph.to_json(),
                    "tables": {t.name: t.report.to_json() for t in snapshot.tables.values()},
                    "links": [health.to_json() for health in snapshot.links],
                },
                default=str,
            )
        )
        return
    console = Console()
    _print(console, "Tables", data.tables)
    if len(data.links):
        _print(console, "Links", data.links)
    for warning in data.warnings:
        console.print(f"warning: {warning}", markup=False, style="yellow")
    console.print(f"snapshot {data.snapshot.id}")


def train(
    source: Source,
    query: Query,
    out: Annotated[Path, typer.Option(help="Folder of the model bundle.")] = Path("model"),
    run_mode: RunMode = "fast",
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
    """Train a query on the tables of a folder and write the model bundle."""
    from relcast.learners.bundle import require_place

    require_place(out)  # before the work, not after it
    late = Late(known_at, known_after, mutable)
    data = open_data(source, home, key, time, link, late, quiet=as_json)
    model = data.query(query).fit(run_mode, progress=not as_json)
    model.save(out)
    evaluation = model.evaluation
    if as_json:
        typer.echo(json.dumps({"model": str(out), "evaluation": evaluation.to_json()}, default=str))
        return
    console = Console(highlight=False)
    _print(console, f"{evaluation.tune_metric} by split", _headline(model.metrics, evaluation))
    console.print(evaluation.verdict, markup=False)
    for warning in evaluation.warnings:
        console.print(f"warning: {warning}", markup=False, style="yellow")
    console.print(f"model {out}", markup=False)


def predict(
    model: Annotated[Path, typer.Argument(help="Folder of a model bundle.")],
    source: Source,
    out: Annotated[Path, typer.Option(help="A .parquet or .csv file.")] = Path(
        "predictions.parquet"
    ),
    anchor: Anchor = None,
    threshold: Annotated[
        float | None, typer.Option(help="Probability from which a prediction is true.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Classes that an entity gets; default: all.")
    ] = None,
    k: Annotated[int | None, typer.Option("-k", "--k", help="Items of a ranking.")] = None,
    item: Annotated[
        list[str], typer.Option(help="The only items that may be ranked, by key; repeatable.")
    ] = [],  # noqa: B006
    level: Annotated[
        list[float], typer.Option(help="A quantile that is wanted too, as 0.9; repeatable.")
    ] = [],  # noqa: B006
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
    """Score every eligible entity of a folder's tables with a model bundle."""
    from relcast.pipeline import load

    late = Late(known_at, known_after, mutable)
    data = open_data(source, home, key, time, link, late, quiet=as_json)
    scored = load(model, data).predict(
        anchor,
        threshold=threshold,
        num_classes=classes,
        k=k,
        items=item or None,
        levels=sorted(set(level)),
        progress=not as_json,
    )
    written = scored.save(out)
    if as_json:
        typer.echo(json.dumps({"rows": len(scored), "files": [str(w) for w in written]}))
        return
    console = Console(highlight=False)
    _print(console, "First predictions", scored.to_pandas().head(5))
    console.print(f"{len(scored):,} entities scored into {out}", markup=False)


def open_data(
    source: Path,
    home: Path | None,
    keys: list[str],
    times: list[str],
    links: list[str],
    late: Late | None = None,
    *,
    quiet: bool,
) -> Data:
    """Open the tables of a folder with the roles and links that the options name."""
    from relcast.pipeline import connect

    late = late or Late()
    return connect(source, home=home).graph(
        primary_keys=_roles(keys, "--key"),
        time_columns=_roles(times, "--time"),
        links=[_link(text) for text in links] or None,
        known_at=_said(late.known_at, "--known-at"),
        known_after=_said(late.known_after, "--known-after"),
        mutable=late.mutable,
        progress=False if quiet else "auto",
    )


@dataclass(frozen=True)
class Late:
    """The options that say when values are known."""

    known_at: Sequence[str] = ()
    known_after: Sequence[str] = ()
    mutable: Sequence[str] = ()


def _said(options: Sequence[str], name: str) -> dict[str, str]:
    """Read ``table.column=something`` options."""
    said = {}
    for text in options:
        column, equals, what = text.partition("=")
        if not (column and equals and what):
            raise InvalidRequest(
                f"{name} {text!r} does not say a column and when it is known",
                hint=f"Write {name} orders.paid=paid_at, or --known-after orders.paid='2 days'.",
            )
        said[column] = what
    return said


def _roles(options: list[str], name: str) -> dict[str, str | None]:
    """Read ``table.column`` and ``table=`` options into a role by table."""
    roles: dict[str, str | None] = {}
    for text in options:
        table, dot, column = text.partition(".")
        if dot and column:
            roles[table] = column
        elif text.endswith("="):
            roles[text[:-1]] = None
        else:
            raise InvalidRequest(
                f"{name} {text!r} names no column",
                hint=f"Write {name} table.column, or {name} table= for none.",
            )
    return roles


def _link(text: str) -> tuple[str, str, str]:
    left, _, to = text.partition("=")
    table, _, column = left.partition(".")
    if not (table and column and to):
        raise InvalidRequest(
            f"--link {text!r} is not a link",
            hint="Write --link orders.customer_id=customers.",
        )
    return table, column, to


def _headline(metrics: Any, evaluation: Any) -> Any:
    frame = metrics.xs(evaluation.tune_metric, axis=1, level="metric").reset_index()
    return frame.rename(columns={"index": "learner"})


def _print(console: Console, title: str, frame: Any) -> None:
    table = Table(title=title, title_justify="left")
    for column in frame.columns:
        table.add_column(str(column))
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row))
    console.print(table)
