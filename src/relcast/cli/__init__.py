"""The command line: ``relcast serve | worker | keys | ingest | train | predict | query check``."""

from relcast.cli.app import main

__all__ = ["main"]
