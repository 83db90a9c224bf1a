"""What the engines answer, in one form: (entity, anchor as int64 ns or None, target)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pandas as pd


class Row(NamedTuple):
    entity: Any
    anchor: int | None
    target: Any


def as_rows(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[Row]:
    """Return rows of ENTITY [, TIMESTAMP], TARGET, whatever type an engine gives a number."""
    assert list(names) in (["ENTITY", "TIMESTAMP", "TARGET"], ["ENTITY", "TARGET"]), names
    if len(names) == 2:
        return [Row(plain(e), None, plain(t)) for e, t in rows]
    return [Row(plain(e), moment(a), plain(t)) for e, a, t in rows]


def plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def moment(value: Any) -> int:
    if isinstance(value, datetime) and not isinstance(value, pd.Timestamp):
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value
        whole = aware - datetime(1970, 1, 1, tzinfo=UTC)
        return (whole.days * 86_400_000_000 + whole.seconds * 1_000_000 + whole.microseconds) * 1000
    return int(pd.Timestamp(value).as_unit("ns").value)
