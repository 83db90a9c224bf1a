"""Tables that clients upload in parts over HTTP, kept below one directory.

A table is what its manifest (``tables/<name>.json``) says: format and files. The manifest is
replaced in one rename, so that a reader sees the old table or the new one, never a mix. Names come
from clients and become file names, so only a narrow alphabet is let in.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from relcast.core.clock import utc_now
from relcast.core.errors import Conflict, InvalidRequest, NotFound, SourceError, nearest
from relcast.core.ids import new_id
from relcast.sources.csv_layout import sniff_layout
from relcast.sources.file_source import FileSource
from relcast.sources.files import FileFormat, TableFiles, require_inside
from relcast.sources.parquet_files import parquet_schema

__all__ = ["MOST_PARTS", "UploadArea", "UploadName"]

MOST_PARTS = 1000
_STALE_SECONDS = 24 * 3600
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_PART = re.compile(r"(?P<table>.+)\.(?P<format>parquet|csv)/(?P<part>[^/]+)")


@dataclass(frozen=True, slots=True)
class UploadName:
    """The table that an upload belongs to, and the part's name where it is one of several."""

    table: str
    part: str | None

    @classmethod
    def parse(cls, text: str) -> UploadName:
        """Read ``t`` or ``t.parquet/part_0001.parquet``; raise ``source.bad_name`` for others."""
        split = _PART.fullmatch(text)
        table, part = (split["table"], split["part"]) if split else (text, None)
        for word in (table, part):
            if word is not None and (not _WORD.fullmatch(word) or ".." in word):
                raise InvalidRequest(
                    f"{text[:80]!r} cannot be the name of an uploaded table",
                    code="source.bad_name",
                    hint="Use letters, digits, _, - and single dots, beginning with a letter, "
                    "digit or _, such as orders or orders.parquet/part_0001.parquet.",
                )
        return cls(table, part)


class UploadArea(FileSource):
    """Uploaded tables below ``root``; a source, and the protocol of uploading in parts.

    ``start`` gives an id, ``write_part`` stores one part and answers its ETag, ``complete`` checks
    the ETags, joins the parts and shows the table. Until then nothing is seen of it. Uploads that
    are not completed within a day are thrown away. Safe to use from several threads.
    """

    def __init__(self, root: Path | str, *, threads: int = 1) -> None:
        super().__init__(threads=threads)
        self.root = Path(root).absolute()
        self._lock = threading.RLock()
        for folder in ("tables", "files", "pending"):
            (self.root / folder).mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def kind(self) -> str:
        return "upload"

    def start(self, name: str, fmt: FileFormat, num_parts: int) -> str:
        """Begin an upload of ``num_parts`` (1 to 1,000) parts and return its id.

        Raises ``source.bad_name`` and ``source.bad_part``.
        """
        UploadName.parse(name)
        if fmt not in ("csv", "parquet"):
            raise InvalidRequest(
                f"{fmt!r} is no format of uploads", code="source.bad_name", hint="csv or parquet."
            )
        if not 1 <= num_parts <= MOST_PARTS:
            raise InvalidRequest(
                f"An upload cannot have {num_parts} parts",
                code="source.bad_part",
                hint=f"Use 1 to {MOST_PARTS} parts.",
            )
        self._sweep()
        upload_id = new_id("upload")
        folder = self.root / "pending" / upload_id
        folder.mkdir(mode=0o700)
        record = {"name": name, "format": fmt, "num_parts": num_parts}
        _write(folder / "upload.json", json.dumps(record).encode())
        return upload_id

    def write_part(self, upload_id: str, number: int, data: Iterable[bytes]) -> str:
        """Store part ``number`` (from 1) and return its ETag, in double quotes.

        A part that is sent again replaces the earlier one. Raises ``source.unknown_upload`` (404)
        and ``source.bad_part``.
        """
        record = self._pending(upload_id)
        if not 1 <= number <= record["num_parts"]:
            raise InvalidRequest(
                f"There is no part {number} in an upload of {record['num_parts']} parts",
                code="source.bad_part",
                hint="Parts are numbered from 1.",
            )
        folder = self.root / "pending" / upload_id
        mark = hashlib.sha256()
        staging = folder / new_id("incoming")
        try:
            with staging.open("wb") as file:
                for chunk in data:
                    mark.update(chunk)
                    file.write(chunk)
            staging.replace(folder / f"part-{number:05d}")
        finally:
            staging.unlink(missing_ok=True)
        etag = f'"{mark.hexdigest()}"'
        _write(folder / f"part-{number:05d}.etag", etag.encode())
        return etag

    def complete(self, upload_id: str, name: str, parts: Sequence[tuple[int, str]]) -> None:
        """Join the parts and show the table; a table of that name is replaced.

        A name such as ``t.parquet/part_0001.parquet`` adds that part to table ``t``, or replaces
        it. Raises ``source.unknown_upload`` (404), ``source.bad_part`` when parts are missing or
        an ETag differs, and whatever is wrong with the joined file; the table then stays as it was.
        """
        record = self._pending(upload_id)
        if record["name"] != name:
            raise Conflict(
                f"The upload {upload_id} is of {record['name']!r}, not of {name!r}",
                code="source.bad_name",
                hint="Complete an upload under the name that it was started with.",
            )
        folder = self.root / "pending" / upload_id
        self._check_parts(folder, record["num_parts"], parts)
        target = UploadName.parse(name)
        shown = (target.part or target.table).removesuffix(f".{record['format']}")
        file = self.root / "files" / new_id("file") / f"{shown}.{record['format']}"
        file.parent.mkdir(mode=0o700)
        try:
            with file.open("wb") as joined:
                for number in range(1, record["num_parts"] + 1):
                    with (folder / f"part-{number:05d}").open("rb") as part:
                        shutil.copyfileobj(part, joined, 1 << 20)
                joined.flush()
                os.fsync(joined.fileno())
            self._check_file(target.table, record["format"], file)
            self._show(target, record["format"], file)
        except BaseException:
            shutil.rmtree(file.parent, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)

    def delete(self, name: str) -> None:
        """Remove a table with all its parts; raise ``source.unknown_table`` (404) if none."""
        target = UploadName.parse(name)
        with self._lock:
            manifest = self._manifest(target.table)
            if manifest is None:
                raise NotFound(
                    f"There is no uploaded table {target.table!r}",
                    code="source.unknown_table",
                    hint=nearest(target.table, self.list_tables()),
                )
            self._manifest_path(target.table).unlink()
            self._remove(manifest["files"].values())

    def _tables(self) -> dict[str, list[TableFiles]]:
        tables: dict[str, list[TableFiles]] = {}
        for path in sorted((self.root / "tables").glob("*.json")):
            name = path.name.removesuffix(".json")
            manifest = self._manifest(name)
            if manifest is not None:
                kept = [self._inside(manifest["files"][part]) for part in sorted(manifest["files"])]
                tables[name] = [TableFiles(name, manifest["format"], tuple(kept))]
        return tables

    def files(self, name: str) -> TableFiles:
        """Return a table's files; raises ``source.unknown_table`` with a near name."""
        # Asked for at every step of the wire's table configuration: no listing for one table.
        manifest = self._manifest(name) if _WORD.fullmatch(name) else None
        if manifest is None:
            return super().files(name)
        kept = [self._inside(manifest["files"][part]) for part in sorted(manifest["files"])]
        return TableFiles(name, manifest["format"], tuple(kept))

    def _label(self, path: Path) -> str:
        return f"upload {path.name}"

    def _show(self, target: UploadName, fmt: FileFormat, file: Path) -> None:
        with self._lock:
            manifest = self._manifest(target.table)
            kept: dict[str, str] = {}
            if manifest is not None and target.part is not None and manifest["format"] == fmt:
                kept = {part: at for part, at in manifest["files"].items() if part != ""}
            old = set() if manifest is None else set(manifest["files"].values())
            kept[target.part or ""] = str(file.relative_to(self.root))
            _write(
                self._manifest_path(target.table),
                json.dumps({"format": fmt, "files": kept}).encode(),
            )
            self._remove(old - set(kept.values()))

    def _check_file(self, table: str, fmt: Literal["csv", "parquet"], file: Path) -> None:
        with self._naming(TableFiles(table, fmt, (file,))):
            if fmt == "parquet":
                parquet_schema((file,))
            else:
                sniff_layout(file)

    @staticmethod
    def _check_parts(folder: Path, num_parts: int, parts: Sequence[tuple[int, str]]) -> None:
        told = dict(parts)
        for number in range(1, num_parts + 1):
            stored = folder / f"part-{number:05d}.etag"
            if number not in told or not stored.exists():
                raise SourceError(
                    f"Part {number} of {num_parts} has not arrived",
                    code="source.bad_part",
                    hint="Send that part, then complete the upload again.",
                )
            if stored.read_text().strip('"') != told[number].strip().strip('"'):
                raise SourceError(
                    f"The ETag of part {number} is not that of what arrived",
                    code="source.bad_part",
                    hint="Send that part again.",
                )

    def _pending(self, upload_id: str) -> dict[str, Any]:
        path = self.root / "pending" / upload_id / "upload.json"
        if not re.fullmatch(r"upload-[0-9a-z]{16}", upload_id) or not path.exists():
            raise NotFound(
                "There is no such upload under way",
                code="source.unknown_upload",
                hint="Start the upload again; it was completed or has expired.",
            )
        return cast(dict[str, Any], json.loads(path.read_text()))

    def _manifest_path(self, table: str) -> Path:
        return self.root / "tables" / f"{table}.json"

    def _manifest(self, table: str) -> dict[str, Any] | None:
        try:
            return cast(dict[str, Any], json.loads(self._manifest_path(table).read_text()))
        except FileNotFoundError:
            return None

    def _inside(self, relative: str) -> Path:
        return require_inside(self.root / relative, (self.root,))

    def _remove(self, relative: Iterable[str]) -> None:
        for path in relative:
            shutil.rmtree((self.root / path).parent, ignore_errors=True)

    def _sweep(self) -> None:
        oldest = utc_now().timestamp() - _STALE_SECONDS
        for folder in (self.root / "pending").iterdir():
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    """Write a small file so that it appears once and whole."""
    staging = path.with_name(f".{path.name}.{new_id('w')}")
    with staging.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    staging.replace(path)
