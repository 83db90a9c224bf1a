"""Run the command line as ``python -m relcast.cli``."""

from relcast.cli.app import main

main()
