"""Idempotency keys: a request that is sent twice does its work once and is answered alike.

A key is kept for a day with a fingerprint of method, path and body. The job that a request makes
is written beside the key in the transaction that makes the job, so that a crash between the job and
its answer loses neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from relcast.catalog.database import Database
from relcast.catalog.records import Answer
from relcast.catalog.tables import idempotency
from relcast.core.clock import Clock
from relcast.core.errors import Conflict, InvalidRequest

__all__ = ["Idempotency"]

_KEPT = timedelta(hours=24)
_IN_FLIGHT = timedelta(seconds=60)
_LONGEST = 255


class Idempotency:
    """The idempotency keys of a catalog."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def remember(
        self, key: str, method: str, path: str, body_hash: str, *, owner: str = ""
    ) -> Answer | None:
        """Return None to whoever comes first and must do the work, and the answer to all others.

        ``owner`` is the id of the caller's API key: two callers' keys never meet. The first caller
        ends with ``answer`` or ``forget``. Raises ``idempotency.bad_key`` (over 255 characters),
        ``idempotency.reused`` (422: the key came with another request), ``idempotency.in_flight``
        (409: the first is still at work; for 60 s, after which it is taken for dead).
        """
        if not 0 < len(key) <= _LONGEST:
            raise InvalidRequest(
                f"The Idempotency-Key has {len(key)} characters",
                code="idempotency.bad_key",
                hint=f"Send 1 to {_LONGEST} characters, such as a UUID.",
            )
        full = f"{owner}/{key}"
        fingerprint = hashlib.sha256(f"{method}\n{path}\n{body_hash}".encode()).hexdigest()
        now = self._clock()
        try:
            with self._database.write() as connection:
                row = connection.execute(
                    sa.select(idempotency).where(idempotency.c.key == full).with_for_update()
                ).one_or_none()
                if row is not None and now - row.created_at < _KEPT:
                    if row.fingerprint != fingerprint:
                        raise InvalidRequest(
                            "This Idempotency-Key came before, with another request",
                            code="idempotency.reused",
                            hint="Take a new key for a new request.",
                        )
                    if row.status is not None or row.job_id is not None:
                        return Answer(row.status, row.body, row.headers or {}, row.job_id)
                    if now - row.created_at < _IN_FLIGHT:
                        raise _in_flight()
                # The row that was seen, and no other: one that came since is somebody's at work.
                if row is not None:
                    connection.execute(
                        sa.delete(idempotency).where(
                            idempotency.c.key == full, idempotency.c.created_at == row.created_at
                        )
                    )
                connection.execute(
                    sa.delete(idempotency).where(
                        idempotency.c.key != full, idempotency.c.created_at < now - _KEPT
                    )
                )
                connection.execute(
                    sa.insert(idempotency).values(
                        key=full, fingerprint=fingerprint, created_at=now, body=sa.null()
                    )
                )
        except IntegrityError:
            raise _in_flight() from None
        return None

    def made(self, key: str, job_id: str, *, owner: str = "") -> None:
        """Note the job that the request made; call it in the transaction that makes the job."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(idempotency)
                .where(idempotency.c.key == f"{owner}/{key}")
                .values(job_id=job_id)
            )

    def answer(
        self,
        key: str,
        status: int,
        body: Any,
        headers: Mapping[str, str] | None = None,
        *,
        owner: str = "",
    ) -> None:
        """Keep the answer (JSON) for the same request's repetitions."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(idempotency)
                .where(idempotency.c.key == f"{owner}/{key}")
                .values(status=status, body=body, headers=dict(headers or {}))
            )

    def forget(self, key: str, *, owner: str = "") -> None:
        """Free the key of a request that failed before it did anything."""
        with self._database.write() as connection:
            connection.execute(
                sa.delete(idempotency).where(
                    idempotency.c.key == f"{owner}/{key}",
                    idempotency.c.status.is_(None),
                    idempotency.c.job_id.is_(None),
                )
            )


def _in_flight() -> Conflict:
    return Conflict(
        "A request with this Idempotency-Key is still at work",
        code="idempotency.in_flight",
        hint="Wait for its answer, or repeat the request in a few seconds.",
    )
