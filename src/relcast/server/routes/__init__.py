"""All routes, grouped by noun."""

from relcast.server.routes import health

__all__ = ["ROUTE_GROUPS"]

ROUTE_GROUPS = (health.routes,)
