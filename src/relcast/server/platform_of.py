"""The platform that an app serves, found from a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fastapi import Request

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["platform_of"]


def platform_of(request: Request) -> Platform:
    """Return the platform that ``create_app`` was given."""
    return cast("Platform", request.app.state.platform)
