"""The few calls that the library's users and the jobs make: from tables to predictions.

``library`` is for people in notebooks, ``steps`` for jobs. Neither knows of HTTP or job state.
"""

from relcast.pipeline.library import (
    Data,
    Database,
    Model,
    Predictions,
    PredictiveQuery,
    connect,
    load,
    query,
)

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
