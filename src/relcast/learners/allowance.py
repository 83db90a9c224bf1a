"""The time that a fit has, handed out to its learners one after another."""

from __future__ import annotations

import time
from dataclasses import dataclass

from relcast.learners.deadline import Deadline

__all__ = ["Allowance"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """A limit on wall time (what a user asked for) or on processor time (what a run mode has).

    Attributes:
        ends: When it is spent, on the clock that counts.
        wall: Whether that is the clock on the wall.
    """

    ends: float
    wall: bool

    @classmethod
    def begin(cls, wall_seconds: float | None, processor_seconds: float) -> Allowance:
        """Begin now: ``wall_seconds`` when given, else ``processor_seconds`` of this process."""
        if wall_seconds is not None:
            return cls(time.monotonic() + wall_seconds, wall=True)
        return cls(time.process_time() + processor_seconds, wall=False)

    def left(self) -> float:
        """Return the seconds that are left; 0 when it is spent."""
        now = time.monotonic() if self.wall else time.process_time()
        return max(0.0, self.ends - now)

    def part(self, share: float) -> Deadline:
        """Return a deadline after a share of what is left, between 0 and 1."""
        seconds = self.left() * share
        return Deadline.after(seconds if self.wall else None, seconds)
