"""One world for the room's tests; models are fitted once each."""

from __future__ import annotations

import pytest

from tests.learners.worlds import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("shop"))
