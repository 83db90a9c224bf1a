"""The child process that stays for the next question.

    python -m relcast.jobs.warm_child REQUESTS

``REQUESTS`` is the number of an open pipe with one question a line, ``{"number": 3, "command":
"explain", "spec": {...}}``, answered one after the other on standard output: progress as
``relcast.jobs.child`` has it, then ``{"answer": 3, "ok": true, "result": {...}}`` or ``{"answer":
3, "ok": false, "error": {...}}`` for a fault of the user. What is ours ends the process, with its
trace in the log. So does the end of the pipe; and as in ``relcast.jobs.child`` the end of standard
input, at once. What was opened for a question is kept for the next.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from relcast.core.errors import RelcastError
from relcast.jobs.child import LineProgress, live_and_die_with_the_server

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Answer until there are no more questions; return the exit status."""
    live_and_die_with_the_server()
    os.umask(0o077)
    # Progress and answers keep the real standard output; everybody else's becomes the log's.
    lines = LineProgress(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    from relcast.pipeline.opened import Opened

    opened = Opened()
    with os.fdopen(int(arguments[0]), encoding="utf-8") as requests:
        for line in requests:
            request = json.loads(line)
            lines.send({"answer": request["number"], **_answer(request, lines, opened)})
    return 0


def _answer(request: Mapping[str, Any], progress: LineProgress, opened: Any) -> dict[str, Any]:
    from relcast.pipeline import steps

    try:
        match request["command"]:
            case "explain":
                spec = steps.ExplainSpec(**request["spec"])
                result = steps.explain(spec, progress, opened)
            case other:
                message = f"{other!r} is none of this process's commands"
                raise ValueError(message)
    except RelcastError as error:
        if error.status >= 500:
            raise
        return {"ok": False, "error": error.to_json()}
    except MemoryError:
        return {"ok": False, "out_of_memory": True}
    return {"ok": True, "result": dataclasses.asdict(result)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
