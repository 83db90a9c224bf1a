"""relcast: predictions about the future of relational data."""
