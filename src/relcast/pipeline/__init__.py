"""The few calls that the library's users and the jobs make: from tables to predictions.

``database``, ``data``, ``question`` and ``model`` are for people in notebooks, ``steps`` for jobs.
Neither knows of HTTP or job state.
"""

from relcast.pipeline.data import Data, query
from relcast.pipeline.database import Database, connect
from relcast.pipeline.model import Model, Predictions, load
from relcast.pipeline.question import PredictiveQuery

__all__ = [
    "Data",
    "Database",
    "Model",
    "Predictions",
    "PredictiveQuery",
    "connect",
    "load",
    "query",
]
