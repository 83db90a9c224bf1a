"""One engine of each kind per test session; a test's mark keeps each on one worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tasks.warehouse import duck, postgres, spark


@pytest.fixture(scope="session")
def duckdb_engine() -> Iterator[duck.Duck]:
    with duck.running() as engine:
        yield engine


@pytest.fixture(scope="session")
def postgres_engine() -> Iterator[postgres.Postgres]:
    with postgres.running() as engine:
        yield engine


@pytest.fixture(scope="session")
def spark_engine() -> Iterator[spark.Spark]:
    why = spark.missing()
    if why is not None:
        pytest.skip(why)
    with spark.running() as engine:
        yield engine


ENGINES = [
    pytest.param("duckdb", marks=pytest.mark.xdist_group("warehouse-duckdb")),
    pytest.param("postgres", marks=pytest.mark.xdist_group("warehouse-postgres")),
    pytest.param("spark", marks=pytest.mark.xdist_group("warehouse-spark")),
]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> object:
    """Each engine in turn."""
    return request.getfixturevalue(f"{request.param}_engine")
