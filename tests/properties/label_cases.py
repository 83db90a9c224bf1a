"""Cases for the label oracle: a world, a query that is accepted, and what the oracle says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from relcast.core.errors import PqlError
from relcast.pql import CheckedQuery, check
from tests.properties.label_oracle import Oracle
from tests.properties.label_worlds import Case, draw_case

__all__ = ["Drawn", "draw"]

# pql refuses what cannot vary, such as COUNT(...) < 0; these draws are drawn again.
REFUSED = {"pql.nothing_to_predict"}
# Most cases with few labels are drawn again as well; some are kept, for what they say of dropping.
ENOUGH, KEPT_FEW, KEPT_EMPTY = 4, 0.35, 0.08


@dataclass
class Drawn:
    """A case with its checked query.

    Attributes:
        refused: How many draws the checker refused before it, by code.
    """

    seed: int
    case: Case
    query: CheckedQuery
    refused: list[str] = field(default_factory=list)

    @cached_property
    def oracle(self) -> Oracle:
        return Oracle(self.case.world, self.query)

    @cached_property
    def answer(self) -> tuple[dict[Any, Any], dict[str, int]]:
        """The oracle's labels by key (and anchor), and the dropped examples by reason."""
        if self.query.temporal:
            return self.oracle.training(self.case.anchors)
        found, _, dropped = self.oracle.static()
        return found, dropped

    @property
    def place(self) -> str:
        return f"seed {self.seed}: {self.case.text}"

    @property
    def moments(self) -> np.ndarray:
        """int64 ns UTC of the anchors."""
        return np.array([a.value for a in self.case.anchors], dtype=np.int64)

    def keys(self, table: str) -> list[Any]:
        """The primary keys of a table, in the order of its rows."""
        t = self.case.world.tables[table]
        return t.rows[str(t.key)].tolist()


def draw(seed: int, task: str | None = None) -> Drawn:
    """Draw from a seed until a query is accepted and, mostly, has labels."""
    rng = np.random.default_rng([2024, seed])
    refused: list[str] = []
    while True:
        case = draw_case(rng, task)
        try:
            query = check(case.text, case.world.graph(), forecast_length=case.forecast_length)
        except PqlError as error:
            codes = {f.code for f in error.faults}
            if not codes <= REFUSED:
                raise
            refused += sorted(codes)
            continue
        drawn = Drawn(seed, case, query, refused)
        found = len(drawn.answer[0])
        if found >= ENOUGH or rng.random() < (KEPT_FEW if found else KEPT_EMPTY):
            return drawn
