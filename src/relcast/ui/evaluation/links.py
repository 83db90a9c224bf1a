"""URLs of a model's pages, and which model a job is about."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlencode

from relcast.catalog.records import JobRecord
from relcast.ui.predictions import Scored

__all__ = ["href", "model_of", "why_of"]


def href(model_id: str, part: str = "", **chosen: str) -> str:
    """Return the URL of a model's page, or of a part of it such as ``explain``."""
    path = f"/models/{quote(model_id, safe='')}{f'/{part}' if part else ''}"
    said = urlencode({name: value for name, value in chosen.items() if value})
    return f"{path}?{said}" if said else path


def model_of(job: JobRecord) -> str | None:
    """Return the model that a training made, or that a prediction asked; None before that."""
    found = (job.result or {}).get("model_id") or job.config.get("model_id")
    return found if isinstance(found, str) else None


def why_of(model_id: str | None) -> Callable[[Scored], str] | None:
    """Return what gives a scored entity the URL of its explanation; None without a model."""
    if model_id is None:
        return None
    return lambda one: href(model_id, "explain", entity=str(one.key), anchor=one.anchor_text)
