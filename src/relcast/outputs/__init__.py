"""Where predictions go: files that appear once and whole. Other sinks join this room later."""

from relcast.outputs.files import (
    PARTITION,
    atomic_path,
    csv_of,
    read_first_rows,
    read_reasons,
    write_parts,
    write_reasons,
    write_table,
)

__all__ = [
    "PARTITION",
    "atomic_path",
    "csv_of",
    "read_first_rows",
    "read_reasons",
    "write_parts",
    "write_reasons",
    "write_table",
]
