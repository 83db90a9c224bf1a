"""A statement made fit for a warehouse: without numbered rows, without columns of nothing."""

from __future__ import annotations

from collections.abc import Collection

from sqlglot import exp

from relcast.tasks.sql import column, same

__all__ = ["SOURCE", "named_apart", "tidy", "without_nothing", "without_pair_numbers"]

SOURCE = "source"
"""Alias of a table of the warehouse where it is read."""

_PAIR = "pair"
_KEYS = ("entity", "anchor")


def without_pair_numbers(statement: exp.Select) -> exp.Select:
    """Tell examples apart by entity and anchor: numbers for them would need an order of all."""
    for select in list(statement.find_all(exp.Select)):
        parts = select.expressions
        names = {part.alias_or_name for part in parts}
        if _PAIR in names:
            select.set("expressions", _keyed(parts, drop=names.issuperset(_KEYS)))
        group = select.args.get("group")
        if group is not None:
            group.set("expressions", _keyed(group.expressions, drop=False))
    for equal in list(statement.find_all(exp.EQ)):
        left, right = equal.left, equal.right
        if isinstance(left, exp.Column) and isinstance(right, exp.Column) and left.name == _PAIR:
            equal.replace(
                exp.paren(exp.and_(*(same(key, left.table, right.table) for key in _KEYS)))
            )
    return statement


def _keyed(parts: list[exp.Expr], *, drop: bool) -> list[exp.Expr]:
    found: list[exp.Expr] = []
    for part in parts:
        if part.alias_or_name != _PAIR:
            found.append(part)
        elif not drop and isinstance(part, exp.Column):
            found += [column(key, part.table) for key in _KEYS]
    return found


def without_nothing(statement: exp.Select) -> exp.Select:
    """Leave out columns of constant NULL that nothing reads."""
    read = {found.name for found in statement.find_all(exp.Column)}
    for select in statement.find_all(exp.Select):
        kept = [
            part
            for part in select.expressions
            if not (isinstance(part, exp.Alias) and _is_null(part.this) and part.alias not in read)
        ]
        select.set("expressions", kept)
    return statement


def _is_null(value: exp.Expr) -> bool:
    return isinstance(value, exp.Null) or (isinstance(value, exp.Cast) and _is_null(value.this))


def named_apart(statement: exp.Select, taken: Collection[str]) -> exp.Select:
    """Quote the names of the statement's parts; rename what a table of the warehouse is called."""
    folded = {name.casefold() for name in taken}
    with_ = statement.args["with_"]
    names: dict[str, str] = {}
    for stage in with_.expressions:
        name = stage.alias
        while name.casefold() in folded:
            name += "_"
        names[stage.alias] = name
        if name != stage.alias:
            stage.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
    for table in statement.find_all(exp.Table):
        name = names.get(table.name)
        if name is None or table.alias == SOURCE:
            continue
        if name != table.name and not table.alias:
            alias = exp.to_identifier(table.name, quoted=True)
            table.set("alias", exp.TableAlias(this=alias))
        table.set("this", exp.to_identifier(name, quoted=True))
    return statement


def tidy(statement: exp.Select) -> exp.Select:
    """Leave out parentheses that change nothing; people read this."""
    for node in reversed(list(statement.find_all(exp.Paren))):
        if _changes_nothing(node):
            node.replace(node.this)
    return statement


def _changes_nothing(node: exp.Paren) -> bool:
    inner, parent = node.this, node.parent
    if isinstance(parent, exp.Bracket):
        return False
    if isinstance(parent, exp.Where | exp.Alias | exp.If | exp.Coalesce | exp.Join | exp.Case):
        return True
    if isinstance(inner, exp.Connector):
        return isinstance(inner, exp.And) and isinstance(parent, exp.And)
    if isinstance(inner, exp.Paren | exp.Column | exp.Literal | exp.Func):
        return True
    if isinstance(inner, exp.Is) and isinstance(parent, exp.Not | exp.Or):
        return True
    return isinstance(inner, exp.Not | exp.Predicate) and isinstance(parent, exp.And)
