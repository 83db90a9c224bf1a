"""What a column means, from its dtype, its name and a sample of its values."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from relcast.core.schema import Dtype, Stype
from relcast.snapshots.names import has_key_word, words
from relcast.snapshots.profile import Profile

__all__ = ["choose_stype"]

_CATEGORY_WORDS = frozenset(
    {"type", "kind", "status", "state", "category", "class", "gender", "sex", "flag", "color",
     "colour", "zip", "postal", "postcode", "code", "group", "segment", "channel", "method", "mode",
     "region", "country", "currency", "language", "level", "is", "has"}
)  # fmt: skip
_TEXT_WORDS = frozenset(
    {"description", "comment", "comments", "text", "body", "message", "review", "notes", "note",
     "summary", "content", "abstract", "title", "bio", "about"}
)  # fmt: skip
_FEW = 20
_FEW_CODES = 200


def choose_stype(name: str, dtype: Dtype, profile: Profile) -> tuple[Stype, str]:
    """Return the semantic type and the evidence for it."""
    if dtype in (Dtype.binary, Dtype.unsupported):
        return Stype.unsupported, "its type cannot be an input"
    if dtype.is_time:
        return Stype.timestamp, "holds times"
    if dtype is Dtype.bool:
        return Stype.categorical, "holds truth values"
    if dtype in (Dtype.stringlist, Dtype.intlist):
        return Stype.multicategorical, "holds lists of labels"
    if dtype is Dtype.floatlist:
        return Stype.sequence, "holds lists of numbers"
    if dtype is Dtype.string:
        return _of_text(name, profile)
    if dtype.is_integer:
        return _of_whole(name, profile)
    return Stype.numerical, "holds numbers"


def _of_whole(name: str, profile: Profile) -> tuple[Stype, str]:
    distinct = profile.distinct
    if has_key_word(name, sure=True):
        if distinct <= _FEW_CODES and distinct <= 0.02 * profile.present:
            # A foreign key among them becomes an ID again when it is linked.
            return Stype.categorical, f"a code, about {distinct:,} different values"
        return Stype.ID, "named like an identifier"
    if _CATEGORY_WORDS & set(words(name)[-1:] + words(name)[:1]) and distinct <= max(
        1000, profile.present // 20
    ):
        return Stype.categorical, f"named like a category, about {distinct:,} different values"
    if (
        profile.present
        and distinct <= 2
        and profile.minimum in (0, 1)
        and profile.maximum in (0, 1)
    ):
        return Stype.categorical, "holds 0 and 1 only"
    return Stype.numerical, "holds whole numbers"


def _of_text(name: str, profile: Profile) -> tuple[Stype, str]:
    sample = profile.sample
    if not len(sample) or not pa.types.is_string(sample.type):
        if has_key_word(name, sure=True):
            return Stype.ID, "named like an identifier"
        return Stype.categorical, "holds no value to judge by" if not len(sample) else "holds codes"
    length = pc.mean(pc.utf8_length(sample)).as_py()
    spaces = pc.mean(pc.count_substring(sample, " ")).as_py()
    share = min(profile.distinct_share, profile.sample_distinct_share)
    told = f"{length:.0f} characters and {spaces + 1:.1f} words on average"
    if has_key_word(name, sure=True):
        return Stype.ID, "named like an identifier"
    separator = _separator(sample)
    if separator:
        return Stype.multicategorical, f"labels joined by {separator!r}"
    if profile.distinct <= _FEW or share <= 0.02:
        return Stype.categorical, f"about {profile.distinct:,} different values"
    wordy = spaces >= 4 or length > 60
    if wordy or (_TEXT_WORDS & set(words(name)[-1:]) and spaces >= 1 and share > 0.2):
        return Stype.text, told
    if share > 0.9 and spaces < 0.1 and profile.present > _FEW:
        return Stype.ID, f"{share:.0%} of the values differ, and they hold no spaces"
    if share > 0.5 and profile.distinct > 1000:
        return Stype.text, f"{share:.0%} of the values differ; {told}"
    return Stype.categorical, f"about {profile.distinct:,} different values"


def _separator(sample: pa.Array) -> str | None:
    """Return the sign that joins labels, where a few labels make up many combinations."""
    for sign in ("|", ";", ","):
        holding = pc.mean(pc.match_substring(sample, sign).cast(pa.float64())).as_py()
        if holding < 0.3:
            continue
        lists = pc.split_pattern(sample, sign)
        labels = pc.utf8_trim_whitespace(pc.list_flatten(lists))
        labels = labels.filter(pc.not_equal(labels, ""))
        if not len(labels):
            continue
        different = pc.count_distinct(labels).as_py()
        longest = pc.max(pc.utf8_length(labels)).as_py()
        combinations = pc.count_distinct(sample).as_py()
        if different <= max(_FEW, len(labels) // 20) and different < combinations and longest <= 40:
            return sign
    return None
