"""Passwords of the UI's accounts, as argon2id hashes."""

from __future__ import annotations

import hashlib
import secrets
from functools import cached_property

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.exc import IntegrityError

from relcast.catalog.database import Database
from relcast.catalog.tables import passwords
from relcast.core.clock import Clock
from relcast.core.errors import InvalidRequest

__all__ = ["ADMIN", "Passwords"]

ADMIN = "admin"
_SHORTEST = 12
_LONGEST = 1024


class Passwords:
    """The passwords of a catalog."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._hasher = PasswordHasher()  # argon2id with the library's current parameters

    @cached_property
    def _decoy(self) -> str:
        """What is verified against when an account has no password, so that both cost the same."""
        return self._hasher.hash(secrets.token_urlsafe())

    def set(self, account: str, password: str) -> None:
        """Set a password; raises ``auth.weak_password`` below 12 characters."""
        if not _SHORTEST <= len(password) <= _LONGEST:
            raise InvalidRequest(
                f"A password has at least {_SHORTEST} and at most {_LONGEST} characters",
                code="auth.weak_password",
                hint="Take four words that do not belong together.",
            )
        hashed = self._hasher.hash(password)
        values = {"hash": hashed, "changed_at": self._clock()}
        with self._database.write() as connection:
            changed = connection.execute(
                sa.update(passwords).where(passwords.c.account == account).values(**values)
            )
            if not changed.rowcount:
                connection.execute(sa.insert(passwords).values(account=account, **values))

    def verify(self, account: str, password: str) -> bool:
        """Whether this is the account's password; an unknown account costs the same work."""
        with self._database.read() as connection:
            stored: str | None = connection.scalar(
                sa.select(passwords.c.hash).where(passwords.c.account == account)
            )
        decoy = self._decoy  # made at the first call, whoever it is for
        try:
            self._hasher.verify(stored or decoy, password[:_LONGEST])
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def mark(self, account: str) -> str:
        """Return a word that changes when the account's password is set anew; "" without one.

        It is the SHA-256 of the stored record, whose salt is random: it tells nothing about the
        password, and the same password set twice has two marks.
        """
        with self._database.read() as connection:
            stored: str | None = connection.scalar(
                sa.select(passwords.c.hash).where(passwords.c.account == account)
            )
        return "" if stored is None else hashlib.sha256(stored.encode()).hexdigest()

    def ensure(self, account: str) -> str | None:
        """Give an account a random password and return it; None when it has one already."""
        with self._database.read() as connection:
            if connection.scalar(sa.select(sa.exists().where(passwords.c.account == account))):
                return None
        password = "-".join(secrets.token_hex(3) for _ in range(4))
        try:
            with self._database.write() as connection:
                connection.execute(
                    sa.insert(passwords).values(
                        account=account,
                        hash=self._hasher.hash(password),
                        changed_at=self._clock(),
                    )
                )
        except IntegrityError:  # another process was first
            return None
        return password
