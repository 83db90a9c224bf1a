"""Take the pictures of docs/images: ``python tests/ui/pictures.py <empty folder>``.

Serves a shop of generated data, outlines a query, trains one, scores with it, and photographs that.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from relcast.core.settings import Settings  # noqa: E402
from relcast.jobs import Platform  # noqa: E402
from tests.ui.shop import QUERY, write_shop  # noqa: E402

PASSWORD = "only for the pictures"
SIZE = {"width": 1360, "height": 1010}


def main(folder: Path) -> None:
    shop = write_shop(folder / "data" / "shop", customers=1200, days=480)
    env = {**os.environ, "RELCAST_DATA_ROOTS": str(folder / "data"), "OMP_NUM_THREADS": "1"}
    platform = Platform.open(Settings.load(folder / "home", env))
    platform.set_admin_password(PASSWORD)
    platform.ensure_first_key()
    graph = platform.graph_from_source("local", shop, name="shop")
    plan = {"model": {"run_mode": "fast"}}
    query = platform.create_query("buyers of next month", QUERY, graph.id, plan=plan)
    platform.stop()
    command = [sys.executable, "-m", "relcast.cli", "serve", "--home", str(folder / "home")]
    log = folder / "serve.log"
    with log.open("w") as out:
        server = subprocess.Popen([*command, "--port", "0"], env=env, stdout=out, cwd=folder)
    try:
        while not (found := re.search(r"at (http://[\d.:]+)", log.read_text())):
            time.sleep(0.2)
        photograph(found[1], query.id, ROOT / "docs" / "images")
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


def photograph(url: str, query_id: str, images: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--headless=new", "--no-sandbox", "--disable-gpu"],
        )
        page = browser.new_context(viewport=SIZE).new_page()
        page.goto(f"{url}/login")
        page.get_by_label("Admin password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/queries")
        page.goto(f"{url}/queries/new")
        weekly = f"{QUERY}\nWHERE COUNT(orders.*, -60, 0, days) > 0"
        page.get_by_label("Predictive query").fill(weekly.replace("30", "7"))
        page.get_by_role("button", name="Show what it would hold").click()
        page.get_by_role("button", name="Read the tables").click()
        page.locator(".rc-outline").wait_for(timeout=60_000)
        page.wait_for_timeout(1500)
        page.screenshot(path=images / "training-table.png", full_page=True)
        page.goto(f"{url}/queries/{query_id}")
        page.get_by_role("button", name="Retrain query").click()
        page.locator("h2", has_text="So far").or_(page.locator(".rc-chip--FAILED")).wait_for(
            timeout=240_000
        )
        page.locator(".rc-plot").first.wait_for(timeout=60_000)
        page.wait_for_timeout(2500)
        page.screenshot(path=images / "job.png")
        page.locator(".rc-chip--DONE").wait_for(timeout=300_000)
        page.get_by_role("link", name="The query").click()
        page.get_by_role("button", name="New Batch Prediction").click()
        page.get_by_role("button", name="Start prediction").click()
        page.wait_for_url("**/jobs/bp-job-*")
        page.locator(".rc-chip--DONE").wait_for(timeout=120_000)
        page.get_by_role("link", name="The query").click()
        page.get_by_role("heading", name="Newest predictions").wait_for()
        page.wait_for_timeout(800)
        page.screenshot(path=images / "query.png")
        page.get_by_role("link", name="Evaluation").click()
        page.get_by_role("slider").wait_for()
        page.wait_for_timeout(1500)
        page.set_viewport_size({"width": SIZE["width"], "height": 1750})
        page.screenshot(path=images / "evaluation.png")
        page.go_back()
        page.get_by_role("link", name="Why does").first.click()
        page.locator(".rc-told").wait_for(timeout=60_000)
        page.wait_for_timeout(800)
        page.screenshot(path=images / "explanation.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
