"""Labels where the data lives: a query's training table as one SQL statement of a warehouse.

label_sql(query, graph, anchors, dialect=...) -> the text of one SELECT

The statement is written from the same SQL as the labels of a snapshot; what engines do differently
stands in ``dialects``. Nothing here connects to anything.
"""

from relcast.tasks.warehouse.dialects import DIALECTS
from relcast.tasks.warehouse.statement import label_sql

__all__ = ["DIALECTS", "label_sql"]
