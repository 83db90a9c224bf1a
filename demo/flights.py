"""The demo: which aircraft will run late next week?

Starts a relcast server of its own on loopback, then does everything over HTTP with the API key, as
any client would: connects a folder, links the tables, saves one predictive query, retrains it, and
scores every aircraft. Prints the model beside the baselines and the first predictions with their
reasons. Ends serving, with the URL of the UI, until Ctrl-C; ``--mode once`` stops at the end.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from data import prepare
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".demo" / "home"
DATA = ROOT / ".demo" / "data"
RELCAST = Path(sys.executable).with_name("relcast")
NAME = "late-aircraft"
QUERY = (
    "PREDICT AVG(flights.arr_delay, 0, 7, days) FOR EACH planes.tailnum "
    "WHERE COUNT(flights.*, -28, 0, days) > 0"
)
# A fifth of the year's weeks for validation and a fifth for test, so that both hold calm weeks and
# stormy ones; see docs/decisions/0002-the-demo-holds-out-more.md.
PLAN = {"table": {"split": "ApproxDateOffsetSplit([0.6, 0.2, 0.2])"}}
# A flight stands in the table under its scheduled hour; what became of it is known after landing.
LATE = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")
READINGS: dict[str, dict[str, Any]] = {
    "honest": {"tables": {"flights": {"known_after": dict.fromkeys(LATE, "air_time minutes")}}},
    "naive": {},
}
console = Console()


def free_port(wanted: int) -> int:
    """Return ``wanted`` when nobody listens there, else a free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit("No port is free on this machine.")


def start_server(port: int) -> subprocess.Popen[str]:
    """Start ``relcast serve`` on the demo's home; it may read the demo's data, nothing else."""
    HOME.mkdir(parents=True, exist_ok=True)
    log = (HOME.parent / "server.log").open("w")
    return subprocess.Popen(
        [str(RELCAST), "serve", "--home", str(HOME), "--port", str(port)],
        env={**os.environ, "RELCAST_DATA_ROOTS": str(DATA)},
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
    )


def new_secret(kind: str) -> str:
    """Make a new API key (``reset``) or UI password (``password``), as an operator would.

    It stands alone on the last line.
    """
    done = subprocess.run(
        [str(RELCAST), "keys", kind, "--home", str(HOME)],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()[-1]


class Api:
    """The few calls of the demo; every one of them works the same with curl."""

    def __init__(self, base: str, key: str) -> None:
        self.base = base
        self.http = httpx.Client(base_url=f"{base}/api/v1", headers={"X-API-Key": key}, timeout=60)

    def __call__(self, method: str, path: str, json: Any = None) -> Any:
        answer = self.http.request(method, path, json=json)
        if answer.is_error:
            problem = answer.json()
            raise SystemExit(f"{method} {path}: {problem.get('detail')} {problem.get('hint', '')}")
        return answer.json()

    def connect(self, name: str) -> str:
        """Name the demo's folder as a connector, or find the one that a past run named."""
        for connector in self("GET", "/connectors"):
            if connector["config"].get("name") == name:
                return str(connector["id"])
        return str(self("POST", "/connectors", {"name": name, "root": str(DATA)})["id"])

    def ask(self, query: dict[str, Any]) -> Any:
        """Save the query, or find the one that a past run saved; an older one makes way."""
        found = self.http.get(f"/predictive_queries/{query['name']}")
        if found.is_success:
            saved = found.json()
            if all(saved.get(field) == value for field, value in query.items()):
                return saved
            self("DELETE", f"/predictive_queries/{query['name']}")
        return self("POST", "/predictive_queries", query)

    def wait(self, path: str) -> dict[str, Any]:
        """Follow a job with a bar for each stage until it has ended."""
        columns = (
            SpinnerColumn(finished_text="✓"),
            TextColumn("  {task.description:<15}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}", style="dim"),
        )
        with Progress(*columns, console=console) as bars:
            tasks: dict[str, Any] = {}
            while True:
                job = self("GET", path)
                for stage in job["stages"]:
                    name = stage["name"]
                    if name not in tasks:
                        tasks[name] = bars.add_task(name, total=None, detail="")
                    total = stage.get("total")
                    bars.update(
                        tasks[name],
                        total=total,
                        completed=stage.get("done") or 0,
                        detail=(stage.get("detail") or "")[:60],
                    )
                    if stage.get("ended_at"):
                        bars.update(tasks[name], total=total or 1, completed=total or 1)
                        bars.stop_task(tasks[name])
                if job["state"] in ("DONE", "FAILED", "CANCELLED"):
                    break
                time.sleep(0.5)
        if job["state"] != "DONE":
            raise SystemExit(f"The job {job['id']} ended {job['state']}: {job.get('error')}")
        return job


def show_graph(graph: dict[str, Any]) -> None:
    """Print what relcast found in the files."""
    table = Table(
        "table", "key", "time", "links", "known later", title="What relcast found",
        title_justify="left",
    )  # fmt: skip
    links = graph["graph"]["links"]
    for entry in graph["graph"]["tables"]:
        out = [f"{k['foreign_key']} → {k['to']}" for k in links if k["table"] == entry["name"]]
        table.add_row(
            entry["name"],
            entry["primary_key"] or "–",
            entry["time_column"] or "–",
            ", ".join(out) or "–",
            ", ".join(c["name"] for c in entry["columns"] if "known_after" in c) or "–",
        )
    console.print(table)


def show_metrics(job: dict[str, Any], evaluation: dict[str, Any]) -> None:
    """Print the model beside every baseline, and the one sentence that follows."""
    metric = evaluation["tune_metric"]
    table = Table("", "validation", "test", "95 % interval", title_justify="left")
    table.title = f"{metric.upper()} in minutes; smaller is better"
    entries = {f"relcast: {evaluation['learner']}": evaluation["model"], **evaluation["baselines"]}

    def order(entry: tuple[str, Any]) -> float:
        return float(entry[1]["test"]["metrics"][metric]["value"])

    for name, splits in sorted(entries.items(), key=order):
        test = splits["test"]["metrics"][metric]
        interval = "–" if test["low"] is None else f"{test['low']:.3f} – {test['high']:.3f}"
        validation = splits["validation"]["metrics"][metric]["value"]
        style = "bold" if name.startswith("relcast") else None
        table.add_row(name, f"{validation:.3f}", f"{test['value']:.3f}", interval, style=style)
    console.print(table)
    console.print(evaluation["verdict"], markup=False)
    console.print(f"[dim]job {job['id']}, model {job['result']['model_id']}[/dim]")


def show_predictions(preview: dict[str, Any]) -> None:
    """Print the aircraft that will run latest, with their strongest reasons."""
    table = Table("aircraft", "late by, min", "strongest reasons", title_justify="left")
    table.title = f"The latest five of {preview['num_entities']:,} aircraft next week"
    for row, reasons in zip(preview["rows"], preview["reasons"], strict=True):
        told = [
            f"{reason['contribution']:+.1f}  {reason['feature']} = {show(reason['value'])}"
            for reason in reasons[:3]
        ]
        table.add_row(str(row["ENTITY"]), f"{row['TARGET_PRED']:.1f}", "\n".join(told))
    console.print(table)


def show(value: Any) -> str:
    """Write a feature's value shortly."""
    return (
        f"{value:.4g}" if isinstance(value, float) else "missing" if value is None else str(value)
    )


def wait_until_ready(base: str, server: subprocess.Popen[str]) -> None:
    """Wait until the server answers; show its log when it cannot start."""
    for _ in range(600):
        if server.poll() is not None:
            raise SystemExit((HOME.parent / "server.log").read_text())
        try:
            if httpx.get(f"{base}/readyz", timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"The server did not get ready; see {HOME.parent / 'server.log'}")


def walk(api: Api, reading: str) -> None:
    """Ask which aircraft will run late next week, from files to scores, over HTTP."""
    console.rule("1  connect and link")
    connector = api.connect("nycflights13")
    name = "flights" if reading == "honest" else f"flights-{reading}"
    body = {"connector_id": connector, "overrides": READINGS[reading], "name": name}
    graph = api("POST", "/graphs/from_source", body)
    show_graph(graph)

    console.rule("2  ask")
    name = NAME if reading == "honest" else f"{NAME}-{reading}"
    query = api.ask({"name": name, "query_string": QUERY, "graph_id": graph["id"], "plan": PLAN})
    console.print(query["query_string"].replace(" FOR", "\nFOR").replace(" WHERE", "\nWHERE"))
    console.print(f"[dim]{query['task_type']}: {query['restatement']}[/dim]")

    console.rule("3  retrain")
    job = api("POST", f"/predictive_queries/{query['id']}/retrain")
    done = api.wait(f"/jobs/{job['id']}")
    model = api("GET", f"/models/{done['result']['model_id']}")
    show_metrics(done, model["evaluation"])

    console.rule("4  predict")
    job = api("POST", f"/predictive_queries/{query['id']}/predict")
    done = api.wait(f"/jobs/{job['id']}")
    show_predictions(api("GET", f"/jobs/{done['id']}/predictions?limit=5"))


def main() -> int:
    """Run the demo and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("serve", "once"), default="serve")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--reading",
        choices=tuple(READINGS),
        default="honest",
        help="honest: delays are known after landing; naive: as if with their rows",
    )
    options = parser.parse_args()
    began = time.perf_counter()
    prepare(DATA)
    port = free_port(options.port)
    base = f"http://127.0.0.1:{port}"
    server = start_server(port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        wait_until_ready(base, server)
        key = new_secret("reset")
        walk(Api(base, key), options.reading)
        console.print(f"\nFrom nothing to answers in {time.perf_counter() - began:.0f} s.")
        if options.mode == "once":
            return 0
        console.rule("see it all")
        password = new_secret("password")
        console.print(f"  UI        {base}/   (password: {password})", highlight=False)
        console.print(f"  API       {base}/api/docs")
        console.print(
            f'  retrain   curl -X POST -H "X-API-Key: {key}" '
            f"{base}/api/v1/predictive_queries/{NAME}/retrain",
            highlight=False,
            soft_wrap=True,
        )
        console.print("\nServing until Ctrl-C.")
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        if server.poll() is None:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()


if __name__ == "__main__":
    sys.exit(main())
