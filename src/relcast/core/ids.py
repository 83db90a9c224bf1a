"""Identifiers: random ones for things that happen, content-derived ones for things that are."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

__all__ = ["content_id", "new_id"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str) -> str:
    """Return ``<prefix>-<16 characters>``, 80 random bits, safe in paths and URLs."""
    number = secrets.randbits(80)
    body = "".join(_ALPHABET[(number >> shift) & 31] for shift in range(75, -1, -5))
    return f"{prefix}-{body}"


def content_id(prefix: str, value: Any) -> str:
    """Return ``<prefix>-<24 hex digits>``, the same for the same JSON value in any key order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"
