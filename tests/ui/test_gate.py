"""The gate over real HTTP: nothing without a session, nothing from another site, the API untouched."""

from __future__ import annotations

import base64
import os
import socket
import stat
from urllib.parse import urlsplit

import httpx
import pytest

from relcast.ui.mounting import SESSIONS_FILE
from relcast.ui.sessions import COOKIE
from tests.ui.conftest import PASSWORD

PAGES = (
    "/",
    "/queries",
    "/queries/new",
    "/queries/some-id",
    "/graphs/new",
    "/graphs/some-id",
    "/jobs",
    "/jobs/some-id",
    "/admin",
    "/downloads/some-id/predictions.csv",
    "/no-such-page",
)
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport="


@pytest.fixture(scope="module")
def session(served) -> httpx.Client:
    """A client that has signed in."""
    client = httpx.Client(base_url=served.url, timeout=20, trust_env=False)
    answer = client.post("/login", data={"password": PASSWORD}, headers={"Origin": served.url})
    assert answer.status_code == 303
    yield client
    client.close()


@pytest.mark.parametrize("path", PAGES)
def test_no_page_without_a_session(served, path) -> None:
    answer = served.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")
    assert served.get(path, cookies={COOKIE: "made-up"}).status_code == 303


def test_no_socket_without_a_session(served) -> None:
    assert served.get(f"{SOCKET}polling").status_code == 401
    assert served.post(f"{SOCKET}polling", headers={"Origin": served.url}).status_code == 401
    assert _upgrade(served.url, origin=served.url, cookie="") == 403


def test_no_socket_from_another_site(served, session) -> None:
    cookie = f"{COOKIE}={session.cookies[COOKIE]}"
    assert _upgrade(served.url, origin="https://evil.example", cookie=cookie) == 403
    assert _upgrade(served.url, origin="null", cookie=cookie) == 403
    assert _upgrade(served.url, origin=None, cookie=cookie) == 403
    assert _upgrade(served.url, origin=served.url, cookie=cookie) == 101
    crossed = session.post(f"{SOCKET}polling", headers={"Origin": "https://evil.example"})
    assert crossed.status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
def test_no_post_from_another_site(served, session, origin) -> None:
    headers = {"Origin": origin} if origin else {}
    assert session.post("/logout", headers=headers).status_code == 403
    assert session.get("/admin").status_code == 200
    signed = served.post("/login", data={"password": PASSWORD}, headers=headers)
    assert signed.status_code == 403
    assert COOKIE not in signed.cookies


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_leads_nowhere_else(served, target) -> None:
    form = {"password": PASSWORD, "next": target}
    answer = served.post("/login", data=form, headers={"Origin": served.url})
    assert answer.headers["location"] == "/queries"


def test_pages_carry_their_policy(session) -> None:
    answer = session.get("/queries")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"


def test_unknown_things_are_404(session) -> None:
    assert session.get("/queries/some-id").status_code == 404
    assert session.get("/downloads/some-id/predictions.csv").status_code == 404
    assert session.get("/downloads/some-id/..%2f..%2frelcast.csv").status_code == 404
    assert session.get("/downloads/some-id/password.txt").status_code == 404


def test_the_api_stays_as_it_is(served, session) -> None:
    unsigned = served.get("/api/v1/jobs")
    assert unsigned.status_code == 401
    assert unsigned.headers["content-type"] == "application/problem+json"
    # A browser's session is no key: scripts of a page cannot use the API in its name.
    assert session.get("/api/v1/jobs").status_code == 401
    missing = served.get("/api/v1/no-such-thing")
    assert missing.headers["content-type"] == "application/problem+json"
    assert served.get("/healthz").status_code == 200


def test_guessing_is_slowed_down(served) -> None:
    def guess() -> httpx.Response:
        form = {"password": "guess"}
        return served.post("/login", data=form, headers={"Origin": served.url})

    answers = [guess() for _ in range(6)]
    assert [a.status_code for a in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    right = served.post("/login", data={"password": PASSWORD}, headers={"Origin": served.url})
    assert right.status_code == 429
    # One second later the address may try again, and the right password clears it.
    import time

    time.sleep(1.2)
    right = served.post("/login", data={"password": PASSWORD}, headers={"Origin": served.url})
    assert right.status_code == 303


def test_sessions_lie_in_a_file_of_the_owner_without_their_tokens(served, session) -> None:
    path = served.home / SESSIONS_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert session.cookies[COOKIE] not in path.read_text()
    assert not (served.home.parent / ".nicegui").exists()


def _upgrade(url: str, *, origin: str | None, cookie: str) -> int:
    """Ask for a websocket by hand and return the status of the answer."""
    where = urlsplit(url)
    lines = [
        f"GET {SOCKET}websocket HTTP/1.1",
        f"Host: {where.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        *([f"Origin: {origin}"] if origin else []),
        *([f"Cookie: {cookie}"] if cookie else []),
    ]
    with socket.create_connection((where.hostname, where.port), timeout=10) as sock:
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        status = sock.recv(4096).split(b" ")[1]
    return int(status)
