"""Settings: everything that is chosen at start, read from the environment once.

Every setting has a default that is safe on a laptop. ``docs/settings.md`` lists them all, and a
test compares that page with this module.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from relcast.core.errors import InvalidRequest

__all__ = ["Compatibility", "Settings"]

Compatibility = Literal["kumo"]
"""Whose query language is taken, to the letter."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process.

    Attributes:
        home: Directory of everything that relcast keeps (metadata, snapshots, models, outputs).
        database_url: SQLAlchemy URL of the metadata store; SQLite under ``home`` by default.
        data_roots: Directories below which local connectors may read; none by default.
        customer_id: The part of an API key before the colon.
        public_url: Base of the URLs handed to clients; None derives it from each request.
        threads: Threads that heavy work may use.
        max_queue: Jobs that may wait before new ones are refused.
        max_run_seconds: Longest run of one job; None is unbounded.
        memory_limit_mb: Memory cap of one job's process; None is unbounded.
        jobs_at_once: Jobs that may run at the same time, over all workers of this home.
        statistics_seconds: Longest computation of a training table's statistics before training.
        pql_compatibility: ``kumo`` refuses our extensions of the query language; None takes them.
    """

    home: Path
    database_url: str
    data_roots: tuple[Path, ...] = ()
    customer_id: str = "demo"
    public_url: str | None = None
    threads: int = 1
    max_queue: int = 1000
    max_run_seconds: int | None = None
    memory_limit_mb: int | None = None
    jobs_at_once: int = 1
    statistics_seconds: int = 60
    pql_compatibility: Compatibility | None = None

    @property
    def engine_memory(self) -> str | None:
        """What of ``memory_limit_mb`` the label engine may take, such as ``2048MiB``; None is free.

        Half: the rest of a process has to live beside it.
        """
        most = self.memory_limit_mb
        return None if most is None else f"{max(256, most // 2)}MiB"

    @classmethod
    def load(
        cls, home: Path | str | None = None, environ: Mapping[str, str] | None = None
    ) -> Settings:
        """Read the environment; ``home`` overrides ``RELCAST_HOME``.

        Raises ``settings.invalid`` with the variable's name when a value does not parse.
        """
        env = os.environ if environ is None else environ
        root = Path(home or env.get("RELCAST_HOME") or Path.home() / ".relcast")
        root = root.expanduser().resolve()
        roots = tuple(
            Path(part).expanduser().resolve()
            for part in env.get("RELCAST_DATA_ROOTS", "").split(os.pathsep)
            if part
        )
        customer = env.get("RELCAST_CUSTOMER_ID") or "demo"
        if ":" in customer:
            raise InvalidRequest(
                "RELCAST_CUSTOMER_ID may not contain ':'",
                code="settings.invalid",
                hint="The key is written <customer_id>:<secret>.",
            )
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return cls(
            home=root,
            database_url=env.get("RELCAST_DATABASE_URL") or f"sqlite:///{root / 'relcast.db'}",
            data_roots=roots,
            customer_id=customer,
            public_url=(env.get("RELCAST_PUBLIC_URL") or "").rstrip("/") or None,
            threads=_whole(env, "RELCAST_THREADS", cpus or 1) or 1,
            max_queue=_whole(env, "RELCAST_MAX_QUEUE", 1000) or 1000,
            max_run_seconds=_whole(env, "RELCAST_MAX_RUN_SECONDS", None),
            memory_limit_mb=_whole(env, "RELCAST_MEMORY_LIMIT_MB", None),
            jobs_at_once=_whole(env, "RELCAST_JOBS_AT_ONCE", 1) or 1,
            statistics_seconds=_whole(env, "RELCAST_STATISTICS_SECONDS", 60) or 60,
            pql_compatibility=_compatibility(env.get("RELCAST_PQL_COMPATIBILITY")),
        )


def _compatibility(word: str | None) -> Compatibility | None:
    if not word:
        return None
    if word != "kumo":
        raise InvalidRequest(
            f"RELCAST_PQL_COMPATIBILITY is {word!r}, which is not 'kumo'",
            code="settings.invalid",
            hint="Set it to kumo to refuse our extensions of the query language, or unset it.",
        )
    return "kumo"


def _whole(env: Mapping[str, str], name: str, default: int | None) -> int | None:
    text = env.get(name)
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise InvalidRequest(
            f"{name} is {text!r}, which is not a whole number of at least 1",
            code="settings.invalid",
            hint=f"Set {name} to a number such as {default or 3600}, or unset it.",
        )
    return value
