"""Slots: which worker of a home a process is.

A worker holds a lock on the file of its slot for as long as it lives; the kernel lets go of it when
the process dies, however it dies. So a slot whose lock can be taken has no living worker, without
clocks and heartbeats. The slot's name is the executor's id in the engine, so that a worker that is
started again finds what the earlier one of that slot left behind.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Slot", "take_slot", "vacant_slots"]

_MOST = 1000


class Slot:
    """A slot that this process holds."""

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self._descriptor = descriptor

    def release(self) -> None:
        """Let another worker have the slot."""
        os.close(self._descriptor)


def take_slot(directory: Path) -> Slot:
    """Take the first slot that nobody holds."""
    for number in range(_MOST):
        slot = _try(directory / f"worker-{number}")
        if slot is not None:
            return slot
    message = f"{_MOST} workers run in {directory} already"
    raise RuntimeError(message)


@contextmanager
def vacant_slots(directory: Path) -> Iterator[list[Slot]]:
    """Yield, held for the moment, every slot whose worker is gone."""
    found = [s for path in sorted(directory.glob("worker-*")) if (s := _try(path)) is not None]
    try:
        yield found
    finally:
        for slot in found:
            slot.release()


def _try(path: Path) -> Slot | None:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return Slot(path.name, descriptor)
