"""What must hold of all routes: scope, the one 401, the one error shape, the document."""

from __future__ import annotations

import re

import httpx
import pytest

from relcast.core.errors import Forbidden
from relcast.jobs import Platform
from relcast.server import create_app
from relcast.server.routing import RouteSpec
from tests.server.conftest import Shop

FIELDS = {
    "type", "title", "status", "detail", "code", "request_id", "hint", "errors", "position",
}  # fmt: skip
WITHOUT_KEY = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/api/config"),
    ("GET", "/api/v1/files/{job_id}/{name}"),
    ("PUT", "/api/v1/uploads/{upload_id}/parts/{number}"),
}


def specs() -> tuple[RouteSpec, ...]:
    from types import SimpleNamespace

    settings = SimpleNamespace(public_url=None)
    return create_app(SimpleNamespace(settings=settings)).state.route_specs  # type: ignore[arg-type]


SPECS = specs()
GUARDED = [s for s in SPECS if s.scope not in ("public", "signed")]


def concrete(path: str) -> str:
    return re.sub(r"\{number\}", "1", re.sub(r"\{(?!number)\w+\}", "nothing-here", path))


def assert_problem(answer: httpx.Response, status: int | None = None) -> dict[str, object]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert set(body) == FIELDS
    assert body["status"] == answer.status_code
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["code"]
    assert body["detail"]
    assert "Traceback" not in answer.text
    if status is not None:
        assert answer.status_code == status, answer.text
    return body


def test_routes_without_a_key_are_these_and_no_others():
    assert {(s.method, s.path) for s in SPECS if s.scope in ("public", "signed")} == WITHOUT_KEY
    assert len(SPECS) > 80


def test_operation_ids_are_unique():
    names = [s.operation_id for s in SPECS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("spec", GUARDED, ids=lambda s: f"{s.method} {s.path}")
def test_every_bad_key_gets_the_same_401(shop: Shop, spec: RouteSpec):
    customer, _, secret = shop.key.partition(":")
    wrong = f"{customer}:{secret[:-4]}{'AAAA' if secret[-4:] != 'AAAA' else 'BBBB'}"
    keys = [None, "", "no-colon", f"{customer}:", "demo:rc_" + "0" * 48, wrong, secret, "x" * 9000]
    bodies = []
    for key in keys:
        headers = {"X-Request-Id": "same"} | ({} if key is None else {"X-API-Key": key})
        answer = httpx.request(
            spec.method, shop.url + concrete(spec.path), headers=headers, content=b"{not json"
        )
        assert_problem(answer, 401)
        bodies.append(answer.content)
    assert set(bodies) == {bodies[0]}


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.method} {s.path}")
def test_errors_of_every_route_have_the_one_shape(shop: Shop, spec: RouteSpec):
    """Nothing there, broken JSON, JSON of the wrong kind: never a 5xx, always a problem."""
    if spec.operation_id == "reset_key":
        pytest.skip("it has no input that could be wrong")
    for content in (b"{not json", b"[]", b'"text"', b"null", b"[" * 5000, b"\xff\xfe"):
        answer = shop.client.request(
            spec.method,
            concrete(spec.path),
            content=content,
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert_problem(answer)


@pytest.mark.parametrize("spec", GUARDED, ids=lambda s: f"{s.method} {s.path}")
def test_a_key_without_the_scope_is_refused_by_name(
    shop: Shop, spec: RouteSpec, monkeypatch: pytest.MonkeyPatch
):
    from relcast.catalog import Principal

    wanted = "read" if spec.scope == "docs" else spec.scope
    others = frozenset({"read", "predict", "train", "admin"}) - {wanted}
    monkeypatch.setattr(Platform, "authenticate", lambda *_: Principal("key-few", others))
    answer = shop.client.request(spec.method, concrete(spec.path))
    body = assert_problem(answer, 403)
    assert body["code"] == Forbidden.default_code
    assert repr(wanted) in str(body["detail"])


def test_the_document_is_openapi_31_and_complete(shop: Shop):
    document = shop.client.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    shown = {(s.method, s.path): s for s in SPECS if s.options["include_in_schema"]}
    assert set(operations) == set(shown)
    for place, operation in operations.items():
        assert operation["operationId"], place
        assert operation["summary"], place
        assert operation["x-scope"] == shown[place].scope
        for status, answer in operation["responses"].items():
            if not status.startswith("2"):
                assert set(answer["content"]) == {"application/problem+json"}, place
    assert set(document["components"]["schemas"]["Problem"]["properties"]) == FIELDS


def test_the_documentation_page_needs_nothing_from_elsewhere(shop: Shop):
    page = shop.client.get("/api/docs")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for found in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert found.startswith("/"), found
        assert shop.client.get(found).status_code == 200
    script = shop.client.get("/api/docs/page.js").text
    assert "innerHTML" not in script
    assert "http" not in re.sub(r"`HTTP |\$\{location.origin\}", "", script)


def test_unknown_paths_and_methods(shop: Shop):
    assert_problem(shop.client.get("/api/v1/nope"), 404)
    assert_problem(shop.client.get("/api"), 404)
    wrong = shop.client.delete("/api/v1/jobs")
    assert_problem(wrong, 405)
    assert wrong.headers["allow"] == "GET"


def test_what_nobody_foresaw_is_a_500_without_a_trace(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(*_: object, **__: object) -> None:
        message = "a secret of the inside"
        raise ZeroDivisionError(message)

    monkeypatch.setattr(Platform, "models_page", broken)
    answer = shop.client.get("/api/v1/models")
    body = assert_problem(answer, 500)
    assert "secret of the inside" not in answer.text
    assert str(body["request_id"]) in str(body["hint"])
    logged = [r for r in caplog.records if str(body["request_id"]) in r.getMessage()]
    assert logged
    assert logged[0].exc_info
