"""Evaluation, explanation and prediction options in a real Chromium, on one small model."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.ui.shop import QUERY

pytestmark = pytest.mark.browser

JOB_SECONDS = 180_000
ANSWER_SECONDS = 60_000


@pytest.fixture(scope="module")
def trained(served) -> str:
    """Train a query of the served shop over REST; the URL of its page."""
    import time

    key = {"X-API-Key": served.key}
    body = {
        "name": "buyers to explain",
        "query_string": QUERY,
        "graph_id": served.graph_id,
        "plan": {"model": {"run_mode": "debug"}},
    }
    made = served.post("/api/v1/predictive_queries", headers=key, json=body)
    assert made.is_success, made.text
    road = f"/api/v1/predictive_queries/{made.json()['id']}"
    assert served.post(f"{road}/retrain", headers=key).status_code == 202
    deadline = time.monotonic() + JOB_SECONDS / 1000
    while time.monotonic() < deadline:
        state = served.get(f"{road}/training_status", headers=key).json()["state"]
        if state in ("DONE", "FAILED"):
            break
        time.sleep(0.5)
    assert state == "DONE"
    return f"{served.url}/queries/{made.json()['id']}"


def test_from_the_query_to_the_threshold_and_to_the_reasons(
    signed_in: Page, served, trained: str
) -> None:
    page = signed_in
    page.goto(trained)
    page.get_by_role("link", name="Evaluation").click()
    expect(page).to_have_url(re.compile("/models/model-"))
    expect(page.locator(".rc-headline")).to_contain_text("AUROC on test")
    for title in ("Threshold", "ROC", "Precision and recall", "Calibration", "By cohort"):
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Leakage certificate")).to_be_visible()
    expect(page.locator(".rc-check--bad")).to_have_count(0)
    expect(page.get_by_role("img", name=re.compile("ROC curve of"))).to_be_visible()
    expect(page.get_by_text("teach the model")).to_be_visible()

    # The threshold moves with the keyboard alone: at its end nothing is said to be true.
    slider = page.get_by_role("slider")
    counts = page.locator(".rc-matrix tbody td")
    before = counts.all_inner_texts()
    slider.focus()
    page.keyboard.press("End")
    expect(counts.nth(0)).not_to_have_text(before[0])
    page.keyboard.press("Home")
    expect(counts.nth(1)).to_have_text("0")
    expect(counts.nth(3)).to_have_text("0")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("recall 100.0 %"))

    page.get_by_role("button", name="Window").click()
    expect(page.get_by_role("button", name="Window")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("link", name="On validation").click()
    expect(page.locator(".rc-headline")).to_contain_text("AUROC on validation")
    page.reload()
    expect(page.locator(".rc-headline")).to_contain_text("AUROC on validation")
    with page.expect_download() as holdout:
        page.get_by_role("link", name="Holdout CSV").click()
    assert holdout.value.suggested_filename.endswith("holdout.csv")

    page.get_by_role("link", name="Explain a prediction").click()
    page.get_by_label("Entity").fill("c0003")
    page.get_by_label("Anchor time").fill("2024-09-01T00:00")
    page.keyboard.press("Enter")
    expect(page.locator(".rc-told")).to_be_visible(timeout=ANSWER_SECONDS)
    assert "entity=c0003" in page.url
    page.reload()
    expect(page.locator(".rc-told")).to_be_visible(timeout=ANSWER_SECONDS)
    expect(page.locator(".rc-summary")).to_contain_text("The prediction is")
    expect(page.locator(".rc-said-list")).to_contain_text("instead of")
    expect(page.get_by_role("img", name=re.compile("rows by time"))).to_be_visible()
    expect(page.get_by_role("heading", name="Rows of orders")).to_be_visible()
    page.get_by_label("Entity").fill("nobody")
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_role("alert")).to_contain_text("explain.unknown_entity")


def test_models_stand_in_a_list_beside_their_queries(signed_in: Page, served, trained: str) -> None:
    page = signed_in
    page.get_by_role("link", name="Models", exact=True).click()
    expect(page).to_have_url(f"{served.url}/models")
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    expect(page.locator(".rc-nav [aria-current=page]")).to_contain_text("Models")
    row = page.get_by_role("row").filter(has_text="buyers to explain")
    expect(row).to_contain_text("PREDICT COUNT(orders.*")
    expect(row).to_contain_text("Binary classification")
    expect(row).to_contain_text("AUROC")
    expect(row).to_contain_text("best baseline")
    expect(row).to_contain_text("predicts for its query")
    row.get_by_role("link", name="buyers to explain").click()
    expect(page).to_have_url(re.compile("/models/model-"))
    expect(page.locator(".rc-nav [aria-current=page]")).to_contain_text("Models")
    expect(page.locator(".rc-chosen")).to_contain_text("Published is ")
    page.goto(f"{served.url}/models?sheet=99")
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()


def test_a_prediction_has_options_and_each_row_its_why(
    signed_in: Page, served, trained: str
) -> None:
    page = signed_in
    page.goto(trained)
    page.get_by_role("button", name="New Batch Prediction").click()
    page.get_by_label("Threshold").fill("7")
    page.get_by_role("button", name="Start prediction").click()
    expect(page.locator(".rc-dialog [role=alert]")).to_contain_text("not a number from 0 to 1")
    page.get_by_label("Threshold").fill("0.001")
    page.get_by_role("button", name="Start prediction").click()
    expect(page).to_have_url(re.compile("/jobs/bp-job-"))
    expect(page.locator(".rc-chip--DONE")).to_be_visible(timeout=JOB_SECONDS)
    row = page.locator("tbody tr").first
    expect(row).to_contain_text("True")
    row.get_by_role("link", name=re.compile("^Why does")).click()
    expect(page).to_have_url(re.compile(r"/models/model-.*/explain\?entity=c\d+&anchor=2024-"))
    expect(page.locator(".rc-told")).to_be_visible(timeout=ANSWER_SECONDS)


def test_a_phone_shows_evaluation_and_explanation_without_scrolling_sideways(
    signed_in: Page, served, trained: str
) -> None:
    page = signed_in
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(trained)
    page.get_by_role("link", name="Evaluation").click()
    expect(page.get_by_role("slider")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("link", name="Explain a prediction").click()
    page.get_by_label("Entity").fill("c0003")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator(".rc-told")).to_be_visible(timeout=ANSWER_SECONDS)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
