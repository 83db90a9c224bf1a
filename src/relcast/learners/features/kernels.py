"""The compiled loops over events: one pass backwards from the anchor per example.

Shapes: E events in owner order, n examples, W windows from short to long (-1, everything, last).
``time`` is empty where events are always known; ``over`` and ``known`` are empty where no event
ends and where every value is known with its event. Results depend on the events known at the
example's anchor and on nothing else, in an order that is fixed, so they are the same bits in any
batch. All release the GIL.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from relcast.relations.kernels import first_after, known_end

__all__ = [
    "recent_codes",
    "recent_numbers",
    "running",
    "running_exact",
    "timing",
    "usable",
    "window_codes",
    "window_exact",
    "window_limit",
    "window_numbers",
    "window_sums",
]

_FIRST = np.iinfo(np.int64).min
_DAY = 86_400e9


@njit(nogil=True, cache=True)
def window_limit(anchor: int, width: int) -> int:
    """Return the open left end of a window; -1 wide is everything."""
    if width < 0 or anchor < _FIRST + width:
        return _FIRST
    return anchor - width


@njit(nogil=True, cache=True)
def usable(over: Any, known: Any, j: int, anchor: int) -> bool:
    """Tell whether an event's value may be used at the anchor."""
    if over.size > 0 and over[j] <= anchor:
        return False
    return not (known.size > 0 and known[j] > anchor)


@njit(nogil=True, cache=True)
def window_numbers(
    indptr: Any,
    time: Any,
    over: Any,
    known: Any,
    values: Any,
    owners: Any,
    anchors: Any,
    widths: Any,
    out: Any,
) -> None:
    """Write count, sum, mean, min, max, std of the values that are not NaN: ``out`` [n, W, 6].

    Deviations are taken from the latest value, so that a large mean costs no digits.
    """
    for i in range(len(owners)):
        p, a = owners[i], anchors[i]
        begin, j = 0, -1
        if p >= 0:
            begin = indptr[p]
            j = known_end(time, begin, indptr[p + 1], a) - 1
        count, total, origin, first, second = 0, 0.0, 0.0, 0.0, 0.0
        low, high = np.inf, -np.inf
        for w in range(len(widths)):
            limit = window_limit(a, widths[w])
            while j >= begin and (time.size == 0 or time[j] > limit):
                v = values[j]
                if not np.isnan(v) and usable(over, known, j, a):
                    if count == 0:
                        origin = v
                    count += 1
                    total += v
                    first += v - origin
                    second += (v - origin) * (v - origin)
                    low = min(low, v)
                    high = max(high, v)
                j -= 1
            out[i, w, 0] = count
            out[i, w, 1] = total
            if count == 0:
                out[i, w, 2:6] = np.nan
            else:
                mean = first / count
                out[i, w, 2] = origin + mean
                out[i, w, 3] = low
                out[i, w, 4] = high
                out[i, w, 5] = np.sqrt(max(0.0, second / count - mean * mean))


@njit(nogil=True, cache=True)
def recent_numbers(
    indptr: Any,
    time: Any,
    over: Any,
    known: Any,
    values: Any,
    owners: Any,
    anchors: Any,
    counts: Any,
    halves: Any,
    fades: Any,
    out: Any,
) -> None:
    """Write means of the last k, and weighted means: ``out`` [n, K + H + F].

    ``counts`` (ascending) are the k; ``halves`` half-lives in ns of the time before the anchor;
    ``fades`` half-lives in events. Means take what there is when fewer than k values are known.
    Weights below 2^-60 of the newest are left out.
    """
    ks, hs, fs = len(counts), len(halves), len(fades)
    weights, sums = np.empty(hs + fs), np.empty(hs + fs)
    enough = counts[ks - 1] if ks > 0 else 0
    for m in range(fs):
        enough = max(enough, np.int64(60.0 * fades[m]))
    longest = 0.0
    for m in range(hs):
        longest = max(longest, 60.0 * halves[m])
    fading = np.zeros((fs, enough + 1))
    for m in range(fs):
        for seen in range(enough + 1):
            if seen <= 60.0 * fades[m]:
                fading[m, seen] = 0.5 ** (seen / fades[m])
    for i in range(len(owners)):
        p, a = owners[i], anchors[i]
        out[i, :] = np.nan
        if p < 0:
            continue
        begin = indptr[p]
        end = known_end(time, begin, indptr[p + 1], a)
        weights[:] = 0.0
        sums[:] = 0.0
        seen, total, k = 0, 0.0, 0
        for j in range(end - 1, begin - 1, -1):
            if seen >= enough and (hs == 0 or time.size == 0 or float(a - time[j]) > longest):
                break
            v = values[j]
            if np.isnan(v) or not usable(over, known, j, a):
                continue
            if ks > 0 and seen < counts[ks - 1]:
                total += v
                while k < ks and seen + 1 > counts[k]:
                    k += 1
                for m in range(k, ks):
                    out[i, m] = total / (seen + 1)
            for m in range(fs):
                if seen <= 60.0 * fades[m]:
                    weight = fading[m, seen]
                    weights[hs + m] += weight
                    sums[hs + m] += weight * v
            seen += 1
            if hs > 0 and time.size > 0:
                age = float(a - time[j])
                for m in range(hs):
                    if age <= 60.0 * halves[m]:
                        weight = 0.5 ** (age / halves[m])
                        weights[m] += weight
                        sums[m] += weight * v
        for m in range(hs + fs):
            if weights[m] > 0.0:
                out[i, ks + m] = sums[m] / weights[m]


@njit(nogil=True, cache=True)
def running(indptr: Any, values: Any, counts: Any, sums: Any) -> None:
    """Write how many values precede each event of its owner, and their sum: both [E + owners].

    The place of event ``j`` of owner ``p`` is ``j + p``, and the owner's end has one of its own.
    Values are clipped at 1e150, so that differences of sums are numbers.
    """
    for p in range(len(indptr) - 1):
        count, total = 0, 0.0
        for j in range(indptr[p], indptr[p + 1]):
            counts[j + p] = count
            sums[j + p] = total
            v = values[j]
            if not np.isnan(v):
                count += 1
                total += min(max(v, -1e150), 1e150)
        counts[indptr[p + 1] + p] = count
        sums[indptr[p + 1] + p] = total


@njit(nogil=True, cache=True)
def window_sums(
    indptr: Any,
    time: Any,
    counts: Any,
    sums: Any,
    owners: Any,
    anchors: Any,
    widths: Any,
    out: Any,
) -> None:
    """Write count, sum and mean per window from running sums: ``out`` [n, W, 6], the rest NaN.

    For owners with so many events that passing over them costs more than digits are worth.
    """
    for i in range(len(owners)):
        p, a = owners[i], anchors[i]
        out[i, :, 3:] = np.nan
        for w in range(len(widths)):
            count, total = 0, 0.0
            if p >= 0:
                begin = indptr[p]
                end = known_end(time, begin, indptr[p + 1], a)
                low = begin
                if widths[w] >= 0 and time.size > 0:
                    low = first_after(time, begin, end, window_limit(a, widths[w]))
                count = counts[end + p] - counts[low + p]
                total = sums[end + p] - sums[low + p]
            out[i, w, 0] = count
            out[i, w, 1] = total
            out[i, w, 2] = total / count if count > 0 else np.nan


@njit(nogil=True, cache=True)
def running_exact(
    indptr: Any, values: Any, known: Any, counts: Any, sums: Any, latest: Any
) -> bool:
    """Write ``running`` of values that are known some day, and until when all before are known.

    ``latest`` [E]: the latest time from which an event of the owner up to this one is known, of
    those that ever are; as empty as ``known``. False where a sum of values, or of distances between
    them, could round, so that it would depend on its order: values must be multiples of 2^-10, and
    small.
    """
    never = np.iinfo(np.int64).max
    for p in range(len(indptr) - 1):
        most = 4503599627370496.0 / max(1, indptr[p + 1] - indptr[p])
        count, total = 0, 0.0
        last = np.iinfo(np.int64).min
        for j in range(indptr[p], indptr[p + 1]):
            counts[j + p] = count
            sums[j + p] = total
            v = values[j]
            if not np.isnan(v) and not (known.size > 0 and known[j] == never):
                steps = v * 1024.0
                if steps != np.floor(steps) or not abs(steps) < most:
                    return False
                count += 1
                total += v
                if known.size > 0:
                    last = max(last, known[j])
            if known.size > 0:
                latest[j] = last
        counts[indptr[p + 1] + p] = count
        sums[indptr[p + 1] + p] = total
    return True


@njit(nogil=True, cache=True)
def window_exact(
    indptr: Any,
    time: Any,
    known: Any,
    values: Any,
    counts: Any,
    sums: Any,
    latest: Any,
    owners: Any,
    anchors: Any,
    widths: Any,
    out: Any,
) -> None:
    """Write count, sum and mean per window: ``out`` [n, W, 6], the rest NaN.

    The same bits as ``window_numbers``, from ``running_exact``: events before the first that is
    not known yet are summed up already, those after it are looked at one by one.
    """
    for i in range(len(owners)):
        p, a = owners[i], anchors[i]
        out[i, :, 3:] = np.nan
        begin, end = 0, 0
        if p >= 0:
            begin = indptr[p]
            end = known_end(time, begin, indptr[p + 1], a)
        settled = end
        if known.size > 0:
            settled = first_after(latest, begin, end, a)
        newest = end - 1
        while newest >= begin and (
            np.isnan(values[newest]) or (known.size > 0 and known[newest] > a)
        ):
            newest -= 1
        for w in range(len(widths)):
            low = begin
            if widths[w] >= 0 and time.size > 0:
                low = first_after(time, begin, end, window_limit(a, widths[w]))
            count, total = 0, 0.0
            if settled > low:
                count = counts[settled + p] - counts[low + p]
                total = sums[settled + p] - sums[low + p]
            for j in range(max(low, settled), end):
                v = values[j]
                if not np.isnan(v) and not known[j] > a:
                    count += 1
                    total += v
            out[i, w, 0] = count
            out[i, w, 1] = total
            out[i, w, 2] = np.nan
            if count > 0:
                origin = values[newest]
                out[i, w, 2] = origin + (total - count * origin) / count


@njit(nogil=True, cache=True)
def window_codes(
    indptr: Any,
    time: Any,
    over: Any,
    known: Any,
    codes: Any,
    slots: Any,
    owners: Any,
    anchors: Any,
    widths: Any,
    out: Any,
) -> None:
    """Write counts per slot, count of all, distinct codes, entropy, top share: [n, W, C + 4].

    ``slots`` gives the slot of each code, -1 for codes that are only counted. The entropy is in
    bits; the top share that of the most frequent code. Both are NaN where nothing is.
    """
    slot_count = out.shape[2] - 4
    stamp = np.zeros(len(slots), dtype=np.int64)
    held = np.zeros(len(slots), dtype=np.int64)
    tally = np.empty(slot_count + 4)
    for i in range(len(owners)):
        p, a = owners[i], anchors[i]
        begin, j = 0, -1
        if p >= 0:
            begin = indptr[p]
            j = known_end(time, begin, indptr[p + 1], a) - 1
        tally[:] = 0.0
        spread, most = 0.0, 0
        for w in range(len(widths)):
            limit = window_limit(a, widths[w])
            while j >= begin and (time.size == 0 or time[j] > limit):
                c = codes[j]
                if c >= 0 and usable(over, known, j, a):
                    if slots[c] >= 0:
                        tally[slots[c]] += 1.0
                    tally[slot_count] += 1.0
                    if stamp[c] != i + 1:
                        stamp[c] = i + 1
                        held[c] = 0
                        tally[slot_count + 1] += 1.0
                    else:
                        spread -= held[c] * np.log2(held[c])
                    held[c] += 1
                    spread += held[c] * np.log2(held[c])
                    most = max(most, held[c])
                j -= 1
            count = tally[slot_count]
            tally[slot_count + 2] = np.nan
            tally[slot_count + 3] = np.nan
            if count > 0:
                tally[slot_count + 2] = max(0.0, np.log2(count) - spread / count)
                tally[slot_count + 3] = most / count
            out[i, w, :] = tally


@njit(nogil=True, cache=True)
def recent_codes(
    indptr: Any,
    time: Any,
    over: Any,
    known: Any,
    codes: Any,
    owners: Any,
    anchors: Any,
    out: Any,
) -> None:
    """Write the last and first code, and for how many events the last has stood: ``out`` [n, 3]."""
    for i in range(len(owners)):
        p, a = owners[i], anchors[i]
        out[i, :] = np.nan
        if p < 0:
            continue
        begin = indptr[p]
        end = known_end(time, begin, indptr[p + 1], a)
        last, run, running = -1, 0, True
        for j in range(end - 1, begin - 1, -1):
            c = codes[j]
            if c < 0 or not usable(over, known, j, a):
                continue
            if last < 0:
                last = c
            if running and c == last:
                run += 1
            else:
                running = False
            out[i, 1] = c
        if last >= 0:
            out[i, 0] = last
            out[i, 2] = run


@njit(nogil=True, cache=True)
def timing(
    indptr: Any,
    time: Any,
    over: Any,
    known: Any,
    values: Any,
    owners: Any,
    anchors: Any,
    widths: Any,
    halves: Any,
    out: Any,
) -> None:
    """Write when events with a value happened: ``out`` [n, 5 + W + H].

    Days since the last and the first, mean gap, last gap, standard deviation of gaps (days), then
    the count per window, then counts that fade with the half-lives (ns).
    """
    ws, hs = len(widths), len(halves)
    for i in range(len(owners)):
        p, a = owners[i], anchors[i]
        out[i, :5] = np.nan
        out[i, 5:] = 0.0
        begin, end = 0, 0
        if p >= 0:
            begin = indptr[p]
            end = known_end(time, begin, indptr[p + 1], a)
        count, w = 0, 0
        limit = window_limit(a, widths[0]) if ws > 0 else _FIRST
        newest, oldest = np.int64(0), np.int64(0)
        first, second = 0.0, 0.0
        for j in range(end - 1, begin - 1, -1):
            v = values[j]
            if np.isnan(v) or not usable(over, known, j, a):
                continue
            if time.size > 0:
                t = time[j]
                while w < ws and t <= limit:
                    out[i, 5 + w] = count
                    w += 1
                    if w < ws:
                        limit = window_limit(a, widths[w])
                if count == 0:
                    newest = t
                else:
                    gap = (oldest - t) / _DAY
                    if count == 1:
                        out[i, 3] = gap
                    first += gap
                    second += gap * gap
                oldest = t
                for m in range(hs):
                    out[i, 5 + ws + m] += 0.5 ** (float(a - t) / halves[m])
            count += 1
        while w < ws:
            out[i, 5 + w] = count
            w += 1
        if count > 0 and time.size > 0:
            out[i, 0] = (a - newest) / _DAY
            out[i, 1] = (a - oldest) / _DAY
            if count > 1:
                mean = first / (count - 1)
                out[i, 2] = mean
                out[i, 4] = np.sqrt(max(0.0, second / (count - 1) - mean * mean))
