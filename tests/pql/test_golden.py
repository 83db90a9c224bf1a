"""The golden queries: right ones with their task type and spelling, wrong ones with every fault."""

from __future__ import annotations

import contextlib

import pytest

from relcast.core.errors import Position, PqlError
from relcast.pql import check, describe, parse, require_supported, to_text
from relcast.pql.ast import Query
from relcast.pql.catalogue import ERRORS, WARNINGS
from tests.pql.golden import blocks, corpus_graph


def _split(block: list[str], marks: tuple[str, ...]) -> tuple[str, list[str]]:
    first = next(i for i, line in enumerate(block) if line.startswith(marks))
    return "\n".join(block[:first]), block[first:]


def _places(faults) -> list[str]:
    return [f"{f.code} {f.position.line}:{f.position.column}:{f.position.length}" for f in faults]


RIGHT = [_split(b, ("=> ",)) for b in blocks("pql_corpus.txt")]
WRONG = [_split(b, ("! ",)) for b in blocks("pql_errors.txt")]


def test_the_fixtures_are_there():
    assert len(RIGHT) >= 45
    assert len(WRONG) >= 110


@pytest.mark.parametrize(("text", "wanted"), RIGHT, ids=[t for t, _ in RIGHT])
def test_a_right_query(text, wanted):
    checked = check(text, corpus_graph())
    task = checked.task_type.value + ("" if checked.temporal else " static")
    found = [f"=> {task}", f"print {to_text(checked.query)}"]
    found += [f"warn {place}" for place in _places(checked.warnings)]
    assert found == wanted


@pytest.mark.parametrize("text", [t for t, _ in RIGHT])
def test_printing_parses_to_the_same_tree(text):
    tree = parse(text)
    assert parse(to_text(tree)) == tree
    assert to_text(parse(to_text(tree))) == to_text(tree)


@pytest.mark.parametrize("text", [t for t, _ in RIGHT])
def test_the_text_and_its_tree_check_to_the_same(text):
    graph = corpus_graph()
    assert check(parse(text), graph).query == check(text, graph).query


@pytest.mark.parametrize("text", [t for t, _ in RIGHT])
def test_every_right_query_has_a_restatement(text):
    sentence = describe(check(text, corpus_graph()))
    assert sentence.endswith(".")
    assert "None" not in sentence
    assert "  " not in sentence


@pytest.mark.parametrize(("text", "wanted"), WRONG, ids=[t for t, _ in WRONG])
def test_a_wrong_query(text, wanted):
    with pytest.raises(PqlError) as caught:
        check(text, corpus_graph())
    faults = caught.value.faults
    assert [f"! {place}" for place in _places(faults)] == wanted
    assert caught.value.code == faults[0].code
    for fault in faults:
        assert fault.message
        assert fault.hint
        assert not fault.message.endswith(".")
        assert fault.hint.endswith((".", "…", "?"))
        _inside(text, fault.position)


def _inside(text: str, place: Position) -> None:
    lines = text.split("\n")
    assert 1 <= place.line <= len(lines)
    assert 1 <= place.column <= len(lines[place.line - 1]) + 1
    assert place.length >= 1


def test_every_code_has_a_fixture():
    shown = {line.split()[1] for _, marks in WRONG for line in marks}
    # The language knows what cannot be trained yet; see test_check.py for this one.
    assert shown == set(ERRORS) - {"pql.task_not_supported_yet", "pql.extension"}
    warned = {m.split()[1] for _, marks in RIGHT for m in marks if m.startswith("warn ")}
    assert warned == set(WARNINGS)


def test_what_can_be_trained_is_binary_multiclass_and_regression():
    trainable = set()
    for text, _ in RIGHT:
        checked = check(text, corpus_graph())
        with contextlib.suppress(PqlError):
            trainable.add(require_supported(checked).task_type.value)
    assert trainable == {
        "binary_classification",
        "multiclass_classification",
        "regression",
    }


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
