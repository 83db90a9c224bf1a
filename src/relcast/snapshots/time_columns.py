"""Which column says when a row came to be: the time from which it is known.

Times of birth, of deadlines and of what comes later in a row's life are none: a row would be hidden
before them, or known too early.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow.compute as pc

from relcast.snapshots.dtypes import DtypeChoice
from relcast.snapshots.names import singular, words
from relcast.snapshots.primary_keys import Candidate
from relcast.snapshots.profile import Profile

__all__ = ["choose_time_column"]

_NEVER = frozenset(
    {"birth", "born", "birthday", "birthdate", "dob", "death", "died", "deceased", "expiry",
     "expire", "expires", "expired", "expiration", "due", "deadline", "required", "until", "end",
     "ended", "ends", "finish", "finished", "valid", "scheduled", "sched", "planned", "expected",
     "estimated", "promised", "target", "next", "renewal", "maturity", "release", "founded"}
)  # fmt: skip
_LATER = frozenset(
    {"update", "updated", "modified", "modify", "modification", "edit", "edited", "change",
     "changed", "last", "latest", "access", "accessed", "activity", "seen", "login", "closed",
     "close", "deleted", "removed", "cancelled", "canceled", "completed", "resolved", "shipped",
     "delivered", "delivery", "returned", "return", "refund", "refunded", "approved", "paid",
     "settled", "arrival", "arr", "stock", "sync", "synced", "loaded", "ingested", "extracted",
     "etl", "community"}
)  # fmt: skip
_EVENT = frozenset(
    {"created", "creation", "create", "event", "occurred", "happened", "timestamp", "ts",
     "datetime", "issued", "purchased", "ordered", "order", "posted", "transaction", "placed",
     "recorded", "logged", "received", "signup", "registered", "joined", "opened", "start",
     "started", "invoice", "payment", "purchase", "visit", "click", "visited", "clicked"}
)  # fmt: skip
_PLAIN = frozenset({"date", "time", "timestamp", "datetime", "ts", "dt", "when"})


def choose_time_column(
    table: str, profiles: Mapping[str, Profile], choices: Mapping[str, DtypeChoice]
) -> tuple[str | None, str, tuple[Candidate, ...]]:
    """Return the time column or None, the reason, and the candidates, the best first.

    The best is named like the table or like an event; of equals, the first. A column of later
    changes (last_update) serves only when it is alone and its times differ from row to row;
    times of birth, end, deadline or plan never do, nor does a column whose times are all equal
    or that is empty for more than half of the rows.
    """
    entity = {singular(w) for w in words(table)} | set(words(table))
    times = [name for name, choice in choices.items() if choice.reading.dtype.is_time]
    scored: list[tuple[int, int, str, str]] = []
    for place, name in enumerate(times):
        score, why = _score(name, entity, profiles[name], alone=len(times) == 1)
        scored.append((score, -place, name, why))
    scored.sort(reverse=True)
    candidates = tuple(Candidate(name, score, why) for score, _, name, why in scored)
    if not candidates:
        return None, "the table holds no times", ()
    best = candidates[0]
    if best.score <= 0:
        return (
            None,
            f"no time says when a row came to be: {best.column} is {best.evidence}",
            candidates,
        )
    return best.column, best.evidence, candidates


def _score(name: str, entity: set[str], profile: Profile, *, alone: bool) -> tuple[int, str]:
    parts = {singular(w) for w in words(name)} | set(words(name))
    if profile.present == 0 and profile.rows:
        return 0, "empty"
    if never := sorted(parts & _NEVER):
        return 0, f"a time of {never[0]}, not of the row's beginning"
    if profile.present < profile.rows / 2:
        return 0, f"empty for {1 - profile.present / profile.rows:.0%} of the rows"
    different = pc.count_distinct(profile.sample).as_py() if len(profile.sample) else 0
    if profile.rows > 1 and different == 1:
        return 0, "the same in every row"
    if later := sorted((parts - entity) & _LATER):
        if alone and different > len(profile.sample) / 2:
            return 10, f"the only time, though it seems one of later change ({later[0]!r})"
        return 0, f"a time of later change ({later[0]!r})"
    gaps = (
        ""
        if profile.present == profile.rows
        else (f"; {profile.rows - profile.present:,} rows without it will be dropped")
    )
    if parts & entity:
        return 90, "named like the table" + gaps
    if parts & _EVENT:
        return 80, "named like an event" + gaps
    if parts <= _PLAIN:
        return 75, "named as the row's time" + gaps
    return (60 if alone else 50), ("the only time" if alone else "the first plain time") + gaps
