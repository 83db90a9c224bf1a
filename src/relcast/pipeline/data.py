"""Linked tables at one moment, ready to be asked: ``Data``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relcast.core.schema import Graph
from relcast.core.settings import Compatibility, Settings
from relcast.pipeline.checking import check_against

if TYPE_CHECKING:
    import pandas as pd

    from relcast.pipeline.question import PredictiveQuery
    from relcast.relations import Relations
    from relcast.snapshots import Snapshot

__all__ = ["Data", "query"]


@dataclass(frozen=True)
class Data:
    """Linked tables at one moment: an immutable snapshot, ready to be asked."""

    snapshot: Snapshot
    relations: Relations = field(repr=False)
    settings: Settings = field(repr=False)

    @property
    def graph(self) -> Graph:
        return self.snapshot.graph

    @property
    def tables(self) -> pd.DataFrame:
        """One row a table: rows kept and dropped, key and time column."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "table": t.name,
                    "rows": t.rows,
                    "dropped": t.report.rows_read - t.report.rows_kept,
                    "primary key": t.table.primary_key,
                    "time column": t.table.time_column,
                }
                for t in self.snapshot.tables.values()
            ]
        )

    @property
    def links(self) -> pd.DataFrame:
        """One row a link: how many keys match, dangle or are missing, and the fan-out."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "link": str(health.link),
                    "rows": health.children,
                    "match rate": health.match_rate,
                    "dangling": health.dangling,
                    "missing": health.null,
                    "mean fan-out": health.fan_out_mean,
                    "largest fan-out": health.fan_out_max,
                }
                for health in self.snapshot.links
            ]
        )

    @property
    def warnings(self) -> list[str]:
        """Sentences about what may disappoint: rows left out, values that did not read, …."""
        return [w for t in self.snapshot.tables.values() for w in t.report.warnings]

    def query(self, text: str, *, compatibility: Compatibility | None = None) -> PredictiveQuery:
        """Check a predictive query against these tables; raises ``PqlError`` with every fault.

        ``compatibility="kumo"`` refuses our extensions of the language (``pql.extension``).
        """
        from relcast.pipeline.question import PredictiveQuery

        strict = compatibility or self.settings.pql_compatibility
        return PredictiveQuery(self, check_against(text, self.snapshot, compatibility=strict))


def query(data: Data, text: str, *, compatibility: Compatibility | None = None) -> PredictiveQuery:
    """Check a predictive query against linked tables; raises ``PqlError`` with every fault."""
    return data.query(text, compatibility=compatibility)
