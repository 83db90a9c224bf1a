"""The distribution of targets in a few words, for people."""

from __future__ import annotations

from relcast.tasks.report import TargetSummary

__all__ = ["target_share", "target_words"]

_NAMED = 3


def target_words(target: TargetSummary) -> str:
    """Say how targets are distributed, such as ``12.5 % positive`` or ``mean 4.2, 0 to 93``."""
    if target.rows == 0:
        return "none"
    if target.positives is not None:
        return f"{_percent(target.positives / target.rows)} positive"
    if target.classes is not None:
        return _frequent(tuple(target.classes.items()), target.rows)
    if target.mean_length is not None:
        found = f"{target.mean_length:.3g} values a row"
        if target.distinct is not None:
            found += f", {target.distinct:,} distinct"
        return found + (f", {target.empty:,} rows with none" if target.empty else "")
    if target.mean is None:
        return ""
    found = f"mean {target.mean:.4g}"
    if target.low is not None and target.high is not None:
        found += f", {target.low:.4g} to {target.high:.4g}"
    return found + (f", over {len(target.windows)} windows" if target.windows else "")


def target_share(target: TargetSummary) -> float | None:
    """Return the one number that is drawn over time: the share of positives, or a mean.

    Of classes the share of the most frequent one, of lists the mean length; None of no rows.
    """
    if target.rows == 0:
        return None
    if target.positives is not None:
        return target.positives / target.rows
    if target.classes is not None:
        return max(target.classes.values(), default=0) / target.rows
    return target.mean_length if target.mean_length is not None else target.mean


def _frequent(counts: tuple[tuple[str, int], ...], rows: int) -> str:
    shown = ", ".join(f"{name} {_percent(n / rows)}" for name, n in counts[:_NAMED])
    return f"{shown}, …" if len(counts) > _NAMED else shown


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
