"""Every form of query of one label goes all the way (other tasks: ``test_every_task``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from relcast.learners import FittedModel, fit
from relcast.pql import check
from tests.learners.worlds import QUICK, World

EACH = "FOR EACH customers.customer_id"
FORMS = {
    "arithmetic": f"PREDICT SUM(orders.price, 0, 30) / COUNT(orders.*, 0, 30) - 1 {EACH}",
    "median": f"PREDICT MEDIAN(orders.price, 0, 30, days) {EACH} "
    "WHERE STDDEV(orders.price, -90, 0, days) IS NULL OR COUNT(orders.*, -90, 0, days) > 0",
    "deviation": f"PREDICT STDDEV(orders.price, 0, 60, days) {EACH}",
    "between": f"PREDICT SUM(orders.price, 0, 30, days) BETWEEN 5 AND 40 {EACH}",
    "list": f"PREDICT LIST_DISTINCT(orders.kind, 0, 30, days) CONTAINS 'tea' {EACH} "
    "WHERE LIST_DISTINCT(orders.kind, -60, 0, days) IS NOT NULL",
    "listed row": f"PREDICT LIST_DISTINCT(orders.product_id, 0, 60, days) CONTAINS 3 {EACH}",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_trained_scored_explained_certified_and_saved(
    form: str, world: World, tmp_path: Path
) -> None:
    table = world.table(FORMS[form])
    query = check(FORMS[form], world.snapshot.graph)
    model = fit(world.relations, query, table, QUICK)
    assert model.certificate.probe.passed
    assert all(gap.disjoint for gap in model.certificate.gaps)
    assert "own past window" in model.evaluation.baselines
    entity, anchor = table.examples.entity[:50], table.examples.anchor[:50]
    said = model.predict(world.relations, entity, anchor).values
    assert np.isfinite(said).all()
    assert len(model.explain(world.relations, entity[:4], anchor[:4])) == 4
    model.save(tmp_path / "model")
    again = FittedModel.load(tmp_path / "model").predict(world.relations, entity, anchor).values
    assert np.array_equal(said, again)
