"""The plan of a training table: which anchors, which split, which weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from relcast.core.clock import Clock, isoformat, parse_time, utc_now
from relcast.core.errors import InvalidRequest, nearest
from relcast.core.options import first_misfit
from relcast.tasks.offsets import from_datetime

__all__ = ["TablePlan"]


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What a training table is made of, beside the query itself.

    Attributes:
        split: ``inferred``, or the text of a split such as
            ``ApproxDateOffsetSplit([0.8, 0.1, 0.1])`` (see ``relcast.tasks.splits``).
        timeframe_step: Distance between anchors, in the unit of the target's window; None is the
            window's length.
        start_time: Earliest anchor, inclusive: an ISO 8601 time, or a number of days relative to
            now that is not positive.
        end_time: Latest anchor, inclusive; the same forms.
        train_start_offset: The earliest anchor's distance back from the newest data, in the unit of
            the target's window; None or 0 is no bound.
        train_end_offset: How much of the newest data is left aside, in that unit: windows end at
            least this long before it. None or 0 is nothing.
        forecast_length: How many windows a forecast predicts, as ``FORECAST n TIMEFRAMES`` says;
            the checker takes it (``check(..., forecast_length=n)``). None leaves it to the query.
        lag_timesteps: Of a forecast, how many of the last windows are inputs by themselves, beside
            what sums them up; None leaves it to the learner. The table's rows do not depend on it.
        year_over_year: Of a forecast, whether the year before is an input: True or None wherever
            the data shows one, False never.
        weight_column: A column of the entity table that weighs its examples.
        seed: Of every shuffle.
        allow_mutable: Whether WHERE may read columns that are overwritten in place as if they had
            always held what they hold now.
    """

    split: str = "inferred"
    timeframe_step: int | None = None
    start_time: int | str | None = None
    end_time: int | str | None = None
    train_start_offset: int | None = None
    train_end_offset: int | None = None
    weight_column: str | None = None
    seed: int = 0
    forecast_length: int | None = None
    allow_mutable: bool = False
    lag_timesteps: int | None = None
    year_over_year: bool | None = None

    def __post_init__(self) -> None:
        """Raise ``task.invalid_plan`` when a value has the wrong type or is out of range."""
        misfit = first_misfit(self)
        if misfit is not None:
            name, wanted = misfit
            raise InvalidRequest(
                f"The plan's {name} is {getattr(self, name)!r}, which is not {wanted}",
                code="task.invalid_plan",
                hint=f"Give {wanted}, or leave {name} out.",
            )
        for name in ("timeframe_step", "forecast_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise _invalid(name, value, "Give a whole number above 0.")
        for name in ("train_start_offset", "train_end_offset", "lag_timesteps"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise _invalid(name, value, "Give a whole number, 0 or above.")
        for name in ("start_time", "end_time"):
            self._moment(name, utc_now)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> TablePlan:
        """Read a plan; raises ``task.invalid_plan`` on an option that there is not."""
        known = {f.name for f in fields(cls)}
        for name in obj:
            if name not in known:
                raise InvalidRequest(
                    f"A training table's plan has no option {name!r}",
                    code="task.invalid_plan",
                    hint=nearest(name, sorted(known)),
                )
        return cls(**obj)

    @property
    def bounded(self) -> bool:
        """Whether the plan leaves out anchors that the data has."""
        offsets = self.train_start_offset or self.train_end_offset
        return bool(offsets) or self.start_time is not None or self.end_time is not None

    def unbounded(self) -> TablePlan:
        """Return the plan without the four options that bound the anchors."""
        return replace(
            self, start_time=None, end_time=None, train_start_offset=None, train_end_offset=None
        )

    def first_anchor(self, clock: Clock = utc_now) -> int | None:
        """Return ``start_time`` as ns UTC, or None without one."""
        return self._moment("start_time", clock)

    def last_anchor(self, clock: Clock = utc_now) -> int | None:
        """Return ``end_time`` as ns UTC, or None without one."""
        return self._moment("end_time", clock)

    def _moment(self, name: str, clock: Clock) -> int | None:
        value: int | str | None = getattr(self, name)
        if value is None or value == "":
            return None
        hint = "Write a time such as 2024-02-27, or whole days relative to now such as -365."
        if isinstance(value, int):
            if value > 0:
                raise _invalid(name, value, hint)
            return from_datetime(clock() + timedelta(days=value))
        try:
            moment = parse_time(value)
        except ValueError:
            raise _invalid(name, value, hint) from None
        return None if moment is None else from_datetime(moment)


def _invalid(name: str, value: object, hint: str) -> InvalidRequest:
    shown = isoformat(value) if isinstance(value, datetime) else repr(value)
    return InvalidRequest(
        f"The plan's {name} is {shown}, which is out of range", code="task.invalid_plan", hint=hint
    )
