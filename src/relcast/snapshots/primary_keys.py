"""Which column is a table's primary key: named like one, never null, and unique over all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relcast.core.schema import Dtype, Stype
from relcast.snapshots.dtypes import DtypeChoice
from relcast.snapshots.names import has_key_word, is_generic_key, singular, stem, words
from relcast.snapshots.profile import Profile, is_unique
from relcast.snapshots.staging import Staged

__all__ = ["Candidate", "choose_primary_key", "name_evidence"]

_SURE = 80
_ENOUGH = 40
_DIRTY_SHARE = 0.01
_LONGEST_KEY = 64


@dataclass(frozen=True, slots=True)
class Candidate:
    """A column that may have a role, how strong the evidence is (0 to 100), and what it is."""

    column: str
    score: int
    evidence: str

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column, "score": self.score, "evidence": self.evidence}


def choose_primary_key(
    staged: Staged,
    table: str,
    profiles: Mapping[str, Profile],
    choices: Mapping[str, DtypeChoice],
    stypes: Mapping[str, Stype],
) -> tuple[str | None, str, tuple[Candidate, ...]]:
    """Return the key or None, the reason, and the candidates, the best first.

    A column whose name leaves no doubt is taken even when up to 1 % of its rows are null or
    repeated; those rows are dropped at ingest and counted, and the reason says so.
    """
    evidence = []
    for place, (name, profile) in enumerate(profiles.items()):
        dtype = choices[name].reading.dtype
        if (dtype.is_integer or dtype is Dtype.string) and stypes[name] not in (
            Stype.text,
            Stype.multicategorical,
        ):
            score, why = name_evidence(name, table, list(profiles), first=place == 0)
            if score and _could_be_key(profile):
                evidence.append((score, -place, name, why))
    candidates: list[Candidate] = []
    chosen: Candidate | None = None
    for score, _, name, why in sorted(evidence, reverse=True):
        present, distinct = is_unique(staged, profiles[name].column)
        bad = staged.rows - distinct
        if bad == 0:
            found = f"{why}; unique and never null in all {staged.rows:,} rows"
        elif score >= _SURE and bad <= _DIRTY_SHARE * staged.rows:
            found = (
                f"{why}; {staged.rows - present:,} rows without it and {present - distinct:,} "
                "repeating it will be dropped"
            )
        else:
            candidates.append(Candidate(name, 0, f"{why}, but {bad:,} rows are null or repeated"))
            continue
        enough = score >= (_ENOUGH if staged.rows > 1 else _SURE)
        candidate = Candidate(name, score if enough else min(score, _ENOUGH - 1), found)
        candidates.append(candidate)
        if chosen is None and enough:
            chosen = candidate
    ordered = tuple(sorted(candidates, key=lambda c: -c.score))
    if chosen is None:
        return None, "no column is named like the table's key, unique and never null", ordered
    return chosen.column, chosen.evidence, ordered


def name_evidence(column: str, table: str, columns: list[str], *, first: bool) -> tuple[int, str]:
    """Return how much a column's name and place speak for being the key (0 to 100), and why."""
    parts = tuple(singular(w) for w in words(column))
    entity = tuple(singular(w) for w in words(table))
    named = stem(column)
    if is_generic_key(column):
        return 100, f"named {column!r}"
    if has_key_word(column) or (parts == entity and entity):
        if entity in (named, parts):
            return 95, "named like the table"
        if _is_bridge(table, columns):
            return 0, ""
        if named and entity and (named[-len(entity) :] == entity or entity[-len(named) :] == named):
            return 90 if len(named) >= len(entity) else 82, "named much like the table"
        if named and entity and _alike(named[-1], entity[-1]):
            return 85, "named much like the table"
        if named and "".join(named) == "".join(entity):
            return 90, "named like the table"
        sure = has_key_word(column, sure=True)
        return (60 if first else 45) if sure else (50 if first else 41), "named like an identifier"
    return (_ENOUGH, "the first column") if first else (0, "")


def _could_be_key(profile: Profile) -> bool:
    # The estimate of distinct values errs by some percent; exact counting follows.
    if profile.rows and profile.distinct < 0.8 * profile.rows:
        return False
    return not len(profile.sample) or _longest(profile) <= _LONGEST_KEY


def _longest(profile: Profile) -> int:
    return max((len(str(value)) for value in profile.sample[:200].to_pylist()), default=0)


def _alike(one: str, other: str) -> bool:
    """Say whether two words share most of their letters from the start: qualify, qualifying."""
    shared = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        shared += 1
    return shared >= 4 and shared >= 0.7 * max(len(one), len(other)) - 1


def _is_bridge(table: str, columns: list[str]) -> bool:
    """Say whether a table's name is made of the stems of two of its identifiers: film_actor."""
    entity = {singular(w) for w in words(table)}
    stems = {stem(c) for c in columns if has_key_word(c, sure=True)}
    inside = [set(s) for s in stems if s and set(s) < entity]
    return len(inside) >= 2 and set().union(*inside) == entity
