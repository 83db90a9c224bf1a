"""Bodies that do not fit, refused in words. tests/contract/test_bad_input.py has the whole round."""

from __future__ import annotations

import pytest

from tests.server.conftest import Shop
from tests.server.test_every_route import assert_problem


def test_a_streamed_body_above_the_limit(shop: Shop):
    def chunks():
        for _ in range(34):
            yield b" " * 2**20

    streamed = shop.client.post(
        "/api/v1/connectors", content=chunks(), headers={"Content-Type": "application/json"}
    )
    assert_problem(streamed, 413)


@pytest.mark.parametrize("half", ["table", "model"])
@pytest.mark.parametrize("odd", ["[]", '"x"', "7", '{"seed": "x"}', '{"seed": 1e400}', '{"no": 1}'])
def test_a_plan_that_is_none(shop: Shop, query_name: str, graph_id: str, half: str, odd: str):
    """These were 500s: a plan's halves were taken for objects, and their values for numbers."""
    plan = f'"plan": {{"{half}": {odd}}}'
    query = "PREDICT COUNT(orders.*, 0, 9, days) FOR EACH customers.customer_id"
    bodies = {
        f"/predictive_queries/{query_name}/retrain": f"{{{plan}}}",
        "/predictive_queries": f'{{{plan}, "graph_id": "{graph_id}", "query_string": "{query}"}}',
    }
    for path, body in bodies.items():
        answer = shop.client.post(
            f"/api/v1{path}", content=body, headers={"Content-Type": "application/json"}
        )
        assert assert_problem(answer, 422)["hint"]


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        ({"table": {"split": "nonsense"}}, "task.invalid_split"),
        ({"model": {"metrics": ["nope"]}}, "plan.unknown_metric"),
        ({"model": {"tune_metric": "auroc"}}, "plan.unknown_metric"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused_before_there_is_a_job(
    shop: Shop, query_name: str, plan: dict, code: str
):
    answer = shop.client.post(
        f"/api/v1/predictive_queries/{query_name}/retrain", json={"plan": plan}
    )
    assert assert_problem(answer, 422)["code"] == code


@pytest.mark.parametrize("number", ["1e400", "10" * 300, "NaN", "-1", "0.5"])
def test_odd_numbers(shop: Shop, query_name: str, number: str):
    answer = shop.client.post(
        f"/api/v1/predictive_queries/{query_name}/predict",
        content=f'{{"num_classes": {number}}}',
        headers={"Content-Type": "application/json"},
    )
    assert 400 <= answer.status_code < 500
    assert_problem(answer)


def test_a_misspelt_field_is_named(shop: Shop, query_name: str):
    answer = shop.client.post(
        f"/api/v1/predictive_queries/{query_name}/predict", json={"treshold": 0.5}
    )
    assert "treshold" in str(assert_problem(answer, 422)["detail"])


def test_a_body_without_its_content_type_says_so(shop: Shop, query_name: str):
    answer = shop.client.post(
        f"/api/v1/predictive_queries/{query_name}/predict", content=b'{"threshold": 0.5}'
    )
    assert "Content-Type: application/json" in str(assert_problem(answer, 422)["hint"])
