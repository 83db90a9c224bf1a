"""The leaderboard of a fit: everything that was tried, by its tune metric on validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.

    Attributes:
        learner: Family: ``baseline`` or ``trees``.
        name: What is shown.
        validation: The tune metric on validation; None where it is not defined.
        seconds: Wall time that it took.
        trial: Number of the trial; None for baselines and blends.
        iterations: Trees (times classes) kept; None for baselines and blends.
        config: Its settings.
        published: Whether this line is the model.
    """

    learner: str
    name: str
    validation: float | None
    seconds: float
    trial: int | None = None
    iterations: int | None = None
    config: Mapping[str, Any] | None = None
    published: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Entry:
        return cls(**obj)
