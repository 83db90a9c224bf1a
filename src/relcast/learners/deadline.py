"""When a fit has had its time."""

from __future__ import annotations

import time
from dataclasses import dataclass

__all__ = ["Deadline"]


@dataclass(frozen=True, slots=True)
class Deadline:
    """A limit on wall time, or on processor time.

    A time that the user asked for is wall time. The time of a run mode is processor time, because
    on a busy machine the clock on the wall says nothing of the work done, and the same fit should
    give the same model.

    Attributes:
        wall: ``time.monotonic()`` that ends it; None for none.
        processor: ``time.process_time()`` that ends it; None for none.
    """

    wall: float | None = None
    processor: float | None = None

    @classmethod
    def after(cls, wall_seconds: float | None, processor_seconds: float) -> Deadline:
        """Begin now: ``wall_seconds`` when given, else ``processor_seconds`` of this process."""
        if wall_seconds is not None:
            return cls(wall=time.monotonic() + wall_seconds)
        return cls(processor=time.process_time() + processor_seconds)

    def passed(self) -> bool:
        """Return whether the time is over."""
        if self.wall is not None and time.monotonic() > self.wall:
            return True
        return self.processor is not None and time.process_time() > self.processor

    def part(self, share: float) -> Deadline:
        """Return the deadline after this share, between 0 and 1, of the time that is left."""
        wall = processor = None
        if self.wall is not None:
            now = time.monotonic()
            wall = now + share * max(0.0, self.wall - now)
        if self.processor is not None:
            now = time.process_time()
            processor = now + share * max(0.0, self.processor - now)
        return Deadline(wall, processor)
