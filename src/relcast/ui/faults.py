"""Faults back from the JSON that a job's error is stored as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relcast.core.errors import Fault, Position

__all__ = ["faults_of"]


def faults_of(error: Mapping[str, Any]) -> list[Fault]:
    """Return the faults of a stored ``RelcastError.to_json()``."""
    return [
        Fault(
            code=str(fault.get("code", "")),
            message=str(fault.get("message", "")),
            hint=str(fault.get("hint", "")),
            position=_position(fault.get("position")),
        )
        for fault in error.get("faults") or ()
    ]


def _position(place: Mapping[str, Any] | None) -> Position | None:
    if not place:
        return None
    return Position(int(place["line"]), int(place["column"]), int(place.get("length", 1)))
