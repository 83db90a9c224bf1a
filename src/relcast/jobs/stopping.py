"""Stopping a training early, in the child: the wish of the server, and where it is heard.

The server asks with a signal. A fit hears it at its next update; asked again, it is interrupted
where it stands. Outside of the stage ``Training`` there is nothing to stop: what comes after it is
what publishes.
"""

from __future__ import annotations

import signal
from types import FrameType

from relcast.core.errors import Cancelled
from relcast.core.progress import StageName

__all__ = ["SIGNAL", "Stopping"]

SIGNAL = signal.SIGUSR1
"""What the process of a training gets when it is to stop and publish its best so far."""


class Stopping:
    """Whether this process was asked to stop training, and whether it did.

    Attributes:
        stopped: Whether a training was stopped.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._asked = 0
        self._training = False

    def listen(self) -> None:
        """Take the signal from now on; call it in the main thread."""
        signal.signal(SIGNAL, self._hear)

    def begins(self, stage: StageName) -> None:
        """A stage begins."""
        self._training = self._training or stage == "Training"

    def ends(self, stage: StageName) -> None:
        """A stage ends."""
        self._training = self._training and stage != "Training"

    def check(self) -> None:
        """Raise ``Cancelled`` when the training that runs is to stop."""
        if self._asked and self._training:
            self.stopped = True
            raise Cancelled("The training was asked to stop", hint="Nothing was there to keep.")

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._asked += 1
        if self._asked > 1 and self._training and not self.stopped:
            self.stopped = True
            raise KeyboardInterrupt
