"""The words of feature names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relcast.core.schema import Graph, Link
from relcast.learners.features.cells import PARTS
from relcast.learners.features.spec import Step, Stream, Value
from relcast.learners.features.target import TargetAggregation
from relcast.learners.features.windows import length
from relcast.pql.ast import AggregationKind, Unit

__all__ = ["Phrases"]

_WORDS = {
    AggregationKind.SUM: "sum",
    AggregationKind.AVG: "mean",
    AggregationKind.MIN: "min",
    AggregationKind.MAX: "max",
    AggregationKind.COUNT: "count",
    AggregationKind.COUNT_DISTINCT: "distinct",
    AggregationKind.FIRST: "first",
    AggregationKind.LAST: "last",
    AggregationKind.LIST_DISTINCT: "distinct",
    AggregationKind.MEDIAN: "median",
    AggregationKind.STDDEV: "standard deviation",
}


class Phrases:
    """Names things in a graph; a link is named only where there could be two."""

    def __init__(self, graph: Graph, entity_table: str) -> None:
        self.graph = graph
        self.entity_table = entity_table

    def target(self, part: TargetAggregation) -> str:
        """Return ``mean of results.position where the target's filter holds``."""
        what = f"{part.table}.{part.column or '*'}"
        where = " where the target's filter holds" if part.where is not None else ""
        through = self.stream(Stream(part.table, (), part.down))
        if part.element is not None:
            return f"whether {what} was {_shown(part.element)}{where}{through}"
        return f"{_WORDS[part.kind]} of {what}{where}{through}"

    def back(self, part: TargetAggregation, k: int) -> str:
        """Return ``the last 30 days``, or ``the 30 days before the last 60`` for later windows."""
        if part.unit is Unit.months:
            one, skipped = _months(part.length), _months(part.length * k)
        else:
            one, skipped = length(part.nanoseconds), length(part.nanoseconds * k) if k else ""
        return f"the last {one}" if k == 0 else f"the {one} before the last {skipped}"

    def value(self, value: Value) -> str:
        """Return what a value is: ``results.points``, ``circuits.alt (via circuitId)``, ..."""
        what = f"{value.table}.{value.column}"
        via = f" (via {value.path[-1].foreign_key})" if value.path else ""
        match value.kind:
            case "own" | "joined":
                return f"{what}{via}"
            case "parent":
                return f"{value.path[-1].table}.{value.path[-1].foreign_key}"
            case "lag":
                return f"days from the {value.table} row to its {value.column}{via}"
            case "length":
                return f"length of {what}{via}"
            case "element":
                return f"whether {what}{via} has {value.word!r}"
            case "item":
                return f"{what}[{value.number}]{via}"
            case "text":
                return f"words of {what}{via} (part {value.number + 1} of {PARTS})"
            case "holds":
                return f"the target's filter on {value.table}"
            case "target":
                return f"{what} where the target's filter holds"
        key, inner = value.path[-1].foreign_key, self.value(value.inner)
        match value.kind:
            case "prior":
                before = length(value.width) if value.width >= 0 else "time"
                if value.column is None and value.of is None:
                    return f"how many {value.table} rows the {key} had in the {before} before"
                return f"the {key}'s mean {inner} in the {before} before"
            case "relative":
                return f"{inner} relative to the same {key}"
            case "ratio":
                return f"{inner} over the mean of the same {key}"
            case "rank":
                return f"rank of {inner} among the same {key}"
            case "others":
                return f"{inner} of the others of the same {key}"
            case _:
                return f"{value.table} rows of the same {key} and moment"

    def rows(self, value: Value) -> str:
        """Return ``results rows``."""
        if value.kind == "target":
            return f"{value.table} rows where the target's filter holds"
        return f"{value.table} rows"

    def stream(self, stream: Stream) -> str:
        """Return where events belong, nothing for the entity's own over its only link."""
        if not stream.down:
            return " of all"
        between = " and ".join(link.table for link in stream.down[:-1])
        through = f" (through {between})" if between else ""
        if stream.by is not None:
            return f"{through} of all with the same {stream.down[0].to}.{stream.by}"
        return f"{through}{self._by(stream.down[0])}{self.seed(stream.seed)}"

    def seed(self, seed: tuple[Step, ...]) -> str:
        """Return ``, of the constructorId of the last results row``."""
        if not seed:
            return ""
        words = []
        for step in reversed(seed):
            if step.kind == "up":
                words.append(f"the {step.link.foreign_key}")
            else:
                words.append(f"the last {step.link.table} row{self._by(step.link)}")
        return ", of " + " of ".join(words)

    def _by(self, link: Link) -> str:
        """Return `` (by origin)`` where the table has several links to one table."""
        twins = [k for k in self.graph.links_to(link.to) if k.table == link.table]
        return f" (by {link.foreign_key})" if len(twins) > 1 else ""


def _shown(element: Mapping[str, Any]) -> str:
    """Return a constant in JSON's words as a person writes it."""
    kind, value = next(iter(element.items()))
    return repr(value) if kind == "value" else str(value)


def _months(number: int) -> str:
    return f"{number} month" if number == 1 else f"{number} months"
