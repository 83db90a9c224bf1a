"""What keeps a command from doing its work is one sentence, and harms nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import shop
from tests.served import environment

COUNT = "PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.customer_id"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bad starts")
    shop.write(folder / "data", customers=50)
    (folder / "a file").write_text("precious")
    return folder


def told(place: Path, *words: str, **settings: str) -> str:
    """Run a command that must fail with exit status 1; what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "relcast.cli", *words],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(RELCAST_HOME=str(place / "home"), **settings),
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said
    return said


def test_a_port_that_is_taken_is_named_before_a_key_is_shown(place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = told(place, "serve", "--port", port)
    assert f"Cannot listen on 127.0.0.1, port {port}: Address already in use" in said
    assert "--port" in said
    assert "API key" not in said
    assert not (place / "home").exists()


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_home_that_cannot_be_written_to(place, command):
    port = ["--port", "0"] if command == "serve" else []
    said = told(place, command, *port, "--home", "a file/home")
    assert "settings.home_unusable" in said
    assert "a file/home" in said
    assert "RELCAST_HOME" in said


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("rubbish", "settings.invalid"),
        ("mysql://u:s3cret@host/db", "settings.invalid"),
        ("sqlite://", "settings.invalid"),
        ("postgresql://u:s3cret@host:port/db", "settings.invalid"),
        ("postgresql://u:s3cret@127.0.0.1:1/db", "settings.store_unusable"),
        ("sqlite:///{place}/a file", "settings.store_unusable"),
        ("sqlite:///{place}/a file/below.db", "settings.store_unusable"),
    ],
)
def test_a_database_that_cannot_be_used(place, url, code):
    said = told(place, "serve", "--port", "0", RELCAST_DATABASE_URL=url.format(place=place))
    assert code in said
    assert "s3cret" not in said
    assert (place / "a file").read_text() == "precious"


def test_a_model_takes_the_place_of_nothing_but_a_model(place):
    """It took the place of whatever was there: a file, a folder of data."""
    for out in ("a file", "data", "."):
        said = told(place, "train", "data", COUNT, "--out", out)
        assert "model.would_overwrite" in said
    assert (place / "a file").read_text() == "precious"
    assert len(list((place / "data").iterdir())) == 3


def test_a_folder_with_one_bad_file(place):
    shop.write(place / "spoilt", customers=20)
    with (place / "spoilt" / "customers.csv").open("a") as file:
        file.write('21,"DE,30\n')
    said = told(place, "train", "spoilt", COUNT, "--out", "model")
    assert "customers.csv, line 22" in said
    assert "source.broken_row" in said
    (place / "spoilt" / "customers.csv").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    assert "customers.csv is not UTF-8 text" in told(place, "ingest", "spoilt")


def test_a_place_that_cannot_be_written_to(place):
    said = told(place, "ingest", "data", "--home", "a file/home")
    assert "a file/home" in said
    assert "cli.file" in said
