"""A stand-in for ``relcast.jobs.child``: keeps its protocol, computes nothing.

What each command does is read from ``control.json`` in the home: ``{"train": {"sleep": 3}}``. Every
run is noted in ``runs.jsonl`` there, so that tests can count.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from relcast.core.errors import Cancelled
from relcast.jobs.child import LineProgress, live_and_die_with_the_server
from relcast.jobs.stopping import SIGNAL, Stopping

EVALUATION = {
    "task_type": "regression",
    "tune_metric": "mae",
    "model": {"test": {"metrics": {"mae": {"value": 1.5, "low": 1.0, "high": 2.0}}}},
    "baselines": {"mean": {"test": {"metrics": {"mae": {"value": 3.0}}}}},
}


def main() -> int:
    spec_path, result_path = map(Path, sys.argv[1:])
    order = json.loads(spec_path.read_text())
    command, spec = order["command"], order["spec"]
    home = Path(spec["store"]).parent
    control = home / "control.json"
    wishes = json.loads(control.read_text()).get(command, {}) if control.exists() else {}
    stopping = Stopping()
    stopping.listen()
    if not wishes.get("no_lifeline"):
        live_and_die_with_the_server()
    with (home / "runs.jsonl").open("a") as runs:
        runs.write(json.dumps({"command": command, "pid": os.getpid()}) + "\n")
    if wishes.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if wishes.get("grandchild"):
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        with (home / "runs.jsonl").open("a") as runs:
            runs.write(json.dumps({"command": "grandchild", "pid": other.pid}) + "\n")
    if wishes.get("segfault") and not (home / "died").exists():
        (home / "died").touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    if wishes.get("allocate_mb"):
        hoard = bytearray(os.urandom(1 << 20) * wishes["allocate_mb"])
        time.sleep(60)
        return len(hoard)
    if wishes.get("exit"):
        print("a trace for the log", file=sys.stderr)
        return int(wishes["exit"])
    if wishes.get("fault"):
        answer = {"ok": False, "error": wishes["fault"]}
    else:
        try:
            result = work(command, spec, wishes, stopping)
            answer = {"ok": True, "result": result | {"stopped_early": stopping.stopped}}
        except Cancelled as stopped:
            answer = {"ok": False, "error": stopped.to_json()}
    temporary = result_path.with_suffix(".tmp")
    temporary.write_text(json.dumps(answer))
    temporary.rename(result_path)
    return 0


def work(command: str, spec: dict, wishes: dict, stopping: Stopping) -> dict:
    """Keep the best so far when told to: ``"keeps": false`` has none, ``true`` looks at each update.

    ``"numb"`` makes no updates, and ``"deaf"`` hears nothing at all.
    """
    progress = LineProgress(sys.stdout, stopping)
    keeps = wishes.get("keeps", False)
    if keeps == "deaf":
        signal.signal(SIGNAL, signal.SIG_IGN)
    name = {"ingest": "Ingestion", "training_table": "Training table", "train": "Training"}.get(
        command, "Predicting"
    )
    with progress.stage(name, total=10, unit="rows") as stage:
        until = time.monotonic() + wishes.get("sleep", 0)
        done = 0
        try:
            while time.monotonic() < until:
                done += 1
                if keeps != "numb":
                    stage.update(done, detail="working")
                time.sleep(0.05)
        except (Cancelled, KeyboardInterrupt):
            if not keeps:
                raise
        stage.report({"trial": 1, "mae": 1.5})
        if not stopping.stopped:
            stage.update(10)
    if command == "ingest":
        tables = {t: f"{t}@1" for t in spec["sources"]}
        return {"snapshot_id": "snapshot-1", "tables": tables, "report": {}, "elapsed_seconds": 0.1}
    out = Path(spec["out"])
    out.parent.mkdir(parents=True, exist_ok=True)
    if command in ("training_table", "prediction_table"):
        out.write_text("rows")
        return {
            "path": str(out),
            "rows": 3,
            "report": {},
            "anchor": "2024-01-01T00:00:00Z",
            "elapsed_seconds": 0.1,
        }
    out.mkdir(exist_ok=True)
    if command == "train":
        (out / "model.txt").write_text("tree")
        (out / "holdout.parquet").write_text("holdout")
        return {
            "path": str(out),
            "evaluation": EVALUATION,
            "summary": {"trials": 2, "lineage": {"rows": 3}},
            "elapsed_seconds": 0.1,
        }
    (out / "predictions.parquet").write_text("predictions")
    (out / "reasons.json").write_text("[]")
    return {
        "path": str(out),
        "files": ["predictions.parquet"],
        "columns": ["ENTITY", "TARGET_PRED"],
        "num_entities": 3,
        "reasons": "reasons.json",
        "summary": {},
        "elapsed_seconds": 0.1,
    }


if __name__ == "__main__":
    sys.exit(main())
