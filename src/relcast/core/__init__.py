"""The words that every room shares: schema, errors, ids, clock, progress, settings.

Imports nothing of ours and does no I/O beyond reading environment variables.
"""
