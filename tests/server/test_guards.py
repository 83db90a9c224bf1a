"""Signed URLs, the host check, the key's reset, headers and log: what stands before every route."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from relcast.core.settings import Settings
from relcast.jobs import Platform
from relcast.server import create_app, install_browser_sessions, run_server
from relcast.server import signing as signing_module
from relcast.server.middleware import AllowedHosts, is_loopback
from relcast.server.signing import sign
from tests.server.conftest import Running, Shop
from tests.server.test_every_route import assert_problem


def upload_url(shop: Shop, parts: int = 1) -> dict[str, str]:
    body = {
        "source_table_name": "letters",
        "connector_id": "csv_upload_connector",
        "num_parts": parts,
    }
    answer = shop.client.post("/api/v1/connectors/utils/start_file_upload", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_upload_in_parts_becomes_a_table(shop: Shop):
    started = upload_url(shop, parts=2)
    urls = started["presigned_part_urls"]
    assert list(urls) == ["1", "2"]
    assert all(u.startswith(shop.url) for u in urls.values())
    etags = []
    for content, url in zip((b"id,name\n1,a\n2,", b"b\n3,c\n"), urls.values(), strict=True):
        answer = httpx.put(url, content=content)  # no key
        assert answer.status_code == 200
        etags.append(answer.headers["etag"])
    body = {
        "source_table_name": "letters",
        "connector_id": "csv_upload_connector",
        "temp_upload_path": started["temp_upload_path"],
        "upload_id": started["upload_id"],
        "parts_metadata": [{"part_number": n, "etag": e} for n, e in enumerate(etags, 1)],
        "validate_data": False,
    }
    done = shop.client.post("/api/v1/connectors/utils/complete_file_upload", json=body)
    assert done.status_code == 200, done.text
    asked = {
        "source_table_request": {
            "s3_root_dir": "", "connector_id": "csv_upload_connector",
            "table_names": ["letters"], "file_type": None, "source_type": "S3",
        },
        "sample_rows": 3,
    }  # fmt: skip
    data = shop.client.post("/api/v1/source_tables/get_table_data", json=asked).json()
    assert [c["name"] for c in data[0]["cols"]] == ["id", "name"]
    listed = {"connector_id": None, "source_type": "S3", "root_dir": None}
    for connector, there in (("csv_upload_connector", True), ("parquet_upload_connector", False)):
        answer = shop.client.post(
            "/api/v1/source_tables/list_tables", json=listed | {"connector_id": connector}
        )
        assert ("letters" in answer.json()["table_names"]) is there


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda u: u.replace("/parts/1", "/parts/2"), "auth.bad_signature"),
        (lambda u: re.sub(r"expires=\d+", "expires=99999999999", u), "auth.bad_signature"),
        (lambda u: re.sub(r"expires=\d+", "expires=", u), "auth.bad_signature"),
        (lambda u: re.sub(r"signature=.*", "signature=", u), "auth.bad_signature"),
        (lambda u: u.split("?")[0], "auth.bad_signature"),
        (lambda u: u[:-1] + ("A" if u[-1] != "A" else "B"), "auth.bad_signature"),
    ],
)
def test_a_changed_url_is_worth_nothing(shop: Shop, change, code):
    url = change(upload_url(shop)["presigned_part_urls"]["1"])
    assert assert_problem(httpx.put(url, content=b"x"), 403)["code"] == code


def test_a_url_for_putting_does_not_get_and_an_old_one_is_dead(shop: Shop):
    url = upload_url(shop)["presigned_part_urls"]["1"]
    assert httpx.get(url).status_code == 405
    path = urlsplit(url).path
    key = signing_module._secret(shop.platform.settings.home)
    past = int(time.time()) - 1
    old = f"{shop.url}{path}?expires={past}&signature={sign(key, 'PUT', path, past)}"
    assert assert_problem(httpx.put(old, content=b"x"), 403)["code"] == "auth.link_expired"
    expires = int(parse_qs(urlsplit(url).query)["expires"][0])
    assert 11 * 3600 < expires - time.time() <= 12 * 3600


def test_the_log_never_has_a_signature(shop: Shop, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "relcast.server.access")
    url = upload_url(shop)["presigned_part_urls"]["1"]
    httpx.put(url, content=b"x")
    text, deadline = "", time.monotonic() + 10
    while urlsplit(url).path not in text:  # the line is written once the answer is sent
        assert time.monotonic() < deadline, text
        time.sleep(0.01)
        text = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("relcast"))
    assert "signature" not in text
    assert parse_qs(urlsplit(url).query)["signature"][0] not in text
    assert shop.key not in text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_other_hosts_are_not_answered(shop: Shop, host: str):
    answer = httpx.get(f"{shop.url}/api/config", headers={"Host": host})
    assert assert_problem(answer, 421)["code"] == "request.unknown_host"


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "[::1]:8000", "127.0.0.1"])
def test_loopback_names_are_answered(shop: Shop, host: str):
    assert httpx.get(f"{shop.url}/api/config", headers={"Host": host}).status_code == 200


def test_allowed_hosts():
    hosts = AllowedHosts(["box.lan"], "https://Predict.example.com/relcast")
    assert hosts.accepts("BOX.lan:9000")
    assert hosts.accepts("predict.example.com")
    assert not hosts.accepts("example.com")
    assert not hosts.accepts("[not:an:address")
    hosts.allow_every()
    assert hosts.accepts("example.com")
    assert is_loopback("::1")
    assert is_loopback("127.8.8.8")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("localhost.evil.example")


def test_a_reset_kills_the_earlier_key(tmp_path: Path):
    platform = Platform.open(Settings.load(tmp_path / "home", {}))
    old = platform.reset_key()
    running = Running(create_app(platform))
    try:
        with httpx.Client(base_url=running.url) as client:
            made = client.post("/api/v1/keys/reset", headers={"X-API-Key": old}).json()
            assert client.get("/api/v1/jobs", headers={"X-API-Key": old}).status_code == 401
            new = {"X-API-Key": made["api_key"]}
            assert client.get("/api/v1/jobs", headers=new).status_code == 200
            shown = client.get("/api/v1/keys", headers=new)
            assert shown.json()[0]["last_four"] == made["api_key"][-4:]
            assert made["api_key"] not in shown.text
            # One audit row for the one mutating call.
            rows = [r for r in platform.audit_log() if r.action == "reset_key"]
            assert [r.outcome for r in rows] == ["200"]
    finally:
        running.stop()
        platform.stop()


def test_browsers_read_the_documentation_after_signing_in():
    app = create_app(SimpleNamespace(settings=SimpleNamespace(public_url=None)))  # type: ignore[arg-type]
    install_browser_sessions(
        app, lambda r: "admin" if r.cookies.get("s") == "1" else None, "/login"
    )
    running = Running(app)
    try:
        asked = httpx.get(f"{running.url}/api/docs", headers={"Accept": "text/html"})
        assert asked.status_code == 303
        assert asked.headers["location"] == "/login?next=%2Fapi%2Fdocs"
        inside = httpx.get(f"{running.url}/api/docs", headers={"Cookie": "s=1"})
        assert inside.status_code == 200
        assert httpx.get(f"{running.url}/api/openapi.json", headers={"Cookie": "s=1"}).is_success
    finally:
        running.stop()


def test_answers_have_an_id_and_careful_headers(shop: Shop):
    answer = shop.client.get("/api/v1/jobs", headers={"X-Request-Id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    odd = shop.client.get("/api/v1/jobs", headers={"X-Request-Id": "a b<script>"})
    assert odd.headers["x-request-id"].startswith("req-")


def test_a_doubled_slash_is_one(shop: Shop):
    assert shop.client.get("/api//v1/jobs").status_code == 200


def test_run_server_says_when_it_is_ready_and_warns_of_open_binds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    import uvicorn

    platform = Platform.open(Settings.load(tmp_path / "home", {}))
    app = create_app(platform)
    said: list[str] = []
    begun: list[uvicorn.Server] = []
    plain = uvicorn.Server.startup

    async def noted(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        begun.append(self)
        await plain(self, sockets)

    monkeypatch.setattr(uvicorn.Server, "startup", noted)
    thread = threading.Thread(
        target=run_server, args=(app, "0.0.0.0", 0), kwargs={"ready": said.append}
    )
    thread.start()
    deadline = time.monotonic() + 20
    while not said:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    port = urlsplit(said[0]).port
    elsewhere = httpx.get(f"http://127.0.0.1:{port}/healthz", headers={"Host": "box.example"})
    begun[0].should_exit = True
    thread.join()
    platform.stop()
    assert elsewhere.status_code == 200
    assert any("others can reach this server" in r.getMessage() for r in caplog.records)


def test_status_calls_are_quick_while_a_training_runs(shop: Shop, query_name: str, trained):
    body = {"plan": {"table": {"timeframe_step": 1}, "model": {"run_mode": "fast"}}}
    job = shop.client.post(f"/api/v1/predictive_queries/{query_name}/retrain", json=body).json()
    took, state = [], ""
    deadline = time.monotonic() + 12
    while time.monotonic() < deadline and state not in ("DONE", "FAILED"):
        began = time.perf_counter()
        status = shop.client.get(f"/api/v1/predictive_queries/{query_name}/training_status").json()
        state = status["state"]
        if state == "RUNNING":
            took.append(time.perf_counter() - began)
        time.sleep(0.05)
    shop.client.post(f"/api/v1/jobs/{job['id']}/cancel")
    assert len(took) > 20
    assert sorted(took)[len(took) // 2] < 0.05
