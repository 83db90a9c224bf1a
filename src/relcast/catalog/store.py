"""The catalog: one database, one store per noun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from relcast.catalog.audit import Audit
from relcast.catalog.connectors import Connectors
from relcast.catalog.database import Database
from relcast.catalog.events import Events
from relcast.catalog.graphs import Graphs
from relcast.catalog.idempotency import Idempotency
from relcast.catalog.jobs import Jobs
from relcast.catalog.keys import Keys
from relcast.catalog.models import Models
from relcast.catalog.passwords import Passwords
from relcast.catalog.queries import Queries
from relcast.catalog.secret_files import file_secret
from relcast.catalog.stages import Stages
from relcast.core.clock import Clock, utc_now
from relcast.core.settings import Settings

__all__ = ["Catalog"]


class Catalog:
    """Everything that relcast remembers besides data: opened, migrated, and read by noun.

    The home is created with mode 0700; the database, its secrets' files with mode 0600.
    """

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings.home.chmod(0o700)
        secrets = settings.home / "secrets"
        self.database = Database(settings.database_url)
        self.connectors = Connectors(self.database, clock)
        self.graphs = Graphs(self.database, clock)
        self.queries = Queries(self.database, clock)
        self.models = Models(self.database, clock)
        self.events = Events(self.database, clock)
        self.stages = Stages(self.database, clock)
        self.jobs = Jobs(self.database, clock, self.stages, self.events)
        self.keys = Keys(
            self.database,
            clock,
            pepper=file_secret(secrets / "pepper"),
            customer_id=settings.customer_id,
        )
        self.passwords = Passwords(self.database, clock)
        self.audit = Audit(self.database, clock, key=file_secret(secrets / "audit"))
        self.idempotency = Idempotency(self.database, clock)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Let what the stores write inside happen together or not at all."""
        with self.database.write():
            yield

    def close(self) -> None:
        """Close every connection to the database."""
        self.database.close()
