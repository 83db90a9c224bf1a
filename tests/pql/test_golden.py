"""The golden queries: right ones with everything that is said of them, wrong ones with all faults.

A production of the grammar, a code, an aggregation, an operator or a task type without a fixture
fails a test.
"""

from __future__ import annotations

import pytest

from relcast.core.errors import Position, PqlError
from relcast.core.schema import TaskType
from relcast.pql import check, parse, to_text
from relcast.pql.ast import AggregationKind, ArithmeticOperator, Operator, Query, Unit
from relcast.pql.catalogue import ERRORS, WARNINGS
from tests.pql.golden import cases, faults_of, plan_of, strict_faults_of
from tests.pql.productions import all_productions, productions

RIGHT = cases("pql_corpus.txt")
WRONG = cases("pql_errors.txt")
STRICT = cases("pql_strict.txt")
VENDOR = RIGHT[:17]
# Understood only so that they are refused with a better reason than the grammar's own.
REFUSED = {
    "choices: LPAR scalar RPAR",
    "literal: NULL",
    "problem: CLASSIFY TOP number -> top_without_rank",
    "problem: RANK -> rank_without_top",
    "problem: TOP number -> top_without_rank",
}


def ids(found) -> list[str]:
    return [case.text for case in found]


def test_the_fixtures_are_there():
    assert len(RIGHT) >= 70
    assert len(WRONG) >= 145
    assert len(STRICT) >= 11


def test_every_production_has_a_fixture():
    right = set().union(*(productions(case.text) for case in RIGHT))
    wrong = set().union(*(productions(case.text) for case in WRONG))
    assert all_productions() - right == REFUSED
    assert wrong >= REFUSED


def test_a_text_that_is_no_sentence_uses_no_production():
    assert productions("PREDICT users.age FOR EACH") == frozenset()
    used = productions("PREDICT users.age FOR EACH users.user_id")
    assert "query: PREDICT target population" in used
    assert len(used) < 8


def test_every_code_has_a_fixture():
    shown = {line.split()[1] for case in WRONG + STRICT for line in case.wanted if line[0] == "!"}
    assert shown == set(ERRORS)
    warned = {x.split()[1] for case in RIGHT for x in case.wanted if x.startswith("warn ")}
    assert warned == set(WARNINGS)


def test_every_task_type_has_a_fixture():
    assert {case.wanted[0].split()[1] for case in RIGHT} == {task.value for task in TaskType}


@pytest.mark.parametrize("words", [AggregationKind, Operator, Unit, ArithmeticOperator])
def test_every_word_has_a_fixture(words):
    said = " ".join(line for case in RIGHT for line in case.wanted if line.startswith("print "))
    for word in words:
        assert any(f"{a}{word.value}{b}" in said for a, b in ((" ", " "), (" ", "("), (" ", ")")))


@pytest.mark.parametrize("case", RIGHT, ids=ids(RIGHT))
def test_a_right_query(case):
    assert plan_of(case) == case.wanted


@pytest.mark.parametrize("case", WRONG, ids=ids(WRONG))
def test_a_wrong_query(case):
    assert faults_of(case) == case.wanted


@pytest.mark.parametrize("case", STRICT, ids=ids(STRICT))
def test_strict_mode_refuses_what_only_we_have(case):
    assert strict_faults_of(case) == case.wanted
    checked = check(case.text, case.graph)
    refused = [line for line in case.wanted if line[0] == "!"]
    assert [f"! {_place(fault)}" for fault in checked.extensions] == refused


@pytest.mark.parametrize("case", STRICT, ids=ids(STRICT))
def test_a_mend_of_strict_mode_mends(case):
    text, left = case.text, 0
    checked = check(text, case.graph)
    for fault in reversed(checked.extensions):
        begin = _offset(text, fault.position)
        found = text[begin : begin + fault.position.length]
        if fault.hint.startswith("Write "):
            mended = fault.hint.removeprefix("Write ").removesuffix(".")
            mended = mended.removesuffix(" without a blank").split(", or ")[0]
        elif found.startswith("--"):
            mended = "#" + found[2:]
        elif found.startswith("("):
            mended = found[1:-1]
        else:
            left += 1
            continue
        text = text[:begin] + mended + text[begin + len(found) :]
    after = check(text, case.graph)
    assert len(after.extensions) == left
    assert after.task_type is checked.task_type


def _offset(text: str, place: Position) -> int:
    lines = text.split("\n")
    return sum(len(line) + 1 for line in lines[: place.line - 1]) + place.column - 1


@pytest.mark.parametrize("case", RIGHT, ids=ids(RIGHT))
def test_strict_mode_takes_everything_else(case):
    ours = [line for line in case.wanted if line.startswith("ours ")]
    if not ours:
        strict = check(case.text, case.graph, compatibility="kumo")
        assert strict == check(case.text, case.graph)
        return
    with pytest.raises(PqlError) as caught:
        check(case.text, case.graph, compatibility="kumo")
    assert [f"ours {_place(fault)}" for fault in caught.value.faults] == ours


def test_the_example_corpus_has_one_extension_only():
    ours = [line for case in VENDOR for line in case.wanted if line.startswith("ours ")]
    assert len(VENDOR) == 17
    assert len(ours) == 1  # the boolean column


def _place(fault) -> str:
    at = fault.position
    return f"{fault.code} {at.line}:{at.column}:{at.length}"


@pytest.mark.parametrize("case", RIGHT, ids=ids(RIGHT))
def test_printing_parses_to_the_same_tree(case):
    tree = parse(case.text)
    assert parse(to_text(tree)) == tree
    assert to_text(parse(to_text(tree))) == to_text(tree)


@pytest.mark.parametrize("case", RIGHT, ids=ids(RIGHT))
def test_the_text_and_its_tree_check_to_the_same(case):
    assert check(parse(case.text), case.graph).query == check(case.text, case.graph).query


@pytest.mark.parametrize("case", WRONG + STRICT, ids=ids(WRONG + STRICT))
def test_every_fault_has_its_place_its_reason_and_its_mend(case):
    with pytest.raises(PqlError) as caught:
        check(case.text, case.graph, compatibility="kumo")
    faults = caught.value.faults
    assert caught.value.code == faults[0].code
    for fault in faults:
        assert fault.message
        assert fault.hint
        assert not fault.message.endswith(".")
        assert fault.hint.endswith((".", "…", "?"))
        _inside(case.text, fault.position)


def _inside(text: str, place: Position) -> None:
    lines = text.split("\n")
    assert 1 <= place.line <= len(lines)
    assert 1 <= place.column <= len(lines[place.line - 1]) + 1
    assert place.length >= 1


def test_a_parsed_query_knows_where_everything_stands():
    text = (
        "PREDICT COUNT(orders.*, 0, 7) > 1\nFOR EACH users.user_id\nWHERE NOT users.age IN (1, 2)"
    )
    query: Query = parse(text)
    target = query.target
    assert target.position == Position(1, 9, 25)
    assert target.operand.position == Position(1, 9, 21)
    assert target.operand.column.position == Position(1, 15, 8)
    assert target.operand.window.position == Position(1, 25, 4)
    assert target.constant_position == Position(1, 33, 1)
    assert query.entity.position == Position(2, 10, 13)
    assert query.where.position == Position(3, 7, 23)
    assert query.where.condition.position == Position(3, 11, 19)
    assert query.where.condition.constant_position == Position(3, 24, 6)
    assert query.position == Position(1, 1, len(text))
