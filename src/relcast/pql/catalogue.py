"""Every code that a query can fail with, and what each one means; the one list of them.

``docs/pql.md`` shows the same list with an example and a mend for each, and a test compares the
two. Parser and checker make faults through ``fault`` so that no code exists outside this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from relcast.core.errors import Fault, Position

__all__ = ["ERRORS", "WARNINGS", "fault"]

ERRORS: Mapping[str, str] = MappingProxyType(
    {
        "pql.syntax": "The text is not a sentence of the language.",
        "pql.unknown_table": "The graph has no table of that name.",
        "pql.unknown_column": "The table has no column of that name.",
        "pql.entity_not_primary_key": "The entity is not the primary key of its table.",
        "pql.wildcard_outside_count": "`table.*` stands somewhere else than inside COUNT.",
        "pql.type_mismatch": "A constant or an operator does not fit the type of its operand.",
        "pql.stype_mismatch": "The meaning of a column does not fit what is asked of it.",
        "pql.problem_type_required": "A list is predicted without CLASSIFY or RANK TOP k.",
        "pql.top_k_requires_rank": "TOP k stands without RANK.",
        "pql.invalid_top_k": "The k of RANK TOP k is missing or not a whole number of at least 1.",
        "pql.table_without_time": "A window is asked of a table that has no time column.",
        "pql.window_required": "An aggregation has no window.",
        "pql.invalid_window": "A window is empty, reversed or too long.",
        "pql.future_window_in_filter": "A window inside WHERE reaches past the anchor time.",
        "pql.past_window_in_target": "A window of the target or of ASSUMING reaches into the past.",
        "pql.static_and_temporal_mixed": "The target mixes plain columns and windows over time.",
        "pql.assuming_static": "ASSUMING holds something that has no future.",
        "pql.temporal_filter_in_static_query": "WHERE aggregates in a query without time.",
        "pql.missing_foreign_key": "No foreign key leads where the query needs one.",
        "pql.ambiguous_link": "More than one foreign key leads there.",
        "pql.not_unique": "A column can have several values for one row, so none is meant.",
        "pql.nothing_to_predict": "The target is missing, or its value is known beforehand.",
        "pql.predicts_primary_key": "The target is a primary key.",
        "pql.single_element_list": "A list holds one element only.",
        "pql.static_link_with_time": "Links are predicted without a window, but there is time.",
        "pql.forecast_needs_temporal": "FORECAST stands in a query without time.",
        "pql.forecast_needs_number": "FORECAST stands after a target that is not a number.",
        "pql.not_predictable": "The target is of a kind that cannot be predicted as it is.",
        "pql.extension": "Strict mode refuses what the language of Kumo does not have.",
    }
)

WARNINGS: Mapping[str, str] = MappingProxyType(
    {
        "pql.entity_without_time": "Entities exist at every anchor time, which can leak.",
        "pql.target_filter_on_entity": "A filter inside the target uses the entity's own columns.",
        "pql.mixed_units": "The windows of the query have different units.",
    }
)


def fault(code: str, message: str, hint: str, position: Position | None) -> Fault:
    """Return a fault with a code of the catalogue; another code is a mistake of ours."""
    if code not in ERRORS and code not in WARNINGS:
        raise KeyError(code)
    return Fault(code, message, hint, position)
