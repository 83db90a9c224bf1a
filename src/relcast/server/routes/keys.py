"""API keys: the one global key, its reset, and what may be shown of it."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from relcast.catalog import KeyRecord
from relcast.server.bodies import KeyBody, NewKey, stamp
from relcast.server.platform_of import platform_of
from relcast.server.routing import Routes

__all__ = ["routes"]

routes = Routes("keys")


@routes.get(
    "/keys", scope="admin", summary="What may be shown of the living keys", answer=list[KeyBody]
)
def list_keys(request: Request) -> Response:
    record = platform_of(request).key_info()
    return JSONResponse([] if record is None else [_json(record)])


@routes.post(
    "/keys/reset",
    scope="admin",
    summary="Make a new global key; every earlier one dies before the answer is sent",
    answer=NewKey,
)
def reset_key(request: Request) -> Response:
    """The key is shown this once. An `Idempotency-Key` is not heeded: no answer is kept."""
    platform = platform_of(request)
    text = platform.reset_key()
    record = platform.key_info()
    return JSONResponse({"api_key": text, "key": None if record is None else _json(record)})


def _json(record: KeyRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "last_four": record.last_four,
        "scopes": sorted(record.scopes),
        "created_at": stamp(record.created_at),
        "last_used_at": stamp(record.last_used_at),
    }
