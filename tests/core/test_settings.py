"""Settings come from the environment once, and say what is wrong with them."""

import os
from pathlib import Path

import pytest

from relcast.core.errors import InvalidRequest
from relcast.core.settings import Settings


def test_defaults_are_safe(tmp_path):
    settings = Settings.load(tmp_path, environ={})
    assert settings.home == tmp_path.resolve()
    assert settings.database_url == f"sqlite:///{tmp_path.resolve() / 'relcast.db'}"
    assert settings.data_roots == ()
    assert settings.customer_id == "demo"
    assert settings.threads >= 1


def test_environment_is_read(tmp_path):
    env = {
        "RELCAST_HOME": str(tmp_path / "h"),
        "RELCAST_DATA_ROOTS": os.pathsep.join([str(tmp_path), "/srv/data"]),
        "RELCAST_CUSTOMER_ID": "acme",
        "RELCAST_THREADS": "3",
        "RELCAST_PUBLIC_URL": "https://example.test/",
    }
    settings = Settings.load(environ=env)
    assert settings.home == (tmp_path / "h").resolve()
    assert settings.data_roots == (tmp_path.resolve(), Path("/srv/data"))
    assert settings.customer_id == "acme"
    assert settings.threads == 3
    assert settings.public_url == "https://example.test"


@pytest.mark.parametrize(
    "env",
    [
        {"RELCAST_THREADS": "0"},
        {"RELCAST_THREADS": "many"},
        {"RELCAST_CUSTOMER_ID": "a:b"},
        {"RELCAST_STATISTICS_SECONDS": "-1"},
        {"RELCAST_PQL_COMPATIBILITY": "sql"},
    ],
)
def test_a_bad_value_names_its_variable(tmp_path, env):
    with pytest.raises(InvalidRequest) as error:
        Settings.load(tmp_path, environ=env)
    assert error.value.code == "settings.invalid"
    assert next(iter(env)) in error.value.message


def test_every_setting_is_documented():
    """docs/settings.md lists each variable that the module reads, and no other."""
    import re

    root = Path(__file__).resolve().parents[2]
    read = set(re.findall(r"RELCAST_[A-Z_]+", (root / "src/relcast/core/settings.py").read_text()))
    told = set(
        re.findall(
            r"^\| `(RELCAST_[A-Z_]+)`", (root / "docs/settings.md").read_text(), re.MULTILINE
        )
    )
    assert read == told


def test_the_label_engine_gets_half_of_a_memory_limit(tmp_path):
    assert Settings.load(tmp_path, environ={}).engine_memory is None
    bounded = Settings.load(tmp_path, environ={"RELCAST_MEMORY_LIMIT_MB": "4096"})
    assert bounded.engine_memory == "2048MiB"
    small = Settings.load(tmp_path, environ={"RELCAST_MEMORY_LIMIT_MB": "100"})
    assert small.engine_memory == "256MiB"
    strict = Settings.load(tmp_path, environ={"RELCAST_PQL_COMPATIBILITY": "kumo"})
    assert strict.pql_compatibility == "kumo"
