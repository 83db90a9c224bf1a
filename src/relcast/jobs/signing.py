"""The platform's part for who may do what: keys, the admin's password, audit, idempotency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relcast.catalog import Answer, AuditRecord, KeyRecord, Principal, Verdict
from relcast.catalog.passwords import ADMIN
from relcast.jobs.rooms import Rooms

__all__ = ["Signing"]


class Signing(Rooms):
    """Keys, sign-in, the audit log, and remembered requests."""

    def reset_key(self) -> str:
        """Kill every earlier global key and return a new one, ``<customer_id>:rc_…``.

        When this returns, no earlier key is accepted by any process of this home.
        """
        return self.catalog.keys.reset()

    def ensure_first_key(self) -> str | None:
        """Return the first API key ever made here, once; None when there has been one."""
        return self.catalog.keys.ensure_first()

    def key_info(self) -> KeyRecord | None:
        """Return what may be shown of the living global key; None when there is none."""
        return self.catalog.keys.info()

    def authenticate(self, header: str | None) -> Principal:
        """Return whose key the ``X-API-Key`` header carries; raises ``auth.unauthorized``."""
        return self.catalog.keys.authenticate(header)

    def set_admin_password(self, password: str) -> None:
        """Set the UI's password; raises ``auth.weak_password``."""
        self.catalog.passwords.set(ADMIN, password)

    def verify_admin_password(self, password: str) -> bool:
        """Whether this is the UI's password (tens of milliseconds, by design)."""
        return self.catalog.passwords.verify(ADMIN, password)

    def admin_password_mark(self) -> str:
        """Return a word that changes when the UI's password is set anew, in whatever process."""
        return self.catalog.passwords.mark(ADMIN)

    def ensure_admin_password(self) -> str | None:
        """Return the UI's first password, once; None when one is set."""
        return self.catalog.passwords.ensure(ADMIN)

    def audit(self, actor: str, action: str, target: str = "", outcome: str = "ok") -> AuditRecord:
        """Write one row for a mutating or refused call."""
        return self.catalog.audit.append(actor, action, target, outcome)

    def audit_log(self, after: int = 0, limit: int = 200) -> list[AuditRecord]:
        """Return audit rows with a ``seq`` above ``after``, in order."""
        return self.catalog.audit.page(after, limit)

    def verify_audit(self) -> Verdict:
        """Recompute the audit chain and say whether it holds."""
        return self.catalog.audit.verify()

    def remember(
        self, key: str, method: str, path: str, body_hash: str, *, owner: str = ""
    ) -> Answer | None:
        """Begin a request with an idempotency key: None means do it, else repeat that answer.

        See ``relcast.catalog.idempotency``; end with ``remember_answer`` or ``forget``.
        """
        return self.catalog.idempotency.remember(key, method, path, body_hash, owner=owner)

    def remember_answer(
        self,
        key: str,
        status: int,
        body: Any,
        headers: Mapping[str, str] | None = None,
        *,
        owner: str = "",
    ) -> None:
        """Keep the answer of a request with an idempotency key for a day."""
        self.catalog.idempotency.answer(key, status, body, headers, owner=owner)

    def forget(self, key: str, *, owner: str = "") -> None:
        """Free the idempotency key of a request that failed before it made anything."""
        self.catalog.idempotency.forget(key, owner=owner)
