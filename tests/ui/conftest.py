"""A real server in a process of its own, over a home with a small shop; and a real browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from relcast.core.settings import Settings
from tests.ui.shop import QUERY, write_shop

PASSWORD = "correct horse battery staple"
XSS = "<img src=x onerror=window.hacked=1>"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Served:
    """A running server and what a test needs to come in."""

    url: str
    key: str
    home: Path
    graph_id: str
    query_id: str
    unread_graph_id: str
    """The same tables otherwise typed: a graph whose data no job reads."""

    def get(self, path: str, **kwargs) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=20, trust_env=False, **kwargs)

    def post(self, path: str, **kwargs) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", timeout=20, trust_env=False, **kwargs)


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Iterator[Served]:
    """Serve a fresh home that holds a graph and one query with a hostile name."""
    from relcast.jobs import Platform

    root = tmp_path_factory.mktemp("ui")
    shop = write_shop(root / "data" / "shop")
    env = {**os.environ, "RELCAST_DATA_ROOTS": str(root / "data"), "RELCAST_THREADS": "1"}
    env |= {"OMP_NUM_THREADS": "1", "RELCAST_CUSTOMER_ID": "demo"}
    platform = Platform.open(Settings.load(root / "home", env))
    key = platform.ensure_first_key()
    platform.set_admin_password(PASSWORD)
    graph = platform.graph_from_source("local", shop, name="shop")
    query = platform.create_query(XSS, QUERY, graph.id, plan={"model": {"run_mode": "debug"}})
    other = {"tables": {"customers": {"stypes": {"city": "text"}}}}
    unread = platform.graph_from_source("local", shop, overrides=other, name="never read")
    platform.stop()
    log = root / "serve.log"
    command = [sys.executable, "-m", "relcast.cli", "serve", "--home", str(root / "home")]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "--port", "0"],
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=root,
            start_new_session=True,
        )
    try:
        yield Served(_address(process, log), key, root / "home", graph.id, query.id, unread.id)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)


def _address(process: subprocess.Popen, log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"at (http://[\d.:]+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def browser():
    """Chromium; skips, saying so, where there is none, unless RELCAST_REQUIRE_BROWSER=1."""
    required = os.environ.get("RELCAST_REQUIRE_BROWSER") == "1"
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        said = f"no Chromium on this machine (looked for {', '.join(CHROMIUM)})"
        if required:
            pytest.fail(f"{said}, and RELCAST_REQUIRE_BROWSER=1 asks for one")
        pytest.skip(said)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, served):
    """A page of a fresh browser profile; anything from elsewhere or any script error fails."""
    context = browser.new_context(viewport={"width": 1360, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    faults: list[str] = []
    ours = urlsplit(served.url).netloc

    def requested(request) -> None:
        where = urlsplit(request.url)
        if where.scheme not in ("data", "blob") and where.netloc != ours:
            faults.append(f"asked elsewhere: {request.url}")

    opened.on("request", requested)
    opened.on("websocket", requested)
    opened.on("pageerror", lambda error: faults.append(f"script error: {error}"))

    def said(message) -> None:
        # That a page or a file is not there is what some tests ask for.
        missing = message.text.startswith("Failed to load resource")
        if "Content Security" in message.text or (message.type == "error" and not missing):
            faults.append(f"console: {message.text}")

    opened.on("console", said)
    yield opened
    hacked = opened.evaluate("window.hacked")
    context.close()
    assert hacked is None, "a name was run as HTML"
    assert faults == []


@pytest.fixture
def signed_in(page, served):
    """A page that has signed in."""
    page.goto(f"{served.url}/login")
    page.get_by_label("Admin password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/queries")
    return page
