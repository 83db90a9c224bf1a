"""relcast: predictions about the future of relational data.

import relcast

db = relcast.connect("data/")
graph = db.graph()
query = relcast.query(graph, "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.id")
model = query.fit()
model.metrics
model.predict().to_pandas()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relcast.pipeline import connect, load, query

__all__ = ["__version__", "connect", "load", "query"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load the engine when it is first asked for, so that importing relcast stays quick."""
    if name in ("connect", "load", "query"):
        from relcast import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module 'relcast' has no attribute {name!r}")
