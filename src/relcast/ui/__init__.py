"""The web UI: pages on the server's own FastAPI app. ``mount`` is all that others need."""

from relcast.ui.mounting import mount

__all__ = ["mount"]
