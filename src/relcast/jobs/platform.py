"""The platform: the one object that server, UI and command line hold.

All methods are synchronous and return frozen records of ``relcast.catalog.records``. Heavy work is
done by child processes; everything here answers in milliseconds.
"""

from __future__ import annotations

from relcast.catalog import Catalog
from relcast.core.clock import Clock, utc_now
from relcast.core.errors import InvalidRequest
from relcast.core.settings import Settings
from relcast.jobs.engine import Engine
from relcast.jobs.home import Home
from relcast.jobs.signing import Signing
from relcast.jobs.submitting import Submitting
from relcast.sources import UploadArea

__all__ = ["Platform"]


class Platform(Submitting, Signing):
    """A relcast home, opened.

    Several processes may hold the same home. ``start`` begins to work on jobs in this one.
    """

    def __init__(self, settings: Settings, *, clock: Clock = utc_now) -> None:
        """Use ``open``."""
        self.settings = settings
        self.clock = clock
        self.catalog = Catalog(settings, clock)
        self.home = Home(settings.home)
        self.home.make()
        self.uploads = UploadArea(self.home.uploads)
        self._engine = Engine(self)
        self._wake = self._engine.wake

    @classmethod
    def open(cls, settings: Settings, *, clock: Clock = utc_now) -> Platform:
        """Open a home: create it (0700), migrate its catalog, make its secrets (0600).

        Raises ``settings.home_unusable``; ``settings.invalid`` for a database URL that cannot hold
        the catalog, and ``settings.store_unusable``.
        """
        try:
            return cls(settings, clock=clock)
        except OSError as error:
            raise InvalidRequest(
                f"Nothing can be kept in {settings.home}: {error.strerror or error}",
                code="settings.home_unusable",
                hint="Name a directory that this user may write to: --home or RELCAST_HOME.",
            ) from error

    def start(self, *, worker: bool = True) -> None:
        """Begin to work: with ``worker``, run jobs in this process's children.

        Jobs that a process of this home left behind when it died are taken up at their last
        finished step. Without ``worker``, jobs are only posted and read, and wait for a process
        that works. Raises ``jobs.already_started`` when another platform works in this process.
        """
        if worker:
            self._engine.start()

    def stop(self) -> None:
        """Stop working and close the home; running jobs go back to the queue. Safe to repeat."""
        self.quick_work.close()
        self._engine.stop()
        self.catalog.close()

    @property
    def working(self) -> bool:
        """Whether this process runs jobs."""
        return self._engine.running
