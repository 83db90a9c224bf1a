"""The figures of an outline as a data frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relcast.core.errors import TaskError

if TYPE_CHECKING:
    import pandas as pd

    from relcast.tasks import Outline

__all__ = ["frame_of"]


def frame_of(outline: Outline) -> pd.DataFrame:
    """Return one row an anchor, or one a split where there are no anchors to list.

    Raises the outline's fault as a ``TaskError``.
    """
    import pandas as pd

    fault, report = outline.fault, outline.report
    if fault is not None or report is None:
        raise TaskError(
            fault.message if fault else "The outline has no figures",
            code=fault.code if fault else None,
            hint=fault.hint if fault else "",
        )
    if not report.anchors:
        splits = {name: split.to_json() for name, split in report.splits.items()}
        frame = pd.DataFrame(list(splits.values()), index=pd.Index(list(splits), name="split"))
        return frame if outline.temporal else frame.drop(columns="anchors")
    measured = {a.anchor: a.target.to_json() for a in report.anchors}
    rows: list[dict[str, Any]] = [
        {
            "anchor": _time(a.anchor),
            "split": a.split,
            "labels_after": _time(a.low),
            "labels_until": _time(a.high),
            **measured.get(a.anchor, {"rows": 0}),
        }
        for a in outline.anchors
    ]
    return pd.DataFrame(rows).set_index("anchor")


def _time(moment: int) -> pd.Timestamp:
    import pandas as pd

    return pd.Timestamp(moment)
