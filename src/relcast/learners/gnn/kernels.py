"""The compiled loop of the sampler: one for every schema, over flat arrays.

It releases the GIL and is cached on disk. What it draws depends on the seed, its cut-off and the
run's salt alone, so that neither threads nor batches change a seed's sample. Random numbers are
splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014) of a counter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["LAST", "STRATIFIED", "UNIFORM", "arrange", "walk"]

LAST, UNIFORM, STRATIFIED = 0, 1, 2

_NEVER = np.iinfo(np.int64).max
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_STAMP = 40  # rows of all tables together are fewer than 2^40, seeds of a batch fewer than 2^22
_FIRST_CAPACITY = 1024


@njit(nogil=True, cache=True)
def _mix(z: Any) -> Any:
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@njit(nogil=True, cache=True)
def _below(key: Any, counter: int, bound: int) -> int:
    """Return the ``counter``-th random whole number of ``key``, at least 0 and below ``bound``."""
    z = _mix(key + np.uint64(counter + 1) * _GOLDEN)
    return int(np.float64(z >> _S11) * (1.0 / 9007199254740992.0) * bound)


@njit(nogil=True, cache=True)
def _pick(count: int, wanted: int, strategy: int, key: Any, places: Any, chosen: Any) -> None:
    """Write ``wanted`` distinct places below ``count`` into ``places``; ``count > wanted``."""
    if strategy == LAST:
        for i in range(wanted):
            places[i] = count - wanted + i
    elif strategy == STRATIFIED:
        for i in range(wanted):
            low = i * count // wanted
            high = (i + 1) * count // wanted
            places[i] = low + _below(key, i, high - low)
    else:
        # Floyd's sampling without replacement; ``chosen`` is a set by open addressing.
        size = 4
        while size < 2 * wanted:
            size *= 2
        for i in range(size):
            chosen[i] = -1
        for i in range(wanted):
            top = count - wanted + i
            place = _below(key, i, top + 1)
            at = place & (size - 1)
            while chosen[at] >= 0 and chosen[at] != place:
                at = (at + 1) & (size - 1)
            if chosen[at] == place:
                place = top
                at = place & (size - 1)
                while chosen[at] >= 0:
                    at = (at + 1) & (size - 1)
            chosen[at] = place
            places[i] = place


@njit(nogil=True, cache=True)
def _grown(array: Any, least: int) -> Any:
    larger = np.empty(max(least, 2 * len(array)), dtype=array.dtype)
    larger[: len(array)] = array
    return larger


@njit(nogil=True, cache=True)
def _slot(key: int, mask: int) -> int:
    return int((np.uint64(key) * _GOLDEN) >> np.uint64(32)) & mask


@njit(nogil=True, cache=True)
def walk(
    seeds: Any,
    cutoffs: Any,
    seed_table: int,
    salt: Any,
    row_base: Any,
    edges_from: Any,
    edges_of: Any,
    is_up: Any,
    source: Any,
    base: Any,
    parent: Any,
    indptr: Any,
    child: Any,
    time_shift: Any,
    child_time: Any,
    since_base: Any,
    since: Any,
    over_base: Any,
    over: Any,
    fanout: Any,
    strategy: int,
) -> Any:
    """Walk from every seed and log what is found, seed by seed.

    ``seeds`` and ``cutoffs`` are int64[n]; a cut-off of NEVER knows everything. ``salt`` is uint64.

    - ``row_base`` int64[tables]: number of a table's first row among all rows.
    - ``edges_from``, ``edges_of``: edge types by the table that they start from, as a CSR.
    - ``is_up``, ``source``, ``base``, per edge type: whether it walks to the one parent (else to
      children), the table it ends on, and where its array begins in ``parent`` or ``indptr``.
    - ``time_shift``, per edge type: from a place in ``child`` to one in ``child_time``; NEVER where
      the children have no time.
    - ``since``, ``over``: from when rows are known and until when they are usable, of the tables
      that begin at ``since_base``, ``over_base``; -1 says always.
    - ``fanout`` int64[hops, edge types]: most neighbours; of more, ``strategy`` says which.

    Returns the number of rows and edges, then the logs: of rows the row, the bucket (table and hop)
    and the seed; of edges the numbers of source and target row, and the bucket (edge type and hop).
    """
    hops, kinds = fanout.shape
    most = 1
    for hop in range(hops):
        for e in range(kinds):
            most = max(most, fanout[hop, e])
    places = np.empty(most, dtype=np.int64)
    size = 4
    while size < 2 * most:
        size *= 2
    chosen = np.empty(size, dtype=np.int64)
    alive = np.empty(1024, dtype=np.int64)

    rows = np.empty(max(1024, 64 * len(seeds)), dtype=np.int32)
    buckets = np.empty(len(rows), dtype=np.int16)
    owners = np.empty(len(rows), dtype=np.int32)
    edge_source = np.empty(max(1024, 64 * len(seeds)), dtype=np.int32)
    edge_target = np.empty(len(edge_source), dtype=np.int32)
    edge_bucket = np.empty(len(edge_source), dtype=np.int16)
    n = m = 0

    capacity = _FIRST_CAPACITY
    mask = capacity - 1
    keys = np.full(capacity, -1, dtype=np.int64)
    numbers = np.empty(capacity, dtype=np.int32)

    for s in range(len(seeds)):
        cutoff = cutoffs[s]
        stamp = s << _STAMP
        first = n
        if n + 1 > len(rows):
            rows, buckets, owners = _grown(rows, 0), _grown(buckets, 0), _grown(owners, 0)
        rows[n] = seeds[s]
        buckets[n] = seed_table * (hops + 1)
        owners[n] = s
        key = stamp | (row_base[seed_table] + seeds[s])
        keys_at = _slot(key, mask)
        while keys[keys_at] >= 0 and (keys[keys_at] >> _STAMP) == s:
            keys_at = (keys_at + 1) & mask
        keys[keys_at] = key
        numbers[keys_at] = n
        n += 1
        seed_key = _mix(np.uint64(seeds[s]) * _GOLDEN ^ _mix(np.uint64(cutoff) ^ salt))
        low_row, high_row = first, n
        for hop in range(hops):
            for f in range(low_row, high_row):
                table = buckets[f] // (hops + 1)
                row = rows[f]
                for q in range(edges_from[table], edges_from[table + 1]):
                    e = edges_of[q]
                    wanted = fanout[hop, e]
                    if wanted <= 0:
                        continue
                    end = source[e]
                    filtered = False
                    begin = 0
                    if is_up[e]:
                        up = parent[base[e] + row]
                        if up < 0:
                            continue
                        if cutoff != _NEVER:
                            at = since_base[end]
                            if at >= 0 and since[at + up] > cutoff:
                                continue
                            at = over_base[end]
                            if at >= 0 and over[at + up] <= cutoff:
                                continue
                        count = 1
                    else:
                        up = 0
                        begin = indptr[base[e] + row]
                        stop = indptr[base[e] + row + 1]
                        if begin == stop:
                            continue
                        shift = time_shift[e]
                        if shift != _NEVER and child_time[stop - 1 + shift] > cutoff:
                            low, high = begin, stop - 1
                            while low < high:
                                middle = (low + high) >> 1
                                if child_time[middle + shift] <= cutoff:
                                    low = middle + 1
                                else:
                                    high = middle
                            stop = low
                        at = over_base[end]
                        if at >= 0 and cutoff != _NEVER:
                            filtered = True
                            if len(alive) < stop - begin:
                                alive = _grown(alive, stop - begin)
                            count = 0
                            for place in range(begin, stop):
                                if over[at + child[place]] > cutoff:
                                    alive[count] = place
                                    count += 1
                        else:
                            count = stop - begin
                    picks = min(count, wanted)
                    if picks == 0:
                        continue
                    drawn = count > wanted
                    if drawn:
                        draw_key = _mix(
                            seed_key
                            + np.uint64(row_base[table] + row) * _M1
                            + np.uint64(hop * kinds + e) * _M2
                        )
                        _pick(count, wanted, strategy, draw_key, places, chosen)
                    while n + picks > len(rows):
                        rows, buckets, owners = (
                            _grown(rows, 0),
                            _grown(buckets, 0),
                            _grown(owners, 0),
                        )
                    if m + picks > len(edge_source):
                        least = m + picks
                        edge_source = _grown(edge_source, least)
                        edge_target = _grown(edge_target, len(edge_source))
                        edge_bucket = _grown(edge_bucket, len(edge_source))
                    if 2 * (n - first + picks) > capacity:
                        while 2 * (n - first + picks) > capacity:
                            capacity *= 2
                        mask = capacity - 1
                        keys = np.full(capacity, -1, dtype=np.int64)
                        numbers = np.empty(capacity, dtype=np.int32)
                        for number in range(first, n):
                            key = stamp | (row_base[buckets[number] // (hops + 1)] + rows[number])
                            keys_at = _slot(key, mask)
                            while keys[keys_at] >= 0:
                                keys_at = (keys_at + 1) & mask
                            keys[keys_at] = key
                            numbers[keys_at] = number
                    found_bucket = end * (hops + 1) + hop + 1
                    first_key = stamp | row_base[end]
                    for i in range(picks):
                        if is_up[e]:
                            found = up
                        else:
                            place = places[i] if drawn else i
                            found = child[alive[place]] if filtered else child[begin + place]
                        key = first_key + found
                        keys_at = _slot(key, mask)
                        known = keys[keys_at]
                        while known != key and known >= 0 and (known >> _STAMP) == s:
                            keys_at = (keys_at + 1) & mask
                            known = keys[keys_at]
                        if known == key:
                            number = numbers[keys_at]
                        else:
                            number = n
                            keys[keys_at] = key
                            numbers[keys_at] = n
                            rows[n] = found
                            buckets[n] = found_bucket
                            owners[n] = s
                            n += 1
                        edge_source[m] = number
                        edge_target[m] = f
                        edge_bucket[m] = e * hops + hop
                        m += 1
            low_row, high_row = high_row, n
            if low_row == high_row:
                break
    return n, m, rows, buckets, owners, edge_source, edge_target, edge_bucket


@njit(nogil=True, cache=True)
def arrange(
    n: int,
    m: int,
    tables: int,
    hops: int,
    kinds: int,
    rows: Any,
    buckets: Any,
    owners: Any,
    edge_source: Any,
    edge_target: Any,
    edge_bucket: Any,
) -> Any:
    """Order a log by (table, hop) and its edges by (edge type, hop), each in the order of finding.

    Returns rows, seeds of rows, source and target as places within their tables, and the ends of
    the buckets: int64[tables * (hops + 1) + 1] and int64[edge types * hops + 1].
    """
    row_ends = np.zeros(tables * (hops + 1) + 1, dtype=np.int64)
    for i in range(n):
        row_ends[buckets[i] + 1] += 1
    for b in range(tables * (hops + 1)):
        row_ends[b + 1] += row_ends[b]
    edge_ends = np.zeros(kinds * hops + 1, dtype=np.int64)
    for i in range(m):
        edge_ends[edge_bucket[i] + 1] += 1
    for b in range(kinds * hops):
        edge_ends[b + 1] += edge_ends[b]

    place = np.empty(n, dtype=np.int32)
    out_rows = np.empty(n, dtype=np.int32)
    out_owners = np.empty(n, dtype=np.int32)
    following = row_ends[:-1].copy()
    for i in range(n):
        b = buckets[i]
        at = following[b]
        following[b] = at + 1
        out_rows[at] = rows[i]
        out_owners[at] = owners[i]
        place[i] = at - row_ends[(b // (hops + 1)) * (hops + 1)]
    out_source = np.empty(m, dtype=np.int32)
    out_target = np.empty(m, dtype=np.int32)
    following = edge_ends[:-1].copy()
    for i in range(m):
        b = edge_bucket[i]
        at = following[b]
        following[b] = at + 1
        out_source[at] = place[edge_source[i]]
        out_target[at] = place[edge_target[i]]
    return out_rows, out_owners, out_source, out_target, row_ends, edge_ends
