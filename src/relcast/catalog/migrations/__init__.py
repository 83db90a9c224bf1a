"""The history of the catalog's tables, applied by Alembic when a catalog is opened."""
