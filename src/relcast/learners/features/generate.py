"""Which features a schema and a query call for: paths, windows and measures under a budget.

Every candidate has a rank (small is strong and cheap); the budget takes the first. The order is
one for all data sets: what happened to the target before, the entity itself, its target events,
its other events, what these point to, and then the surroundings of what these point to.
"""

from __future__ import annotations

from relcast.learners.features import offer_around, offer_events, offer_past, offer_rows
from relcast.learners.features.offers import Offers
from relcast.learners.features.spec import Feature
from relcast.learners.features.target import Target
from relcast.pql.ast import CheckedQuery
from relcast.relations import Relations

__all__ = ["generate"]


def generate(
    relations: Relations,
    query: CheckedQuery,
    target: Target | None,
    *,
    budget: int,
    until: int | None,
    allow_mutable: bool = False,
) -> tuple[Feature, ...]:
    """Return at most ``budget`` features, strongest families first, each name once."""
    offers = Offers(relations, query, target, until, allow_mutable)
    offer_past.past(offers)
    offer_rows.rows(offers)
    offer_events.below(offers)
    offer_around.around(offers)
    ordered = sorted(offers.found, key=lambda offer: offer[0])  # stable: ties in order of making
    unique = {feature.name: feature for _, feature in reversed(ordered)}
    chosen = [f for _, f in ordered if unique[f.name] is f]
    return tuple(chosen[: max(1, budget)])
