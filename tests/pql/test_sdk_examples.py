"""What the installed SDK shows and prints is PQL to us: nothing of it is copied into this file.

The queries of its docstrings are taken from the installed package when the test runs, and its own
syntax trees print every operator and aggregation that they know.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import tokenize
from functools import cache
from pathlib import Path

import kumoapi.pquery.AST as vendor  # noqa: N811 - a package, whatever its case
import pandas as pd
import pytest
from kumoapi.pquery.validated_predictive_query import ValidatedPredictiveQuery
from kumoapi.typing import AggregationType, BoolOp, MemberOp, ProblemType, RelOp, StrOp, TimeUnit

from relcast.core.errors import PqlError
from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table, TaskType
from relcast.pql import check, parse, to_text
from relcast.pql.ast import AggregationKind, aggregations
from tests.pql.golden import corpus_graph

TASKS = {
    "kumoai/rfm/graph.py": TaskType.FORECASTING,
    "kumoai/rfm/rfm.py": TaskType.BINARY_CLASSIFICATION,
    "kumoai/pquery/predictive_query.py": TaskType.REGRESSION,
}
"""The task type that follows from the query in each file's docstrings, by our table."""

ILLEGAL: dict[str, str] = {}
"""Files whose example is no PQL by our page, with the reason; none by now."""

_PREFIX = re.compile(r"^[ \t]*(?:>>>|\.\.\.)?[ \t]*#?[ \t]*", re.MULTILINE)
_QUOTED = re.compile(r"\"PREDICT [^\"]*\"(?:\s*\"[^\"]*\")*")
_CALL = re.compile(
    rf"\b(?:{'|'.join(a.value for a in AggregationType)})\([A-Za-z_]+\.(?:\w+|\*), [^()]*\)"
    r"(?: *(?:<=|>=|!=|=|<|>) *\d+)?"
)


@cache
def sources() -> dict[str, str]:
    found = {}
    for package in ("kumoai", "kumoapi"):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*.py")):
            found[path.relative_to(root.parent).as_posix()] = path.read_text(encoding="utf-8")
    return found


def docstrings(source: str) -> list[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return [text for text in map(ast.get_docstring, nodes) if text is not None]


@cache
def examples() -> tuple[tuple[str, str], ...]:
    """Return (file, query) of every query in a docstring; adjacent Python texts are one."""
    found = []
    for name, source in sources().items():
        if "PREDICT " not in source:
            continue
        for text in docstrings(source):
            plain = _PREFIX.sub("", text)
            for match in _QUOTED.finditer(plain):
                parts = re.findall(r"\"([^\"]*)\"", match.group())
                found.append((name, "".join(parts)))
    return tuple(found)


def comments(source: str) -> list[str]:
    lines = iter(source.splitlines(keepends=True))
    tokens = tokenize.generate_tokens(lambda: next(lines, ""))
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


@cache
def fragments() -> tuple[str, ...]:
    """Return what docstrings and comments show of aggregations and comparisons with them."""
    found = []
    for source in sources().values():
        if any(f"{kind.value}(" in source for kind in AggregationType):
            for text in docstrings(source) + comments(source):
                found += _CALL.findall(text)
    return tuple(dict.fromkeys(found))


def imagined(text: str) -> Graph:
    """Return a graph as a query's names suggest: what it aggregates points to its entity."""
    tree = parse(text)
    entity = tree.entity
    key = Column(entity.column, Dtype.int, Stype.ID)
    since = Column("since", Dtype.time, Stype.timestamp)
    tables = {entity.table: Table(entity.table, (key, since), entity.column, "since")}
    links = []
    for node in aggregations(tree.target):
        name = node.column.table
        columns = [Column("owner", Dtype.int, Stype.ID), Column("at", Dtype.time, Stype.timestamp)]
        if node.column.column is not None:
            columns.append(Column(node.column.column, Dtype.float, Stype.numerical))
        tables[name] = Table(name, tuple(columns), None, "at")
        links.append(Link(name, "owner", entity.table))
    return Graph(tables, tuple(links))


def test_every_example_of_the_sdk_is_found():
    assert len(examples()) >= 3
    assert len(fragments()) >= 2
    shown = sum(
        len(re.findall(r"\bPREDICT [A-Z]+\(", text))
        for source in sources().values() if "PREDICT " in source
        for text in docstrings(source)
    )  # fmt: skip
    assert len(examples()) == shown
    assert {name for name, _ in examples()} == set(TASKS) | set(ILLEGAL)


@pytest.mark.parametrize("file", [*TASKS, *ILLEGAL])
def test_an_example_of_the_sdk_has_its_task_type(file):
    for name, text in examples():
        if name != file:
            continue
        if file in ILLEGAL:
            with pytest.raises(PqlError):
                parse(text)
            continue
        checked = check(text, imagined(text), compatibility="kumo")
        assert checked.task_type is TASKS[file]
        assert checked.temporal
        assert parse(to_text(checked.query)) == parse(text)


def test_fragments_of_the_sdk_parse():
    for text in fragments():
        query = parse(f"PREDICT {text} FOR EACH users.user_id")
        assert any(True for _ in aggregations(query.target))


def column(name: str) -> vendor.Column:
    return vendor.Column(fqn=name)


def printed(target, entity=None, **rest) -> str:
    entity = entity or column("users.user_id")
    return ValidatedPredictiveQuery(entity_ast=entity, target_ast=target, **rest).to_string()


def count(start, end, unit=TimeUnit.DAYS, of="orders.amount", kind=AggregationType.COUNT):
    span = vendor.DateOffsetRange(start=start, end=end, unit=unit)
    return vendor.Aggregation(target=column(of), aggr=kind, aggr_time_range=span)


@pytest.mark.parametrize("kind", AggregationType)
def test_every_aggregation_that_the_sdk_prints_is_ours(kind):
    query = parse(printed(count(0, 7, kind=kind)))
    assert query.target.kind is AggregationKind(kind.value)
    assert (query.target.window.start, query.target.window.end) == (0, 7)


@pytest.mark.parametrize("unit", TimeUnit)
def test_every_unit_that_the_sdk_prints_is_ours(unit):
    assert parse(printed(count(0, 7, unit))).target.window.unit.value == unit.value


@pytest.mark.parametrize("operator", [*RelOp, *StrOp, *MemberOp])
def test_every_operator_that_the_sdk_prints_is_ours(operator):
    value: object = "a\"b'c\\ é"
    if operator in set(MemberOp):
        value = vendor.Constant.from_value([1, 2])
    if operator in set(RelOp):
        value = 5
    target = column("users.age" if value == 5 or operator in set(MemberOp) else "users.about")
    text = printed(vendor.Condition(target=target, op=operator.value, value=value))
    checked = check(text, corpus_graph(), compatibility="kumo")
    assert checked.task_type is TaskType.BINARY_CLASSIFICATION
    found = checked.query.target.constant
    assert found == ((1, 2) if operator in set(MemberOp) else value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("users.age", 5, 5),
        ("users.age", -5, -5),
        ("users.vip", True, True),
        ("users.vip", False, False),
        ("users.birthday", pd.Timestamp("2024-02-27 10:00:00"), pd.Timestamp("2024-02-27 10:00")),
        ("users.birthday", pd.Timestamp("2024-02-27"), pd.Timestamp("2024-02-27")),
        ("users.age", 0.5, 0.5),
    ],
)
def test_every_constant_that_the_sdk_prints_is_ours(name, value, expected):
    constant = vendor.Constant.from_value(value)
    text = printed(vendor.Condition(target=column(name), op="=", value=constant))
    assert check(text, corpus_graph(), compatibility="kumo").query.target.constant == expected


def test_absence_as_the_sdk_prints_it():
    for operator, negated in (("=", False), ("!=", True)):
        text = printed(vendor.Condition(target=column("users.age"), op=operator, value=None))
        assert parse(text).target.negated is negated


def test_whole_queries_as_the_sdk_prints_them():
    condition = vendor.Condition(target=count(0, 7), op=">", value=3)
    past = vendor.Condition(target=count(None, 0), op=">", value=0)
    both = vendor.LogicalOperation(left=past, bool_op=BoolOp.AND, right=~past)
    entity = vendor.Filter(target=column("users.user_id"), condition=both)
    text = printed(condition | ~condition, entity, whatif_ast=condition)
    checked = check(text, corpus_graph(), compatibility="kumo")
    assert checked.task_type is TaskType.BINARY_CLASSIFICATION
    assert checked.query.where.left.operand.window.start is None

    text = printed(count(0, 7), problem_type=ProblemType.FORECAST, num_forecasts=4)
    assert check(text, corpus_graph(), compatibility="kumo").forecast_length == 4

    listed = count(0, 7, of="purchases.item_category", kind=AggregationType.LIST_DISTINCT)
    text = printed(listed, problem_type=ProblemType.CLASSIFY)
    found = check(text, corpus_graph(), compatibility="kumo").task_type
    assert found is TaskType.MULTILABEL_CLASSIFICATION
    text = printed(listed, problem_type=ProblemType.RANK, top_k=3)
    found = check(text, corpus_graph(), compatibility="kumo").task_type
    assert found is TaskType.MULTILABEL_RANKING

    keys = vendor.Condition(
        target=column("users.user_id"), op="IN", value=vendor.Constant.from_value([1, 2])
    )
    text = printed(count(0, 7), for_each="FOR", rfm_entity_ids=keys)
    assert parse(text).keys == (1, 2)
