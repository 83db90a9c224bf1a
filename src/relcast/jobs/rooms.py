"""What every part of the platform holds: settings, catalog, home, snapshots, uploads, clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from relcast.catalog import Catalog
from relcast.core.clock import Clock
from relcast.core.errors import InvalidRequest
from relcast.core.settings import Settings
from relcast.jobs.home import Home
from relcast.sources import UploadArea

if TYPE_CHECKING:
    from relcast.snapshots import SnapshotStore

__all__ = ["Rooms", "checked_name", "checked_tags", "plain"]

_LONGEST_NAME = 256
_LONGEST_TAG = 1024
_MOST_TAGS = 64


class Rooms:
    """The common ground of the platform's parts; ``Platform`` is the whole."""

    settings: Settings
    catalog: Catalog
    home: Home
    uploads: UploadArea
    clock: Clock
    _wake: Callable[[], None]
    """Tells the worker in this process, if there is one, that there is work."""

    @cached_property
    def snapshots(self) -> SnapshotStore:
        """The store of snapshots."""
        from relcast.snapshots import SnapshotStore

        return SnapshotStore(self.home.snapshots)


def plain(value: Any) -> dict[str, Any]:
    """Return a plan or options as JSON: from a mapping, from what has ``to_json``, from None.

    Raises ``request.bad_options`` for anything else.
    """
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "to_json"):
        result: dict[str, Any] = value.to_json()
        return result
    raise InvalidRequest(
        f"{str(value)[:80]!r} stands where options by name are wanted",
        code="request.bad_options",
        hint='Write options as an object, such as {"run_mode": "fast"}.',
    )


def checked_name(name: str | None) -> str | None:
    """Return a name that fits the store; raises ``request.bad_name``."""
    if name is None:
        return None
    if not name.strip() or len(name) > _LONGEST_NAME or "/" in name or not name.isprintable():
        raise InvalidRequest(
            f"{name[:80]!r} cannot be a name",
            code="request.bad_name",
            hint=f"Take 1 to {_LONGEST_NAME} printable characters without '/'.",
        )
    return name


def checked_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return tags that fit the store, values as text; raises ``request.bad_tags``."""
    found = {str(key): str(value) for key, value in (tags or {}).items()}
    if (
        len(found) > _MOST_TAGS
        or any(not 0 < len(key) <= _LONGEST_NAME for key in found)
        or any(len(value) > _LONGEST_TAG for value in found.values())
    ):
        raise InvalidRequest(
            "These tags do not fit",
            code="request.bad_tags",
            hint=f"Up to {_MOST_TAGS} tags, names up to {_LONGEST_NAME} and values up to "
            f"{_LONGEST_TAG} characters.",
        )
    return found
