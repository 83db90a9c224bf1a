"""The commands and how they fail: one sentence, the place, the mend, and a distinct exit status.

Exit status: 0 done, 1 the caller can mend it, 2 a wrong command line, 70 our fault, 130 Ctrl-C.
"""

from __future__ import annotations

import json
import sys
from typing import NoReturn

import typer
from rich.console import Console
from rich.text import Text

from relcast.cli import engine, explaining, jobs, platform, questions
from relcast.core.errors import InvalidRequest, RelcastError, UserError

__all__ = ["main"]

app = typer.Typer(
    name="relcast",
    help="Predictions about the future of relational data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
keys = typer.Typer(help="The API key and the UI's password.", no_args_is_help=True)
query = typer.Typer(help="Predictive queries.", no_args_is_help=True)
job = typer.Typer(help="The jobs of a server's home.", no_args_is_help=True)
app.add_typer(keys, name="keys")
app.add_typer(query, name="query")
app.add_typer(job, name="jobs")

app.command()(platform.serve)
app.command()(platform.worker)
keys.command("reset")(platform.reset_key)
keys.command("password")(platform.reset_password)
app.command()(engine.ingest)
app.command()(engine.train)
app.command()(engine.predict)
app.command()(explaining.explain)
job.command("list")(jobs.list_jobs)
job.command("show")(jobs.show)
job.command("cancel")(jobs.cancel)
query.command("check")(questions.check_query)
query.command("sql")(questions.print_sql)


@app.callback(invoke_without_command=True)
def _root(
    *,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        from relcast import __version__

        typer.echo(__version__)
        raise typer.Exit


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    try:
        app(standalone_mode=True)
    except RelcastError as error:
        _tell(error)
        sys.exit(1 if isinstance(error, UserError) else 70)
    except OSError as error:
        if error.errno is None:
            raise
        place = f"{error.filename}: " if error.filename else ""
        _tell(
            InvalidRequest(
                f"{place}{error.strerror}",
                code="cli.file",
                hint="Check the path, the space that is left, and that you may write there.",
            )
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _tell(error: RelcastError) -> None:
    """Write an error to standard error: as JSON where ``--json`` was asked for, else as prose."""
    if "--json" in sys.argv:
        sys.stderr.write(json.dumps(error.to_json()) + "\n")
        return
    console = Console(stderr=True, highlight=False)
    faults = error.faults
    if not faults:
        console.print(Text(f"error: {error.message}", style="red"), soft_wrap=True)
        if error.hint:
            console.print(f"  {error.hint}", markup=False, soft_wrap=True)
    for fault in faults:
        at = fault.position
        place = f"line {at.line}, column {at.column}: " if at else ""
        console.print(Text(f"error: {place}{fault.message}", style="red"), soft_wrap=True)
        if fault.hint:
            console.print(f"  {fault.hint}", markup=False, soft_wrap=True)
    console.print(f"  ({error.code})", markup=False, style="dim", soft_wrap=True)
