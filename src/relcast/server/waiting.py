"""Wait for a short computation without holding a thread, and leave when the caller is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import Request

from relcast.jobs.quick_work import Asked

__all__ = ["answer_of"]

_LOOK_SECONDS = 0.05


async def answer_of(asked: Asked, request: Request) -> Mapping[str, Any] | None:
    """Return the answer, or raise the error in its place; None when nobody reads it any more."""
    try:
        # A client that goes away sends no event: it has to be looked for.
        while not asked.done and not await request.is_disconnected():  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        return asked.result() if asked.done else None
    finally:
        asked.leave()
