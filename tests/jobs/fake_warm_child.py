"""A stand-in for ``relcast.jobs.warm_child``: keeps its protocol, and does what the spec says."""

from __future__ import annotations

import json
import os
import sys
import time

from relcast.jobs.child import LineProgress, live_and_die_with_the_server


def main() -> int:
    live_and_die_with_the_server()
    lines = LineProgress(sys.stdout)
    hoard = b""
    with os.fdopen(int(sys.argv[1])) as questions:
        for line in questions:
            question = json.loads(line)
            spec = question["spec"]
            with lines.stage("Predicting", total=1) as stage:
                stage.update(1, detail="on it")
            hoard = os.urandom(1 << 20) * spec.get("allocate_mb", 0) or hoard
            time.sleep(spec.get("sleep", 0))
            if spec.get("die"):
                os._exit(int(spec["die"]))
            answer = {"ok": True, "result": {"pid": os.getpid(), "said": spec.get("say")}}
            if "fault" in spec:
                answer = {"ok": False, "error": spec["fault"]}
            lines.send({"answer": question["number"], **answer})
    return len(hoard) and 0


if __name__ == "__main__":
    sys.exit(main())
