"""Every task type on real data sets: model beside the best baseline, one configuration for all.

    python bench/learners.py [--mode fast] [--threads 2] [--seed 0] [--only cdnow ...] [--list]

Queries and time splits stand in ``TASKS`` and were fixed before anything was fitted. Each task runs
in a process of its own, so that its peak memory is its own. A task is *beaten* when the 95 %
interval of the model's test metric excludes the value of the baseline that is best on test, on the
right side. Wall and CPU seconds are of training table and fit together. Data sets are read from
``../shared/data``; where that folder is absent there is nothing to measure. The rows are printed as
a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Task:
    """A query on a data set; ``plan`` holds options of its training table.

    ``tables`` names the tables to take; None takes all. ``drawn`` names a table and a column whose
    values are drawn anew, each as likely as any other: nothing is left to be learned of them, and
    no model may be found better. (A permutation would not do: where everybody has seven rows in
    all, who has had few has more to come.)
    """

    name: str
    data: str
    query: str
    plan: dict[str, Any] = field(default_factory=dict)
    tables: tuple[str, ...] | None = None
    drawn: tuple[str, str] | None = None


TASKS = (
    Task(
        "cdnow churn",
        "cdnow",
        "PREDICT COUNT(purchases.*, 0, 90, days) = 0 FOR EACH customers.customer_id "
        "WHERE COUNT(purchases.*, -INF, 0, days) > 0",
        {"timeframe_step": 30},
    ),
    Task(
        "cdnow spend",
        "cdnow",
        "PREDICT SUM(purchases.amount, 0, 90, days) FOR EACH customers.customer_id "
        "WHERE COUNT(purchases.*, -INF, 0, days) > 0",
        {"timeframe_step": 30},
    ),
    Task(
        "cdnow spend forecast",
        "cdnow",
        "PREDICT SUM(purchases.amount, 0, 30, days) FORECAST 3 TIMEFRAMES "
        "FOR EACH customers.customer_id WHERE COUNT(purchases.*, -INF, 0, days) > 0",
    ),
    Task(
        "cdnow longer forecast",
        "cdnow",
        "PREDICT SUM(purchases.amount, 0, 60, days) FORECAST 2 TIMEFRAMES "
        "FOR EACH customers.customer_id WHERE COUNT(purchases.*, -INF, 0, days) > 0",
        {"timeframe_step": 30},
    ),
    Task(
        "bikes reorder",
        "adventureworks-bikes",
        "PREDICT COUNT(sales.*, 0, 90, days) > 0 FOR EACH customers.CustomerKey "
        "WHERE COUNT(sales.*, -INF, 0, days) > 0",
        {"timeframe_step": 30},
    ),
    Task(
        "bikes product sales",
        "adventureworks-bikes",
        "PREDICT SUM(sales.OrderQuantity, 0, 30, days) FOR EACH products.ProductKey "
        "WHERE COUNT(sales.*, -90, 0, days) > 0",
    ),
    Task(
        "bikes product forecast",
        "adventureworks-bikes",
        "PREDICT SUM(sales.OrderQuantity, 0, 30, days) FORECAST 3 TIMEFRAMES "
        "FOR EACH products.ProductKey WHERE COUNT(sales.*, -90, 0, days) > 0",
    ),
    Task(
        "bikes occupation",
        "adventureworks-bikes",
        "PREDICT customers.Occupation FOR EACH customers.CustomerKey",
    ),
    Task(
        "bikes next products",
        "adventureworks-bikes",
        "PREDICT LIST_DISTINCT(sales.ProductKey, 0, 90, days) RANK TOP 10 "
        "FOR EACH customers.CustomerKey",
        {"timeframe_step": 30},
    ),
    Task(
        "movielens next films",
        "movielens-small",
        "PREDICT LIST_DISTINCT(ratings.movieId, 0, 90, days) RANK TOP 10 FOR EACH users.userId",
    ),
    Task(
        "movielens mean rating",
        "movielens-small",
        "PREDICT AVG(ratings.rating, 0, 365, days) FOR EACH movies.movieId",
    ),
    Task(
        "quantum user speaks",
        "stackexchange-quantum",
        "PREDICT COUNT(Comments.*, 0, 14, days) > 0 FOR EACH Users.Id",
        {"timeframe_step": 7},
    ),
    Task(
        "quantum votes of a post",
        "stackexchange-quantum",
        "PREDICT COUNT(Votes.*, 0, 14, days) FOR EACH Posts.Id",
        {"timeframe_step": 7},
    ),
    Task(
        "quantum kinds of votes",
        "stackexchange-quantum",
        "PREDICT LIST_DISTINCT(Votes.VoteTypeId, 0, 14, days) CLASSIFY FOR EACH Posts.Id",
        {"timeframe_step": 7},
    ),
    Task(
        "quantum next badges",
        "stackexchange-quantum",
        "PREDICT LIST_DISTINCT(Badges.Name, 0, 14, days) RANK TOP 5 FOR EACH Users.Id",
        {"timeframe_step": 7},
    ),
    Task(
        "sakila film demand",
        "sakila",
        "PREDICT COUNT(rental.*, 0, 7, days) FOR EACH film.film_id",
        {"end_time": "2005-08-16"},
    ),
    Task(
        "sakila casts",
        "sakila",
        "PREDICT LIST_DISTINCT(film_actor.actor_id) RANK TOP 10 FOR EACH film.film_id",
        tables=("film", "actor", "film_actor", "film_category", "category", "language"),
    ),
    Task(
        "chinook playlists",
        "chinook",
        "PREDICT LIST_DISTINCT(PlaylistTrack.PlaylistId) RANK TOP 3 FOR EACH Track.TrackId",
        tables=("Track", "PlaylistTrack", "Playlist", "Genre", "MediaType", "Album", "Artist"),
    ),
    Task(
        "berka loans",
        "berka-partial",
        "PREDICT loan.status FOR EACH loan.loan_id",
    ),
    Task(
        "northwind orders",
        "northwind",
        "PREDICT COUNT(Orders.*, 0, 30, days) > 0 FOR EACH Customers.CustomerID",
    ),
    Task(
        "chinook buys",
        "chinook",
        "PREDICT COUNT(Invoice.*, 0, 30, days) > 0 FOR EACH Customer.CustomerId",
    ),
    Task(
        "chinook buys, drawn",
        "chinook",
        "PREDICT COUNT(Invoice.*, 0, 30, days) > 0 FOR EACH Customer.CustomerId",
        drawn=("Invoice", "CustomerId"),
    ),
    Task(
        "chinook revenue, drawn",
        "chinook",
        "PREDICT SUM(Invoice.Total, 0, 90, days) FOR EACH Customer.CustomerId",
        drawn=("Invoice", "CustomerId"),
    ),
    Task(
        "bikes reorder, drawn",
        "adventureworks-bikes",
        "PREDICT COUNT(sales.*, 0, 90, days) > 0 FOR EACH customers.CustomerKey",
        drawn=("sales", "CustomerKey"),
    ),
)
LEFT_OUT = {
    "berka-partial": {"trans": ["src"]},
    # Figures of the day of the dump, not of the row's own time (the data set's README).
    "stackexchange-quantum": {
        "Users": ["Reputation", "Views", "UpVotes", "DownVotes", "LastAccessDate"],
        "Posts": [
            "Score",
            "ViewCount",
            "AnswerCount",
            "CommentCount",
            "FavoriteCount",
            "AcceptedAnswerId",
            "LastEditorUserId",
            "LastEditDate",
            "LastActivityDate",
            "ClosedDate",
            "CommunityOwnedDate",
        ],
        "Comments": ["Score"],
        "Tags": ["Count"],
    },
}
"""Columns that the README of a data set says not to learn from."""


def main() -> int:
    """Run the tasks; 0 when none fails and none that was drawn is found better."""
    parser = argparse.ArgumentParser(description="every task type on real data sets")
    parser.add_argument("--mode", default="fast", help="run mode of the fits")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=[], help="names of tasks or data sets")
    parser.add_argument("--list", action="store_true", help="list the tasks and end")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        task = next(task for task in TASKS if task.name == options.one)
        print(json.dumps(measure(task, options)))
        return 0
    chosen = [t for t in TASKS if not options.only or {t.name, t.data} & set(options.only)]
    if options.list:
        for task in chosen:
            print(f"{task.name:<26} {task.data:<22} {task.query}")
        return 0
    if not DATA.is_dir():
        print(f"The data sets are not here ({DATA}): nothing to measure.")
        return 0
    print(
        "| task | type | rows (test) | metric | model [95 %] | best baseline | beaten | learner "
        "| seconds (CPU) | MiB |"
    )
    print("| --- | --- | ---: | --- | ---: | ---: | --- | --- | ---: | ---: |", flush=True)
    good = True
    for task in chosen:
        found = in_a_process(task, options)
        good &= found is not None and (task.drawn is None or found["beaten"] != "yes")
    return 0 if good else 1


def in_a_process(task: Task, options: Any) -> dict[str, Any] | None:
    """Run one task in a child, print its line and return its figures; None when it failed."""
    words = [sys.executable, __file__, "--one", task.name, "--mode", options.mode]
    words += ["--threads", str(options.threads), "--seed", str(options.seed)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    if ended.returncode:
        reason = (ended.stderr.strip().splitlines() or ["no word"])[-1]
        print(f"| {task.name} | failed: {reason} |", flush=True)
        return None
    found: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    bounds = "" if found["low"] is None else f" [{found['low']:.4g}, {found['high']:.4g}]"
    print(
        f"| {task.name} | {found['type']} | {found['rows']:,} | {found['metric']} "
        f"| {found['value']:.4g}{bounds} | {found['baseline']:.4g} ({found['baseline_name']}) "
        f"| {found['beaten']} | {found['learner']} | {found['seconds']:.0f} ({found['cpu']:.0f}) "
        f"| {found['mib']:,.0f} |",
        flush=True,
    )
    return found


def measure(task: Task, options: Any) -> dict[str, Any]:
    """Fit one task and return its test figures."""
    with tempfile.TemporaryDirectory(prefix="relcast-learners-") as folder:
        data = load(task, Path(folder))
        wall, cpu = time.perf_counter(), time.process_time()
        question = data.query(task.query)
        table = question.training_table(**task.plan)
        model = question.fit(
            options.mode, table=table, threads=options.threads, seed=options.seed, progress=False
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return figures(model, wall, cpu)


def load(task: Task, home: Path) -> Any:
    """Connect a data set with the keys, times and links of its schema.json."""
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    import relcast

    name = task.data
    schema = json.loads((DATA / name / "schema.json").read_text())["tables"]
    schema = [entry for entry in schema if task.tables is None or entry["table"] in task.tables]
    frames = {}
    for entry in schema:
        table = pq.read_table(DATA / name / "db" / f"{entry['table']}.parquet")
        frames[entry["table"]] = table.drop_columns(LEFT_OUT.get(name, {}).get(entry["table"], []))
    if task.drawn is not None:
        table, column = task.drawn
        frame = frames[table]
        owners = pc.drop_null(pc.unique(frame[column]))
        mixed = owners.take(np.random.default_rng(0).integers(0, len(owners), len(frame)))
        frames[table] = frame.set_column(frame.column_names.index(column), column, mixed)
    return relcast.connect(frames, home=home).graph(
        primary_keys={entry["table"]: entry["primary_key"] for entry in schema},
        time_columns={entry["table"]: entry["time_column"] for entry in schema},
        links=[
            (entry["table"], key["column"], key["references"])
            for entry in schema
            for key in entry["foreign_keys"]
            if key["column"] in frames[entry["table"]].column_names and key["references"] in frames
        ],
        progress=False,
    )


def figures(model: Any, wall: float, cpu: float) -> dict[str, Any]:
    """Return the model's test metric, that of the best baseline, and what it took."""
    from relcast.learners.metrics import is_greater_better

    evaluation = model.evaluation
    metric = evaluation.tune_metric
    mine = evaluation.model["test"].metrics[metric]
    way = 1.0 if is_greater_better(metric) else -1.0
    rivals = {
        name: splits["test"].value(metric)
        for name, splits in evaluation.baselines.items()
        if splits["test"].value(metric) is not None
    }
    name, theirs = max(rivals.items(), key=lambda rival: way * rival[1])
    edge = mine.low if way > 0 else mine.high
    published = evaluation.learner in evaluation.baselines
    beaten = "baseline published" if published else "no"
    if not published and edge is not None:
        sure = edge > theirs if way > 0 else edge < theirs
        beaten = "yes" if sure else "ahead" if way * (mine.value - theirs) > 0 else "no"
    return {
        "type": evaluation.task_type.value,
        "rows": evaluation.model["test"].rows,
        "metric": metric,
        "value": mine.value,
        "low": mine.low,
        "high": mine.high,
        "baseline": theirs,
        "baseline_name": name,
        "beaten": beaten,
        "learner": evaluation.learner,
        "seconds": wall,
        "cpu": cpu,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    sys.exit(main())
