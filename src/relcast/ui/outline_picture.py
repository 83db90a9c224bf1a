"""A training table as bars: one for each anchor, coloured by split, with its targets below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nicegui import html, ui

from relcast.tasks import Outline
from relcast.tasks.offsets import text
from relcast.tasks.report import TargetSummary
from relcast.tasks.wording import target_share, target_words
from relcast.ui import words
from relcast.ui.elements import cell, error_box, fold, note, table

__all__ = ["draw_outline"]

_WIDTH, _HEIGHT = 600.0, 70.0
_LISTED = 200
_KINDS = ("train", "val", "test", "left out", "empty")


@dataclass(frozen=True, slots=True)
class _Bar:
    """One anchor: when, which split, and its targets (None where it has no row)."""

    anchor: int
    split: str
    target: TargetSummary | None


def draw_outline(outline: Outline) -> None:
    """Draw the fault where there is one, the picture, the splits, and what was left out."""
    report, fault = outline.report, outline.fault
    with html.div().classes("rc-stack rc-outline"):
        if fault is not None:
            error_box(fault.message, fault.hint, fault.code)
        bars = _bars(outline)
        if report is not None:
            html.p(_headline(outline)).classes("rc-strong rc-outline-rows")
        if len(bars) > 1:
            _picture(bars)
        if report is not None:
            if report.splits:
                _splits(outline)
            _left_out(outline)
            for warning in report.warnings:
                error_box(warning, tone="warn")
        if bars:
            with fold(f"Every anchor ({outline.anchor_count:,})"):
                _anchors(bars)


def _headline(outline: Outline) -> str:
    report, of = outline.report, outline.sample
    if report is None:
        return ""
    about = "About " if of is not None and of.estimated else ""
    said = f"{about}{words.count(report.rows, 'row')}"
    if outline.temporal:
        said += f" at {words.count(outline.anchor_count, 'anchor')}"
        if outline.rhythm:
            said += f". {outline.rhythm}"
    if of is not None and of.estimated:
        said += f". Estimated from {of.entities:,} of {of.of:,} entities, chosen by their keys"
    return f"{said}."


def _bars(outline: Outline) -> list[_Bar]:
    report = outline.report
    found = {} if report is None else {a.anchor: a.target for a in report.anchors}
    return [_Bar(a.anchor, a.split, found.get(a.anchor)) for a in outline.anchors]


def _picture(bars: Sequence[_Bar]) -> None:
    with html.figure().classes("rc-outline-picture"):
        rows = [float(b.target.rows) if b.target else 0.0 for b in bars]
        if any(rows):
            _strip("Rows", bars, rows, whole=True)
            shares = [target_share(b.target) if b.target else None for b in bars]
            if any(s is not None for s in shares):
                _strip(_share_name(bars), bars, [s or 0.0 for s in shares])
        else:
            _strip("Anchors", bars, [1.0] * len(bars), whole=True)
        with html.div().classes("rc-axis"):
            html.span(text(bars[0].anchor))
            html.span(text(bars[-1].anchor))
        used = {b.split for b in bars}
        with html.figcaption().classes("rc-legend"):
            for kind in _KINDS:
                if kind in used:
                    with html.span().classes("rc-legend-item"):
                        html.span().classes(f"rc-swatch rc-split--{_slug(kind)}")
                        html.span(_LEGEND[kind])


_LEGEND = {
    "train": "train",
    "val": "val",
    "test": "test",
    "left out": "left out: its window overlaps another split's",
    "empty": "without any row",
}


def _strip(
    name: str, bars: Sequence[_Bar], values: Sequence[float], *, whole: bool = False
) -> None:
    """Draw a row of bars: one path for each split, so that a thousand anchors stay light."""
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    wide = _WIDTH / len(bars)
    gap = wide * 0.18 if len(bars) <= 120 else 0.0
    base = high / span * (_HEIGHT - 4)
    paths: dict[str, list[str]] = {}
    for n, (bar, value) in enumerate(zip(bars, values, strict=True)):
        tall = value / span * (_HEIGHT - 4)
        # An anchor without rows keeps a mark on the base line, so that it is seen to be there.
        tall = tall if abs(tall) >= 1 else 1.0
        left = n * wide + gap / 2
        paths.setdefault(bar.split, []).append(
            f"M{left:.2f} {base + 2:.2f}v{-tall:.2f}h{wide - gap:.2f}v{tall:.2f}z"
        )
    share = name.startswith("Share")

    def said(value: float) -> str:
        if share:
            return f"{100 * value:.1f} %"
        return f"{value:,.0f}" if whole else words.number(value)

    with html.div().classes("rc-strip"):
        html.span(name).classes("rc-label")
        html.span(f"up to {said(high)}").classes("rc-note")
        with html.svg(
            viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}",
            preserveAspectRatio="none",
            role="img",
            **{
                "aria-label": f"{name} of {len(bars):,} anchors: {said(min(values))} to "
                f"{said(max(values))}"
            },
        ).classes("rc-strip-bars"):
            for split, parts in paths.items():
                path = ui.element("path").classes(f"rc-split--{_slug(split)}")
                path.props["d"] = "".join(parts)


def _share_name(bars: Sequence[_Bar]) -> str:
    first = next(b.target for b in bars if b.target is not None)
    if first.positives is not None:
        return "Share of positives"
    if first.classes is not None:
        return "Share of the most frequent class"
    return "Mean number of values" if first.mean_length is not None else "Mean of the targets"


def _splits(outline: Outline) -> None:
    report = outline.report
    if report is None:
        return
    moments = (">Anchors", "From", "To") if outline.temporal else ()
    with html.div().classes("rc-splits"), table(("Split", *moments, ">Rows", "Targets")):
        for name, split in report.splits.items():
            planned = outline.splits.get(name)
            with html.tr():
                with html.td(), html.span().classes("rc-legend-item"):
                    html.span().classes(f"rc-swatch rc-split--{_slug(name)}")
                    html.span(name)
                if outline.temporal:
                    cell(f"{split.anchors:,}", right=True)
                    cell("–" if planned is None else text(planned.first), classes="rc-nowrap")
                    cell("–" if planned is None else text(planned.last), classes="rc-nowrap")
                cell(f"{split.target.rows:,}", right=True)
                cell(target_words(split.target))


def _left_out(outline: Outline) -> None:
    report = outline.report
    if report is None or not report.dropped:
        return
    with html.div():
        html.h3(f"Left out of {report.considered:,} looked at")
        with html.ul().classes("rc-dropped"):
            for reason, count in report.dropped.items():
                with html.li():
                    html.span(f"{count:,}").classes("rc-strong")
                    html.span(reason)


def _anchors(bars: Sequence[_Bar]) -> None:
    shown = bars[-_LISTED:]
    with table(("Anchor (UTC)", "Split", ">Rows", "Targets")):
        for bar in reversed(shown):
            with html.tr():
                cell(text(bar.anchor), classes="rc-nowrap")
                cell(bar.split)
                cell("0" if bar.target is None else f"{bar.target.rows:,}", right=True)
                cell("" if bar.target is None else target_words(bar.target))
    if len(bars) > len(shown):
        note(f"The newest {len(shown):,} of {len(bars):,} are listed.")


def _slug(split: str) -> str:
    return split.replace(" ", "-")
