"""Write wire types as JSON, the way that the SDK reads them."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from fastapi import Response
from kumoapi.common import ValidationError, ValidationInfo, ValidationResponse, ValidationWarning
from kumoapi.json_serde import to_json

from relcast.core.clock import utc_now
from relcast.core.errors import RelcastError

__all__ = ["aware", "errors_of", "finite", "validation", "wire_answer"]


def wire_answer(value: Any, status: int = 200) -> Response:
    """Return a JSON answer of a wire value; NaN and infinities become null."""
    text = to_json(value)
    if "NaN" in text or "Infinity" in text:
        text = json.dumps(finite(json.loads(text)))
    return Response(text, status_code=status, media_type="application/json")


def finite(value: Any) -> Any:
    """Return a JSON value with every number that JSON has no word for replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [finite(v) for v in value]
    return value


def aware(moment: datetime | None) -> datetime:
    """Return an aware UTC time; the SDK subtracts such times from an aware present."""
    if moment is None:
        return utc_now()
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def errors_of(error: RelcastError) -> list[ValidationError]:
    """Return every fault of an error as the wire says it: a short title and the whole sentence."""
    if not error.faults:
        return [ValidationError(_title(error.code), _sentence(error.message, error.hint))]
    found = []
    for fault in error.faults:
        place = fault.position
        where = "" if place is None else f" (line {place.line}, column {place.column})"
        found.append(
            ValidationError(_title(fault.code), _sentence(fault.message + where, fault.hint))
        )
    return found


def validation(
    *errors: RelcastError,
    warnings: list[tuple[str, str]] | None = None,
    notes: list[tuple[str, str]] | None = None,
) -> ValidationResponse:
    """Return what a validation found: errors, and (title, message) pairs of warnings and notes."""
    return ValidationResponse(
        errors=[e for error in errors for e in errors_of(error)],
        warnings=[ValidationWarning(title, message) for title, message in warnings or ()],
        info_items=[
            ValidationInfo(title, message, str(number))
            for number, (title, message) in enumerate(notes or ())
        ],
    )


def _title(code: str) -> str:
    return code.replace(".", ": ", 1).replace("_", " ")


def _sentence(message: str, hint: str) -> str:
    text = message if message.endswith((".", "!", "?")) else f"{message}."
    return f"{text} {hint}".strip()
