"""PQL, the predictive query language: from text to a checked query. Pure: no I/O, no engines.

parse(text)               -> Query          the syntax tree, with positions
check(text, graph)        -> CheckedQuery   names, links and types resolved; the task type
to_text(query)            -> str            the canonical spelling
describe(checked)         -> str            plain English
require_supported(checked)                  refuses what cannot be trained yet
"""

from relcast.pql.ast import CheckedQuery, Query
from relcast.pql.checker import check
from relcast.pql.parser import parse
from relcast.pql.printer import to_text
from relcast.pql.restate import describe
from relcast.pql.support import require_supported

__all__ = ["CheckedQuery", "Query", "check", "describe", "parse", "require_supported", "to_text"]
