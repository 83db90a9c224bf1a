"""The page about data tells every error code, ending and missing word of these rooms."""

from __future__ import annotations

import re
from pathlib import Path

from relcast.sources.csv_files import NULL_WORDS
from relcast.sources.files import SUFFIXES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "data.md").read_text()


def test_every_error_code_is_told_and_no_other():
    used = set()
    for room in ("sources", "snapshots"):
        for path in (ROOT / "src" / "relcast" / room).glob("*.py"):
            used |= set(re.findall(r'code="([a-z_.]+)"', path.read_text()))
    told = set(re.findall(r"^\| `((?:source|schema|snapshot)\.\w+)` \|", PAGE, re.MULTILINE))
    assert told == used


def test_every_ending_and_missing_word_is_told():
    assert all(f"orders{suffix}`" in PAGE for suffix in SUFFIXES)
    assert all(f"`{word}`" in PAGE for word in NULL_WORDS if word)
