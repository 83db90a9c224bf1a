"""Two apps in one process, and an API that the pages do not stand in front of."""

from __future__ import annotations

import subprocess
import sys
import textwrap

# In a process of its own: NiceGUI keeps one app per process, and the suite should not share it.
SCRIPT = textwrap.dedent(
    """
    from types import SimpleNamespace
    from pathlib import Path
    import sys
    from fastapi import FastAPI
    from starlette.testclient import TestClient
    from relcast.core.settings import Settings
    from relcast.ui import mount

    def build(name):
        app = FastAPI()
        @app.post("/healthz-like")
        def only_post():
            return {"ok": name}
        platform = SimpleNamespace(
            settings=Settings.load(Path(sys.argv[1]) / name, {}),
            verify_admin_password=lambda word: word == name,
            admin_password_mark=lambda: name,
            audit=lambda *row: None,
            key_info=lambda: None,
        )
        mount(app, platform)
        @app.get("/late")
        def late():
            return {"late": name}
        return app

    origin = {"Origin": "http://testserver"}
    for name in ("one", "two"):
        with TestClient(build(name), follow_redirects=False) as client:
            assert client.get("/admin").status_code == 303
            wrong = {"one": "two", "two": "one"}[name]
            assert client.post("/login", data={"password": wrong}, headers=origin).status_code == 401
            assert client.post("/login", data={"password": name}, headers=origin).status_code == 303
            page = client.get("/admin")
            assert page.status_code == 200, page.text
            assert str(Path(sys.argv[1]) / name) in page.text
            assert client.get("/late").json() == {"late": name}
            assert client.get("/healthz-like").status_code == 405
            assert client.get("/api/nothing").json() == {"detail": "Not Found"}
            assert client.get("/nothing").status_code == 404
    print("mounted twice")
    """
)


def test_two_apps_of_one_process_have_pages_of_their_own(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.stdout.strip() == "mounted twice", done.stderr
    assert not (tmp_path / ".nicegui").exists()
