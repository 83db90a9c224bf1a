"""The training table before any training, in a real Chromium: asked, drawn, stopped, mended."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.ui.shop import QUERY

pytestmark = pytest.mark.browser

SECONDS = 60_000
BUTTON = "Show what it would hold"


def test_the_table_is_read_counted_and_drawn(signed_in: Page, served) -> None:
    page = signed_in
    page.goto(f"{served.url}/queries/new?graph={served.unread_graph_id}")
    show = page.get_by_role("button", name=BUTTON)
    expect(show).to_be_disabled()
    editor = page.get_by_label("Predictive query")
    editor.fill(QUERY + "\nWHERE COUNT(orders.*, -60, 0, days) > 0")
    expect(page.locator(".rc-task")).to_have_text("Binary classification")
    show.click()
    expect(page.get_by_text("have not been read yet")).to_be_visible()
    page.get_by_role("button", name="Read the tables").click()
    expect(page.get_by_role("status")).to_be_visible()
    outline = page.locator(".rc-outline")
    expect(outline).to_be_visible(timeout=SECONDS)
    expect(outline).to_contain_text(re.compile(r"rows at \d+ anchors"))
    expect(outline).to_contain_text("WHERE does not hold")
    expect(outline).to_contain_text("% positive")
    expect(page.locator(".rc-strip-bars")).to_have_count(2)
    for split in ("train", "val", "test"):
        expect(page.locator(f"path.rc-split--{split}")).to_have_count(2)
    # By now the anchors are known, and the sentence says them.
    expect(page.locator(".rc-said")).to_contain_text("Every 30 days from")

    # Another text is another question: what was shown goes.
    editor.fill(QUERY.replace("> 0", ">"))
    expect(outline).to_have_count(0)
    expect(show).to_be_disabled()
    expect(page.locator(".rc-faults")).to_be_visible()
    editor.fill(QUERY.replace("30", "7"))
    expect(page.locator(".rc-said")).to_contain_text(re.compile(r"Each \w+day"))
    editor.fill("PREDICT SUM(orders.amount, 0, 100, days)\nFOR EACH customers.customer_id")
    expect(page.get_by_text("task.too_few_anchors")).to_be_visible()
    show.click()
    expect(page.locator(".rc-outline [role=alert]")).to_contain_text("anchor", timeout=SECONDS)


def test_a_phone_shows_it_without_scrolling_sideways(signed_in: Page, served) -> None:
    page = signed_in
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{served.url}/queries/{served.query_id}")
    show = page.get_by_role("button", name=BUTTON)
    show.click()
    read = page.get_by_role("button", name="Read the tables")
    expect(read.or_(page.locator(".rc-outline"))).to_be_visible(timeout=SECONDS)
    if read.count():
        read.click()
    expect(page.locator(".rc-outline")).to_be_visible(timeout=SECONDS)
    wide, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= window
    bars = page.locator(".rc-strip-bars").first.bounding_box()
    assert bars is not None
    assert 200 < bars["width"] <= 390
    targets = page.locator(".rc-splits td").last.bounding_box()
    assert targets is not None
    assert targets["x"] + targets["width"] <= 390


def test_the_picture_and_its_parts_have_names(signed_in: Page, served) -> None:
    page = signed_in
    page.goto(f"{served.url}/queries/{served.query_id}")
    page.get_by_role("button", name=BUTTON).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".rc-outline")).to_be_visible(timeout=SECONDS)
    expect(
        page.get_by_role("img", name=re.compile(r"Rows of \d+ anchors: \d+ to \d+"))
    ).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Share of positives of"))).to_be_visible()
    page.get_by_text("Every anchor").click()
    expect(page.locator(".rc-outline details tbody tr").first).to_contain_text("test")
