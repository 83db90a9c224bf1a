"""The rooms, walked through in a real Chromium against a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import XSS
from tests.ui.shop import QUERY

pytestmark = pytest.mark.browser

JOB_SECONDS = 90_000


def test_a_wrong_password_stays_outside_and_the_right_one_comes_in(page: Page, served) -> None:
    page.goto(f"{served.url}/jobs?kind=training")
    expect(page).to_have_url(f"{served.url}/login?next=%2Fjobs%3Fkind%3Dtraining")
    page.get_by_label("Admin password").fill("a guess")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This is not the admin password.")
    page.get_by_label("Admin password").fill("correct horse battery staple")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{served.url}/jobs?kind=training")
    cookie = next(c for c in page.context.cookies() if c["name"] == "relcast_session")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/login$"))
    page.goto(f"{served.url}/queries")
    expect(page).to_have_url(re.compile("/login"))


def test_signing_out_in_one_tab_cuts_the_other_tabs_socket(signed_in: Page, served) -> None:
    other = signed_in.context.new_page()
    other.goto(f"{served.url}/admin")
    expect(other.get_by_role("heading", name="Admin")).to_be_visible()
    signed_in.get_by_role("button", name="Sign out").click()
    expect(signed_in).to_have_url(re.compile("/login"))
    # A press on a button of the other tab does nothing but send it to the sign-in page.
    other.get_by_role("button", name="Reset and generate new API Key").first.click()
    expect(other).to_have_url(re.compile("/login"))
    assert served.get("/api/v1/jobs", headers={"X-API-Key": served.key}).status_code == 200


def test_a_bad_query_shows_every_fault_at_its_place(signed_in: Page, served) -> None:
    page = signed_in
    page.goto(f"{served.url}/queries/new?graph={served.graph_id}")
    editor = page.get_by_label("Predictive query")
    editor.fill("PREDICT SUM(orders.amont, 0, 30, days)\nFOR EACH customers.customer_id")
    place = page.get_by_role("button", name="1:13")
    expect(place).to_be_visible()
    expect(page.locator(".rc-faults")).to_contain_text("amount")
    expect(page.locator(".pql-fault").first).to_have_text("orders")
    underlined = "".join(page.locator(".pql-fault").all_text_contents())
    assert underlined == "orders.amont"
    caret = page.locator(".rc-caret").inner_text().split("\n")
    assert caret[1].index("^") == caret[0].index("orders.amont")
    expect(page.get_by_role("button", name="Save and train")).to_be_disabled()
    place.click()
    expect(editor).to_be_focused()
    assert editor.evaluate("area => area.selectionStart") == 12
    editor.fill("PREDICT SUM(orders.amount, 0, 30, days)\nFOR EACH customers.customer_id")
    expect(page.locator(".rc-task")).to_have_text("Regression")
    expect(page.locator(".rc-said")).to_contain_text("orders.amount")
    expect(page.locator(".pql-fault")).to_have_count(0)
    expect(page.get_by_role("button", name="Save and train")).to_be_enabled()


def test_connect_write_train_predict_and_download(signed_in: Page, served, tmp_path: Path) -> None:
    page = signed_in
    page.goto(f"{served.url}/graphs/new")
    page.get_by_label("Name").fill("shop again")
    page.get_by_role("button", name="Connect").click()
    expect(page).to_have_url(re.compile("/graphs/graph-"), timeout=30_000)
    expect(page.get_by_text("orders.customer_id")).to_be_visible()
    expect(page.get_by_text("of the values match")).to_be_visible()

    page.get_by_role("link", name="Write a query").click()
    page.get_by_label("Name").fill("buyers of next month")
    page.get_by_label("Training").select_option("debug")
    page.get_by_label("Predictive query").fill(QUERY)
    page.get_by_role("button", name="Save and train").click()
    expect(page).to_have_url(re.compile("/jobs/trainingjob-"))
    job_url = page.url

    # Live: without a reload the stages move on, and a reload in between loses nothing.
    expect(page.locator(".rc-stage--DONE").first).to_be_visible(timeout=JOB_SECONDS)
    page.reload()
    expect(page.locator(".rc-chip--DONE")).to_be_visible(timeout=JOB_SECONDS)
    expect(page.locator(".rc-stage--DONE")).to_have_count(5)
    expect(page.locator(".rc-headline")).to_contain_text("AUROC on test")
    bars = page.locator(".rc-bars").first
    expect(bars).to_contain_text("Model (")
    expect(bars).to_contain_text("entity mean")
    expect(page.get_by_role("heading", name="Leaderboard")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    with page.expect_download() as holdout:
        page.get_by_role("link", name="Holdout").click()
    assert Path(holdout.value.path()).read_bytes()[:4] == b"PAR1"

    page.get_by_role("link", name="The query").click()
    expect(page.get_by_role("heading", name="buyers of next month")).to_be_visible()
    expect(page.locator(".rc-headline")).to_contain_text("AUROC on test")
    expect(page.locator(".rc-said")).to_contain_text("in the following 30 days")
    line = page.locator(".rc-code code").first.inner_text()
    assert line.startswith("curl -X POST")
    assert line.endswith("/retrain")

    page.get_by_role("button", name="New Batch Prediction").click()
    page.get_by_label("Anchor time").fill("2024-09-01T00:00")
    page.get_by_role("button", name="Start prediction").click()
    expect(page).to_have_url(re.compile("/jobs/bp-job-"))
    expect(page.locator(".rc-chip--DONE")).to_be_visible(timeout=JOB_SECONDS)
    expect(page.get_by_role("heading", name="First predictions")).to_be_visible()
    with page.expect_download() as table:
        page.get_by_role("link", name="Download CSV").click()
    rows = Path(table.value.path()).read_text().splitlines()
    assert rows[0].startswith('"ENTITY"')
    assert len(rows) == 161
    assert rows[1].split(",")[1].startswith("2024-09-01")

    page.get_by_role("link", name="The query").click()
    expect(page.get_by_role("heading", name="Newest predictions")).to_be_visible()
    expect(page.get_by_text("Strongest reasons")).to_be_visible()
    page.goto(f"{served.url}/queries")
    expect(page.locator("tbody tr").filter(has_text="buyers of next month")).to_contain_text(
        "AUROC"
    )
    page.goto(f"{served.url}/jobs?kind=training&state=DONE")
    expect(page.locator(f'a[href="{job_url.removeprefix(served.url)}"]')).to_be_visible()


def test_cancel_stops_a_job_after_it_was_confirmed(signed_in: Page, served) -> None:
    page = signed_in
    page.goto(f"{served.url}/queries/{served.query_id}")
    page.get_by_role("button", name="Retrain query").click()
    expect(page).to_have_url(re.compile("/jobs/trainingjob-"))
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Let it run").click()
    expect(page.locator(".rc-chip--CANCELLED")).to_have_count(0)
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator(".rc-chip--CANCELLED")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("alert")).to_contain_text("cancelled")
    job_id = page.url.rsplit("/", 1)[-1]
    answer = served.get(f"/api/v1/jobs/{job_id}", headers={"X-API-Key": served.key})
    assert answer.json()["state"] == "CANCELLED"


def test_a_training_that_is_stopped_can_keep_its_best(signed_in: Page, served) -> None:
    page, key = signed_in, {"X-API-Key": served.key}
    body = {
        "name": "stopped early",
        "query_string": QUERY,
        "graph_id": served.graph_id,
        "plan": {"model": {"run_mode": "best"}},  # minutes, if it were left alone
    }
    made = served.post("/api/v1/predictive_queries", headers=key, json=body)
    assert made.is_success, made.text
    page.goto(f"{served.url}/queries/{made.json()['id']}")
    page.get_by_role("button", name="Retrain query").click()
    expect(page.get_by_text("best so far:")).to_be_visible(timeout=JOB_SECONDS)
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Stop and keep the best").click()
    expect(page.locator(".rc-chip--DONE").first).to_be_visible(timeout=JOB_SECONDS)
    expect(page.get_by_text("Stopped early: the best by then was published.")).to_be_visible()
    expect(page.locator(".rc-headline")).to_contain_text("AUROC")


def test_names_are_text_whatever_they_hold(signed_in: Page, served) -> None:
    page = signed_in
    road, key = f"/api/v1/predictive_queries/{served.query_id}", {"X-API-Key": served.key}
    assert served.post(f"{road}/retrain", headers=key).status_code == 202  # so that a job has one
    assert served.post(f"{road}/cancel_training", headers=key).is_success
    for path in ("/queries", f"/queries/{served.query_id}", "/jobs"):
        page.goto(f"{served.url}{path}")
        expect(page.get_by_text(XSS).first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0
    page.goto(f"{served.url}/queries/{XSS.replace('/', '')}-not-there")
    expect(page.get_by_role("heading", name="Not here")).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


def test_everything_is_reached_with_the_keyboard(signed_in: Page, served) -> None:
    page = signed_in
    page.goto(f"{served.url}/queries")
    expect(page.get_by_role("link", name="New query")).to_be_visible()
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.innerText.trim().split('\\n').pop()"))
    assert seen[0] == "Skip to the content"
    for name in ("Predictive Queries", "Models", "Jobs", "Admin", "Sign out", "New query", XSS):
        assert name in seen
    page.goto(f"{served.url}/admin")
    reset = page.get_by_role("button", name="Reset and generate new API Key")
    reset.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".rc-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".rc-dialog")).to_have_count(0)


def test_the_theme_is_kept(signed_in: Page, served) -> None:
    page = signed_in
    page.goto(f"{served.url}/admin")
    toggle = page.get_by_role("button", name="Theme")
    expect(toggle).to_contain_text("system")
    toggle.click()
    toggle.click()
    expect(toggle).to_contain_text("dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(14, 19, 26)"


def test_resetting_the_key_kills_the_old_one(signed_in: Page, served) -> None:
    """The last test of this file: afterwards ``served.key`` is dead."""
    page = signed_in
    old = {"X-API-Key": served.key}
    assert served.get("/api/v1/jobs", headers=old).status_code == 200
    page.goto(f"{served.url}/admin")
    page.get_by_role("button", name="Reset and generate new API Key").click()
    dialog = page.locator(".rc-dialog")
    expect(dialog).to_contain_text("every script")
    dialog.get_by_role("button", name="Reset and generate").click()
    secret = page.locator(".rc-new-key").inner_text()
    assert secret.startswith("demo:rc_")
    assert served.get("/api/v1/jobs", headers=old).status_code == 401
    curl = page.locator(".rc-curl").inner_text()
    found = re.fullmatch(r"curl -H '(X-API-Key): ([^']+)' (\S+)", curl)
    assert found is not None
    answer = served.get(found[3].removeprefix(served.url), headers={found[1]: found[2]})
    assert answer.status_code == 200
    expect(page.get_by_text(f"…{secret[-4:]}")).to_be_visible()
    page.reload()
    expect(page.get_by_text(f"…{secret[-4:]}")).to_be_visible()
    assert secret not in page.content()
