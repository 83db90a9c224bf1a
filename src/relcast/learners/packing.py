"""Keys as plain arrays, for files that hold nothing but numbers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["pack_keys", "unpack_keys"]

Array = npt.NDArray[Any]


def pack_keys(name: str, keys: pa.Array) -> dict[str, Array]:
    """Return keys as arrays: ``<name>.int`` for integers, else UTF-8 bytes and their offsets."""
    import pyarrow as pa

    if pa.types.is_integer(keys.type):
        return {f"{name}.int": keys.cast(pa.int64()).to_numpy()}
    words = [str(word).encode() for word in keys.cast(pa.string()).to_pylist()]
    offsets = np.append(0, np.cumsum([len(w) for w in words])).astype(np.int64)
    return {
        f"{name}.bytes": np.frombuffer(b"".join(words), dtype=np.uint8),
        f"{name}.offsets": offsets,
    }


def unpack_keys(name: str, arrays: Mapping[str, Array]) -> pa.Array:
    """Rebuild what ``pack_keys`` packed; raises ``ValueError`` or ``KeyError`` when it cannot."""
    import pyarrow as pa

    if f"{name}.int" in arrays:
        return pa.array(arrays[f"{name}.int"], pa.int64())
    blob, offsets = arrays[f"{name}.bytes"].tobytes(), arrays[f"{name}.offsets"]
    if offsets[0] != 0 or offsets[-1] != len(blob) or bool((np.diff(offsets) < 0).any()):
        raise ValueError("the offsets of packed keys do not fit their bytes")
    ends = offsets.tolist()
    words = [blob[a:b].decode() for a, b in pairwise(ends)]
    return pa.array(words, pa.string())
