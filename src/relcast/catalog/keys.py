"""API keys: made, checked and killed. A secret is shown once and never stored.

A key is written ``<customer_id>:rc_<id><secret>``: the id (8 characters) finds the row, and the
HMAC-SHA-256 of the whole text under a server-side pepper is compared in constant time. An unknown
id is compared too, with a digest that nothing matches, so that it costs the same work.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from relcast.catalog.database import Database
from relcast.catalog.records import SCOPES, KeyRecord, Principal
from relcast.catalog.tables import keys
from relcast.core.clock import Clock
from relcast.core.errors import Unauthorized

__all__ = ["Keys"]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz"
_ID = 8
_SECRET = 40  # 40 characters of 54 are 230 bits
_PREFIX = "rc_"
_LONGEST = 512
_NOBODY = "0" * 64
_USED_EVERY = timedelta(minutes=1)


class Keys:
    """The API keys of a catalog."""

    def __init__(
        self, database: Database, clock: Clock, *, pepper: bytes, customer_id: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._pepper = pepper
        self._customer_id = customer_id

    def reset(self) -> str:
        """Kill every global key and return a new one, shown this once.

        Both happen in one transaction; of several resets at once, one key lives: the last one's.
        """
        while True:
            text, values = self._new()
            try:
                with self._database.write() as connection:
                    connection.execute(
                        sa.update(keys)
                        .where(keys.c.kind == "global", keys.c.revoked_at.is_(None))
                        .values(revoked_at=self._clock())
                    )
                    connection.execute(sa.insert(keys).values(**values))
            except IntegrityError:
                # PostgreSQL lets two resets pass each other; the index refuses the second insert.
                continue
            return text

    def ensure_first(self) -> str | None:
        """Make the first global key and return it; None when there has been one before."""
        text, values = self._new()
        try:
            with self._database.write() as connection:
                if connection.scalar(sa.select(sa.exists().where(keys.c.kind == "global"))):
                    return None
                connection.execute(sa.insert(keys).values(**values))
        except IntegrityError:
            return None
        return text

    def info(self) -> KeyRecord | None:
        """Return the living global key without its secret."""
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(keys).where(keys.c.kind == "global", keys.c.revoked_at.is_(None))
            ).one_or_none()
        return None if row is None else _record(row)

    def authenticate(self, header: str | None) -> Principal:
        """Return whose key a header is; raises ``auth.unauthorized``, one and the same for all.

        The store is asked at each call, so that a reset in another process counts at once.
        """
        text = header if header is not None and len(header) <= _LONGEST else ""
        secret = text.partition(":")[2]
        key_id = f"key-{secret[len(_PREFIX) : len(_PREFIX) + _ID]}"
        digest = self._digest(text)
        now = self._clock()
        with self._database.read() as connection:
            row = connection.execute(sa.select(keys).where(keys.c.id == key_id)).one_or_none()
        good = hmac.compare_digest(digest, _NOBODY if row is None else row.digest)
        if (
            row is None
            or not good
            or row.revoked_at is not None
            or (row.expires_at is not None and row.expires_at <= now)
        ):
            raise Unauthorized(
                "There is no API key in this request, or it is not a good one",
                hint="Send the header X-API-Key: <customer_id>:<secret>. A new key is made with "
                "`relcast keys reset` or on the Admin page.",
            )
        if row.last_used_at is None or now - row.last_used_at >= _USED_EVERY:
            with self._database.write() as connection:
                connection.execute(
                    sa.update(keys).where(keys.c.id == key_id).values(last_used_at=now)
                )
        return Principal(row.id, frozenset(row.scopes))

    def _new(self) -> tuple[str, dict[str, Any]]:
        key_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID))
        secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET))
        text = f"{self._customer_id}:{_PREFIX}{key_id}{secret}"
        return text, {
            "id": f"key-{key_id}",
            "kind": "global",
            "digest": self._digest(text),
            "last_four": text[-4:],
            "scopes": sorted(SCOPES),
            "created_at": self._clock(),
        }

    def _digest(self, text: str) -> str:
        return hmac.new(
            self._pepper, text.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()


def _record(row: sa.Row[Any]) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        last_four=row.last_four,
        scopes=frozenset(row.scopes),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        expires_at=row.expires_at,
    )
