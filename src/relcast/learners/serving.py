"""Whether a snapshot can still be read by a model: the columns it needs, with their types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relcast.core.errors import ModelError
from relcast.core.schema import Column, Dtype, Graph

if TYPE_CHECKING:
    from relcast.learners.model import FittedModel
    from relcast.relations import Relations

__all__ = ["check_schema"]


def check_schema(model: FittedModel, relations: Relations) -> None:
    """Raise ``model.schema_changed``, naming table and column, unless every column still fits.

    A column fits when it is of the same storage family (whole and real numbers are one family) and
    has the same meaning. Columns that came later are no matter. Roles and links must be the same.
    """
    before, now = model.graph, relations.graph
    if before == now:
        return
    for name, table in before.tables.items():
        if name not in now.tables:
            raise _changed(f"table {name!r} is gone")
        present = now.tables[name]
        for role in ("primary_key", "time_column", "end_time_column"):
            was, became = getattr(table, role), getattr(present, role)
            if was != became:
                raise _changed(f"the {role.replace('_', ' ')} of {name!r} was {was}, is {became}")
        for column in table.columns:
            _check_column(name, column, now)
    for link in before.links:
        if link not in now.links:
            raise _changed(f"the link {link} is gone")


def _check_column(table: str, column: Column, now: Graph) -> None:
    if not now.tables[table].has_column(column.name):
        raise _changed(f"column {table}.{column.name} is gone")
    present = now.tables[table].column(column.name)
    if _family(present.dtype) != _family(column.dtype):
        raise _changed(
            f"column {table}.{column.name} was {column.dtype.value}, is {present.dtype.value}"
        )
    if present.stype is not column.stype:
        raise _changed(
            f"column {table}.{column.name} meant {column.stype.value}, "
            f"now means {present.stype.value}"
        )


def _family(dtype: Dtype) -> str:
    if dtype.is_number:
        return "number"
    return "time" if dtype.is_time else dtype.value


def _changed(what: str) -> ModelError:
    return ModelError(
        f"The data is not what the model learned from: {what}",
        code="model.schema_changed",
        hint="Mend the column or its type at the source, or train the model again.",
    )
