"""The audit log: append-only rows, each with a digest that covers the one before it.

Digests are HMACs under a key that is not in the database, and a sealed head says how long the chain
is. Changing, adding, removing or reordering rows, at the end too, is found by ``verify``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from relcast.catalog.database import Database
from relcast.catalog.records import AuditRecord
from relcast.catalog.tables import audit, audit_head
from relcast.core.clock import Clock, isoformat

__all__ = ["Audit", "Verdict"]

_FIRST = "0" * 64


class Verdict(NamedTuple):
    """Whether the chain holds; if not, the first ``seq`` that is wrong and what is."""

    holds: bool
    seq: int | None = None
    reason: str = ""


class Audit:
    """The audit log of a catalog."""

    def __init__(self, database: Database, clock: Clock, *, key: bytes) -> None:
        self._database = database
        self._clock = clock
        self._key = key

    def append(self, actor: str, action: str, target: str, outcome: str) -> AuditRecord:
        """Write a row and return it."""
        while True:
            try:
                return self._append(actor, action, target, outcome)
            except (IntegrityError, _Overtaken):
                # PostgreSQL only: another process appended between our read and our write.
                continue

    def page(self, after: int = 0, limit: int = 200) -> list[AuditRecord]:
        """Return up to ``limit`` rows with a ``seq`` above ``after``, in order."""
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(audit).where(audit.c.seq > after).order_by(audit.c.seq).limit(limit)
            )
            return [_record(row) for row in rows]

    def latest(self, limit: int = 50) -> list[AuditRecord]:
        """Return the newest rows, newest first."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(audit).order_by(audit.c.seq.desc()).limit(limit))
            return [_record(row) for row in rows]

    def verify(self) -> Verdict:
        """Recompute the whole chain and compare it with what is stored."""
        with self._database.read() as connection:
            head = connection.execute(sa.select(audit_head)).one_or_none()
            rows = connection.execute(sa.select(audit).order_by(audit.c.seq)).all()
        previous, expected = _FIRST, 1
        for row in rows:
            if row.seq != expected:
                return Verdict(holds=False, seq=expected, reason="a row is missing here")
            digest = self._digest(
                previous, row.seq, row.at, row.actor, row.action, row.target, row.outcome
            )
            if not hmac.compare_digest(digest, row.digest):
                return Verdict(holds=False, seq=row.seq, reason="this row was changed")
            previous, expected = digest, expected + 1
        if head is None:
            if not rows:
                return Verdict(holds=True)
            return Verdict(holds=False, seq=0, reason="the head of the chain is gone")
        if not hmac.compare_digest(self._seal(head.seq, head.digest), head.seal):
            return Verdict(holds=False, seq=head.seq, reason="the head of the chain was changed")
        if (head.seq, head.digest) != (expected - 1, previous):
            return Verdict(holds=False, seq=expected, reason="rows are missing at the end")
        return Verdict(holds=True)

    def _append(self, actor: str, action: str, target: str, outcome: str) -> AuditRecord:
        with self._database.write() as connection:
            head = connection.execute(sa.select(audit_head)).one_or_none()
            seq = 1 if head is None else head.seq + 1
            previous = _FIRST if head is None else head.digest
            at = self._clock()
            digest = self._digest(previous, seq, at, actor, action, target, outcome)
            connection.execute(
                sa.insert(audit).values(
                    seq=seq,
                    at=at,
                    actor=actor,
                    action=action,
                    target=target,
                    outcome=outcome,
                    digest=digest,
                )
            )
            values = {"seq": seq, "digest": digest, "seal": self._seal(seq, digest)}
            if head is None:
                connection.execute(sa.insert(audit_head).values(id=1, **values))
            else:
                moved = connection.execute(
                    sa.update(audit_head).where(audit_head.c.seq == head.seq).values(**values)
                )
                if not moved.rowcount:
                    raise _Overtaken
        return AuditRecord(seq, at, actor, action, target, outcome, digest)

    def _digest(self, previous: str, seq: int, at: datetime, *fields: str) -> str:
        return self._mac([previous, seq, isoformat(at), *fields])

    def _seal(self, seq: int, digest: str) -> str:
        return self._mac(["head", seq, digest])

    def _mac(self, parts: list[Any]) -> str:
        return hmac.new(self._key, json.dumps(parts).encode(), hashlib.sha256).hexdigest()


class _Overtaken(Exception):
    """Somebody else appended first."""


def _record(row: sa.Row[Any]) -> AuditRecord:
    return AuditRecord(row.seq, row.at, row.actor, row.action, row.target, row.outcome, row.digest)
