"""The home directory: what lies where in it. The one module that knows its names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from relcast.core.errors import NotFound

__all__ = ["Home"]


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below one root; everything is readable by its owner only."""

    root: Path

    @property
    def uploads(self) -> Path:
        return self.root / "uploads"

    @property
    def snapshots(self) -> Path:
        return self.root / "snapshots"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def workers(self) -> Path:
        return self.root / "workers"

    @property
    def engine_database(self) -> Path:
        """The engine's own database (steps and queue), where the catalog is SQLite."""
        return self.root / "engine.db"

    def outputs(self, job_id: str) -> Path:
        """Where a job's published files are."""
        return self.root / "jobs" / job_id

    def staging(self, job_id: str) -> Path:
        """Where a job's files are made before they are published."""
        return self.root / "staging" / job_id

    def log(self, job_id: str) -> Path:
        """What the processes of a job said."""
        return self.root / "logs" / f"{job_id}.log"

    def make(self) -> None:
        """Create the directories, mode 0700."""
        for name in ("uploads", "snapshots", "models", "jobs", "staging", "logs", "workers"):
            (self.root / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def relative(self, path: Path | str) -> str:
        """Return a path below the home as it is kept in records, so that a home can be moved."""
        return str(Path(path).relative_to(self.root))

    def inside(self, *parts: str) -> Path:
        """Return an existing path below the home, links resolved; raises ``not_found`` outside."""
        root = self.root.resolve()
        path = root.joinpath(*parts).resolve()
        if not path.is_relative_to(root) or not path.exists():
            raise NotFound(
                f"There is no file {parts[-1]!r} here",
                code="file.not_found",
                hint="The names of a job's files stand in its result.",
            )
        return path
