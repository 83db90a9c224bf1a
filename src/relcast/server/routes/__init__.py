"""All routes, grouped by noun."""

from relcast.server.routes import (
    automation,
    connectors,
    docs,
    files,
    graphs,
    health,
    jobs,
    keys,
    models,
    outlines,
    prediction_jobs,
    queries,
    snapshots,
    source_tables,
    table_jobs,
    tables,
    training_jobs,
    uploads,
)

__all__ = ["ROUTE_GROUPS"]

ROUTE_GROUPS = (
    automation.routes,
    jobs.routes,
    models.routes,
    keys.routes,
    queries.routes,
    outlines.routes,
    graphs.routes,
    connectors.routes,
    uploads.routes,
    source_tables.routes,
    tables.routes,
    snapshots.routes,
    table_jobs.routes,
    training_jobs.routes,
    prediction_jobs.routes,
    files.routes,
    docs.routes,
    health.routes,
)
