"""Secrets that stand in files of the home, readable by their owner only, and not in the database.

A copy of the database alone can then neither check nor forge a key, and cannot mend the audit
chain after a change.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

__all__ = ["file_secret"]

_BYTES = 32


def file_secret(path: Path) -> bytes:
    """Return the 32 random bytes kept at ``path`` (mode 0600), made at the first call.

    Safe when several processes make it at once: the first one's is everybody's.
    """
    with suppress(FileNotFoundError):
        return path.read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    # A link, unlike a rename, fails when somebody else was first.
    with suppress(FileExistsError):
        path.hardlink_to(temporary)
    temporary.unlink()
    return path.read_bytes()
