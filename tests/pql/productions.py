"""Which productions of the grammar a text uses: the grammar's own table, run over its tokens."""

from __future__ import annotations

from functools import cache

from relcast.pql.parser import grammar, words


@cache
def _table():
    return grammar().parser.parser._parse_table


@cache
def all_productions() -> frozenset[str]:
    """Return every production that a query can be made of; ``stranger`` is never parsed."""
    table = _table()
    reachable, found = [table.start_states["query"]], set()
    seen = set(reachable)
    while reachable:
        for _, target in table.states[reachable.pop()].values():
            if isinstance(target, int):
                if target not in seen:
                    seen.add(target)
                    reachable.append(target)
            else:
                found.add(_name(target))
    return frozenset(found)


def productions(text: str) -> frozenset[str]:
    """Return the productions of one query; empty when it is not a sentence of the language."""
    table, found = _table(), set()
    stack = [table.start_states["query"]]
    end = table.end_states["query"]
    tokens = [token.type for token in words(text)] + ["$END"]
    for kind in tokens:
        while True:
            if kind not in table.states[stack[-1]]:
                return frozenset()
            _, target = table.states[stack[-1]][kind]
            if isinstance(target, int):
                stack.append(target)
                break
            found.add(_name(target))
            size = len(target.expansion)
            del stack[len(stack) - size :]
            _, after = table.states[stack[-1]][target.origin.name]
            stack.append(after)
            if kind == "$END" and after == end:
                return frozenset(found)
    return frozenset(found)


def _name(rule) -> str:
    """Return ``origin: expansion``; the leaves of one production by optional parts are several."""
    alias = f" -> {rule.alias}" if rule.alias else ""
    return f"{rule.origin.name}: {' '.join(symbol.name for symbol in rule.expansion)}{alias}"
