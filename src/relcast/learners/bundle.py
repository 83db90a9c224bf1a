"""The directory of a saved model: JSON, LightGBM text and safetensors, nothing that can run.

Written to a temporary directory and renamed, so that a reader sees all of it or nothing. Reading
trusts nothing: names, sizes and hashes are checked against the manifest before a file is opened,
links are refused, and everything that does not fit is one ``model.broken_bundle`` error.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.errors import ModelError

__all__ = ["FORMAT", "Bundle", "read_bundle", "require_place", "write_bundle"]

FORMAT = 1
"""Version of the layout; a reader refuses newer ones."""

_MANIFEST = "model.json"
_ARRAYS = "arrays.safetensors"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}\.(txt|json|safetensors|parquet)")
_DTYPES = frozenset({"I64", "F64", "F32", "U8", "I32"})
_MOST_MANIFEST = 64 * 2**20
_MOST_BYTES = 8 * 2**30
_MOST_FILES = 256

Array = npt.NDArray[Any]


class Bundle:
    """An opened bundle: the manifest's content, and its files, read on demand and checked."""

    def __init__(self, path: Path, content: dict[str, Any], files: Mapping[str, Any]) -> None:
        self.path = path
        self.content = content
        self._files = files

    def names(self) -> list[str]:
        return list(self._files)

    def text(self, name: str) -> str:
        """Return a file as text."""
        try:
            return self._bytes(name).decode("utf-8")
        except UnicodeDecodeError:
            raise broken(self.path, f"{name} is not text") from None

    def arrays(self) -> dict[str, Array]:
        """Return all arrays; types other than plain numbers are refused."""
        if _ARRAYS not in self._files:
            return {}
        blob = self._bytes(_ARRAYS)
        _check_safetensors(self.path, blob)
        from safetensors.numpy import load

        try:
            return dict(load(blob))
        except Exception as error:
            raise broken(self.path, f"{_ARRAYS} cannot be read: {error}") from error

    def file(self, name: str) -> Path:
        """Return the path of a file after its size and hash have been checked."""
        self._bytes(name)
        return self.path / name

    def _bytes(self, name: str) -> bytes:
        entry = self._files.get(name)
        if entry is None:
            raise broken(self.path, f"{name} is not in the manifest")
        blob = _read(self.path, name, int(entry["bytes"]))
        if len(blob) != entry["bytes"]:
            raise broken(self.path, f"{name} has {len(blob)} bytes, not {entry['bytes']}")
        if hashlib.sha256(blob).hexdigest() != entry["sha256"]:
            raise broken(self.path, f"{name} is not the file that was saved")
        return blob


def write_bundle(
    path: Path,
    content: Mapping[str, Any],
    arrays: Mapping[str, Array],
    texts: Mapping[str, str],
    writers: Mapping[str, Callable[[Path], object]],
) -> None:
    """Write a bundle to the directory ``path``, replacing an earlier one.

    Args:
        path: The directory; its parent is made when it is not there.
        content: What stands in the manifest beside the list of files; JSON.
        arrays: Arrays for ``arrays.safetensors``.
        texts: Text files by name.
        writers: Files that write themselves to a path, by name.

    Raises ``model.would_overwrite``.
    """
    from safetensors.numpy import save_file

    require_place(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    staging.mkdir(mode=0o700)
    try:
        for name, text in texts.items():
            (staging / _checked(name)).write_bytes(text.encode("utf-8"))
        for name, write in writers.items():
            write(staging / _checked(name))
        if arrays:
            plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
            save_file(plain, staging / _ARRAYS)
        files = {
            file.name: {
                "bytes": file.stat().st_size,
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            }
            for file in sorted(staging.iterdir())
        }
        manifest = {"format": FORMAT, "kind": "relcast-model", "files": files, **content}
        (staging / _MANIFEST).write_text(
            json.dumps(manifest, ensure_ascii=True, allow_nan=False, indent=1), "utf-8"
        )
        for file in staging.iterdir():
            _sync(file)
        _sync(staging)
        _swap(staging, path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def require_place(path: Path) -> None:
    """Raise ``model.would_overwrite`` when something lies there that is no bundle of ours."""
    if path.is_dir() and ((path / _MANIFEST).is_file() or not any(path.iterdir())):
        return
    if path.exists() or path.is_symlink():
        raise ModelError(
            f"{path} is there already and is no model bundle",
            code="model.would_overwrite",
            hint="Choose another place for the model, or move away what is there.",
        )


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or name in {_MANIFEST, _ARRAYS}:
        raise ValueError(f"{name!r} is no name for a file of a bundle")
    return name


def _swap(staging: Path, path: Path) -> None:
    """Put ``staging`` in the place of ``path``; an earlier bundle goes aside, then away."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.old")
    with suppress(FileNotFoundError):
        path.rename(aside)
    try:
        staging.rename(path)
    except OSError:
        with suppress(OSError):
            aside.rename(path)
        raise
    _sync(path.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bundle(path: Path) -> Bundle:
    """Open a bundle.

    Raises ``model.not_found`` when there is none, ``model.newer_bundle`` when a newer relcast wrote
    it, and ``model.broken_bundle`` for everything else that is wrong.
    """
    if not path.is_dir():
        raise ModelError(
            f"There is no model at {path}",
            code="model.not_found",
            hint="Give the directory that a training wrote.",
        )
    try:
        content = json.loads(_read(path, _MANIFEST, _MOST_MANIFEST))
    except (ValueError, RecursionError) as error:
        raise broken(path, f"{_MANIFEST} is not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("kind") != "relcast-model":
        raise broken(path, f"{_MANIFEST} does not describe a model")
    form = content.get("format")
    if isinstance(form, int) and form > FORMAT:
        raise ModelError(
            f"The model at {path} has format {form}; this relcast reads up to {FORMAT}",
            code="model.newer_bundle",
            hint="Load it with the relcast that wrote it, or a newer one.",
        )
    if form != FORMAT:
        raise broken(path, f"its format is {form!r}")
    return Bundle(path, content, _checked_files(path, content.get("files")))


def _checked_files(path: Path, files: Any) -> Mapping[str, Any]:
    if not isinstance(files, dict) or len(files) > _MOST_FILES:
        raise broken(path, "its list of files is missing or too long")
    total = 0
    for name, entry in files.items():
        sound = (
            _NAME.fullmatch(name)
            and name != _MANIFEST
            and isinstance(entry, dict)
            and isinstance(entry.get("bytes"), int)
            and not isinstance(entry["bytes"], bool)
            and entry["bytes"] >= 0
            and isinstance(entry.get("sha256"), str)
        )
        if not sound:
            raise broken(path, f"its list of files names {str(name)[:80]!r}")
        total += entry["bytes"]
    if total > _MOST_BYTES:
        raise broken(path, f"its files are said to have {total} bytes")
    return files


def _read(path: Path, name: str, most: int) -> bytes:
    """Read a plain file of the bundle; never more than ``most`` bytes, never through a link."""
    try:
        descriptor = os.open(path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise broken(path, f"{name} cannot be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise broken(path, f"{name} is not a plain file")
        if about.st_size > most:
            raise broken(path, f"{name} has {about.st_size} bytes, more than {most}")
        return file.read(most)


def _check_safetensors(path: Path, blob: bytes) -> None:
    """Check the header by hand, so that the library sees sane offsets and plain types only."""
    size = int.from_bytes(blob[:8], "little")
    if len(blob) < 8 or size > min(len(blob) - 8, 2**24):
        raise broken(path, f"{_ARRAYS} has a header of {size} bytes")
    try:
        header = json.loads(blob[8 : 8 + size])
        entries = [entry for name, entry in header.items() if name != "__metadata__"]
        sound = all(
            entry["dtype"] in _DTYPES
            and len(entry["shape"]) <= 3
            and all(isinstance(side, int) and side >= 0 for side in entry["shape"])
            and 0 <= entry["data_offsets"][0] <= entry["data_offsets"][1] <= len(blob) - 8 - size
            for entry in entries
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise broken(path, f"{_ARRAYS} has a broken header") from error
    if not sound:
        raise broken(path, f"{_ARRAYS} has a type, shape or offset out of range")


def broken(path: Path, what: str) -> ModelError:
    """Return the error of a bundle that cannot be trusted."""
    return ModelError(
        f"The model at {path} is broken: {what}",
        code="model.broken_bundle",
        hint="Train the model again, or restore the directory from a copy.",
    )
