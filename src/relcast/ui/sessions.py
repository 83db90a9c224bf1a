"""Who is signed in, and how often somebody may guess the password.

A session is a random token in the browser's cookie; the house keeps only the token's SHA-256 and
the time at which it dies, in one file that only the owner can read, so that a restart signs nobody
out and a stolen file signs nobody in.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from relcast.core.clock import Clock, isoformat, parse_time, utc_now

__all__ = ["COOKIE", "LIFETIME", "Sessions", "Throttle"]

COOKIE = "relcast_session"
LIFETIME = timedelta(days=7)
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Session:
    expires: datetime
    mark: str


class Sessions:
    """The open sessions of one home, kept in ``path`` (mode 0600).

    ``mark`` returns a word that changes with the password. A session remembers the word of the
    password that opened it, and ends when a new password is set, in whatever process; that is
    looked at once a second.
    """

    def __init__(self, path: Path, mark: Callable[[], str], *, clock: Clock = utc_now) -> None:
        self._path = path
        self._read_mark = mark
        self._clock = clock
        self._lock = threading.Lock()
        self._mark: tuple[str, float] | None = None
        self._sessions: dict[str, _Session] = self._load()

    def mark(self) -> str:
        """Return the word of the password as it is now; read it before checking a password."""
        word = self._read_mark()
        self._mark = (word, time.monotonic())
        return word

    def open(self, mark: str) -> str:
        """Open a session for who knew the password of that mark; return its token, not kept."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            now = self._clock()
            self._sessions = {
                d: s for d, s in self._sessions.items() if s.expires > now and s.mark == mark
            }
            self._sessions[_digest(token)] = _Session(now + LIFETIME, mark)
            self._save()
        return token

    def is_open(self, token: str | None) -> bool:
        """Say whether the token's session is neither closed nor too old nor of an old password."""
        if not token:
            return False
        session = self._sessions.get(_digest(token))
        if session is None or session.expires <= self._clock():
            return False
        known = self._mark
        if known is None or time.monotonic() - known[1] > _LOOK_SECONDS:
            return session.mark == self.mark()
        return session.mark == known[0]

    def close(self, token: str | None) -> None:
        """End the session of that token; a token without one is ignored."""
        if not token:
            return
        with self._lock:
            if self._sessions.pop(_digest(token), None) is not None:
                self._save()

    def _load(self) -> dict[str, _Session]:
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            found = {
                digest: (parse_time(entry["expires"]), str(entry["mark"]))
                for digest, entry in stored.items()
            }
        except (OSError, ValueError, AttributeError, TypeError, KeyError):
            # A missing or broken file means that everybody signs in once more.
            return {}
        return {
            digest: _Session(expires, mark)
            for digest, (expires, mark) in found.items()
            if expires is not None
        }

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        staging = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        handle = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            stored = {
                digest: {"expires": isoformat(session.expires), "mark": session.mark}
                for digest, session in self._sessions.items()
            }
            json.dump(stored, file)
            file.flush()
            os.fsync(file.fileno())
        staging.replace(self._path)


def _digest(token: str) -> str:
    # A token has 256 random bits: a plain hash is enough, there is nothing to guess.
    return hashlib.sha256(token.encode()).hexdigest()


class Throttle:
    """Slow down guessing: after ``free`` wrong tries the wait doubles, up to ``longest``.

    Tries are counted for each address, and together under a tenfold allowance, so that many
    addresses do not buy many guesses. A right password clears the address only.
    """

    def __init__(
        self,
        *,
        free: int = 5,
        longest: timedelta = timedelta(minutes=5),
        clock: Clock = utc_now,
    ) -> None:
        self._free = free
        self._longest = longest
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: dict[str, tuple[int, datetime]] = {}

    def wait(self, address: str) -> int:
        """Return the seconds until the address may try again; 0 is now."""
        with self._lock:
            return max(self._wait(address, self._free), self._wait("", 10 * self._free))

    def wrong(self, address: str) -> None:
        """Count a wrong try."""
        with self._lock:
            now = self._clock()
            # Forget addresses that have been quiet for long, so that the table stays small.
            quiet = now - 4 * self._longest
            self._wrong = {a: (n, at) for a, (n, at) in self._wrong.items() if at > quiet}
            for key in (address, ""):
                count = self._wrong.get(key, (0, now))[0]
                self._wrong[key] = (count + 1, now)

    def right(self, address: str) -> None:
        """Forget the address' wrong tries."""
        with self._lock:
            self._wrong.pop(address, None)

    def _wait(self, key: str, free: int) -> int:
        count, last = self._wrong.get(key, (0, self._clock()))
        if count < free:
            return 0
        pause = min(timedelta(seconds=2 ** min(count - free, 20)), self._longest)
        left = (last + pause - self._clock()).total_seconds()
        return max(0, -int(-left // 1))
